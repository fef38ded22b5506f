//! Answers that come one after the other.

use biosweep_common::views::{CurveView, ResultView, WatchEvent};
use biosweep_common::wire::{Curves, FromWire as _};
use biosweep_proto::v1;
use tonic::Streaming;

use super::ClientError;

/// Answers as they come.
pub(crate) struct Answers<T>(pub(super) Streaming<T>);

impl Answers<v1::WatchEvent> {
    /// The next event; `None` once the sweep has ended.
    pub(crate) async fn next(&mut self) -> Result<Option<WatchEvent>, ClientError> {
        let event = self.0.message().await?;
        Ok(event.map(WatchEvent::from_wire).transpose()?)
    }
}

impl Answers<v1::ResultsResponse> {
    /// The next results; `None` after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<ResultView>>, ClientError> {
        let page = self.0.message().await?;
        Ok(page.map(|page| Vec::from_wire(page.results)).transpose()?)
    }
}

/// Curves as they come, each put together from its pieces.
pub(crate) struct CurveAnswers {
    pub(super) pieces: Streaming<v1::CurvesResponse>,
    pub(super) together: Curves,
}

impl CurveAnswers {
    /// The next curve; `None` after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<CurveView>, ClientError> {
        while let Some(piece) = self.pieces.message().await? {
            if let Some(curve) = self.together.add(piece)? {
                return Ok(Some(curve));
            }
        }
        Ok(std::mem::take(&mut self.together).finish()?)
    }
}

/// Everything a stream brings.
pub(super) async fn all<T>(mut stream: Streaming<T>) -> Result<Vec<T>, ClientError> {
    let mut messages = Vec::new();
    while let Some(message) = stream.message().await? {
        messages.push(message);
    }
    Ok(messages)
}
