//! Serves the connections of browsers, one task each.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::{Extension, Router};
use biosweep_connection::stream::Connection;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;
use tokio::time::Sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Layer as _;

use crate::connections::{Browser, SILENCE};

/// Maximum bytes of the headers of a request.
const HEADERS_MAX: usize = 32 * 1024;

/// What requests know of the connection of their browser.
#[derive(Debug, Clone, Copy)]
pub(super) struct Visitor {
    /// Whether the coordinator's own user connects.
    pub(super) is_own_user: bool,
}

/// The time limit for a browser to take a part of an answer.
const TAKES: Duration = Duration::from_secs(30);

/// A connection that fails when its other end takes nothing for some time.
struct Draining {
    stream: Connection,
    /// Since a part of an answer waits.
    waits: Option<Pin<Box<Sleep>>>,
}

impl Draining {
    /// The result of a write, which fails if it waits for too long.
    fn limited<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.waits = None;
            return written;
        }
        let waits = self.waits.get_or_insert_with(|| Box::pin(tokio::time::sleep(TAKES)));
        waits.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Draining {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Draining {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.limited(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.limited(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.limited(cx, closed)
    }
}

/// Serves browsers until the shutdown; then each connection ends after the answer in progress.
pub(super) async fn serve(
    mut browsers: mpsc::Receiver<Browser>,
    router: Router,
    tasks: TaskTracker,
    shutdown: CancellationToken,
) {
    loop {
        let browser = tokio::select! {
            browser = browsers.recv() => browser,
            () = shutdown.cancelled() => return,
        };
        let Some(Browser { stream, room, is_own_user }) = browser else { return };
        let service = Extension(Visitor { is_own_user }).layer(router.clone());
        let shutdown = shutdown.clone();
        tasks.spawn(async move {
            let _room = room;
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                // A connection without a request is closed, also one that had requests before.
                .header_read_timeout(SILENCE)
                .max_buf_size(HEADERS_MAX)
                .serve_connection(TokioIo::new(Draining { stream, waits: None }), TowerToHyperService::new(service));
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
