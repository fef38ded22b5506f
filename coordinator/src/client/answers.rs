//! Answers that come in pieces.

use biosweep_common::protocol::error::WireError;
use biosweep_common::protocol::pieces::Curves;
use biosweep_common::protocol::wire::FromWire;
use biosweep_common::results::views::{CurveView, ResultView, WatchEvent};
use biosweep_proto::v1;
use tonic::Streaming;

use super::error::ClientError;

/// Answers of a stream.
pub(crate) struct Answers<T>(pub(super) Streaming<T>);

impl Answers<v1::WatchEvent> {
    /// The next event; `None` once the sweep has ended.
    pub(crate) async fn next(&mut self) -> Result<Option<WatchEvent>, ClientError> {
        let event = self.0.message().await?;
        Ok(event.map(WatchEvent::from_wire).transpose()?)
    }
}

/// All items of a stream.
pub(super) async fn all<T>(mut stream: Streaming<T>) -> Result<Vec<T>, ClientError> {
    let mut messages = Vec::new();
    while let Some(message) = stream.message().await? {
        messages.push(message);
    }
    Ok(messages)
}

impl Answers<v1::ResultsResponse> {
    /// The next results; `None` after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<ResultView>>, ClientError> {
        let page = self.0.message().await?;
        Ok(page.map(|page| Vec::from_wire(page.results)).transpose()?)
    }
}

/// Curves of a stream, each joined from its pieces.
pub(crate) struct CurveAnswers {
    pub(super) pieces: Streaming<v1::CurvesResponse>,
    pub(super) together: Curves,
}

impl CurveAnswers {
    /// The next curve; `None` after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<CurveView>, ClientError> {
        while let Some(piece) = self.pieces.message().await? {
            let piece = piece.curve.ok_or(WireError::Missing { field: "curve" })?;
            if let Some(curve) = self.together.add(piece)? {
                return Ok(Some(curve));
            }
        }
        Ok(std::mem::take(&mut self.together).finish()?)
    }
}
