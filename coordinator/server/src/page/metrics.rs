//! The metrics, for Prometheus.

use std::time::Duration;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use biosweep_scheduler::scheduler::Scheduler;
use prometheus_client::encoding::prometheus_text;

use super::Page;
use super::error::PageError;
use crate::metrics::Snapshot;
use crate::queries;

/// The address, which Prometheus asks unless it is told another one.
pub(super) const PATH: &str = "/metrics";
/// Maximum wait for the store. Prometheus waits ten seconds, unless it is told otherwise.
const STORE_WAIT: Duration = Duration::from_secs(3);

/// `GET /metrics`.
pub(super) async fn metrics(State(page): State<Page>) -> Result<Response, PageError> {
    let handle = &page.commands.handle;
    let workers = handle.ask(Scheduler::worker_counts).await?;
    let sweeps = match tokio::time::timeout(STORE_WAIT, queries::list(handle)).await {
        Ok(Ok(sweeps)) => Some(sweeps),
        Ok(Err(error)) => {
            tracing::warn!(%error, "the metrics say nothing about sweeps and trials, because they cannot be read");
            None
        }
        Err(_) => {
            tracing::warn!("the metrics say nothing about sweeps and trials, because the store does not answer");
            None
        }
    };
    let is_store_writable = handle.degraded().borrow().is_none();
    let trace_spans_dropped = handle.traces.dropped();
    let text = handle.metrics.text(&Snapshot { sweeps, workers, is_store_writable, trace_spans_dropped });
    Ok(([(CONTENT_TYPE, prometheus_text::CONTENT_TYPE)], text).into_response())
}
