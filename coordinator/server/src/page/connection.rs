//! Serves the connections of browsers, one task each.

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Layer as _;

use crate::connections::{Accepted, SILENCE};

/// Maximum bytes of the headers of a request.
const HEADERS_MAX: usize = 32 * 1024;

/// Serves browsers until the shutdown; then each connection ends after the answer in progress.
pub(super) async fn serve(
    mut browsers: mpsc::Receiver<Accepted>,
    router: Router,
    tasks: TaskTracker,
    shutdown: CancellationToken,
) {
    loop {
        let browser = tokio::select! {
            browser = browsers.recv() => browser,
            () = shutdown.cancelled() => return,
        };
        let Some(browser) = browser else { return };
        let service = Extension(browser.info.clone()).layer(router.clone());
        let shutdown = shutdown.clone();
        tasks.spawn(async move {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                // A connection without a request is closed, also one that had requests before.
                .header_read_timeout(SILENCE)
                .max_buf_size(HEADERS_MAX)
                .serve_connection(TokioIo::new(browser), TowerToHyperService::new(service));
            tokio::pin!(connection);
            let ended = tokio::select! {
                ended = &mut connection => ended,
                () = shutdown.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "the connection of a browser has failed");
            }
        });
    }
}
