//! A coordinator that waits until it can take over the store from another one. Meanwhile it tells callers who serves the store.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use biosweep_store::{Store, StoreError};
use futures::future::Either;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tonic::transport::Server;
use tonic_health::ServingStatus;
use tower::{Layer, Service};

use super::HostError;
use crate::connections::{self, Admission};
use crate::grpc::{REQUESTS_MAX, SHORT_BYTES_MAX};
use crate::page;

/// The pause between two attempts to take over.
const PAUSE: Duration = Duration::from_millis(500);

/// Waits until the store is free, and holds it then.
pub(super) async fn wait(
    (home, url): (&Path, Option<&str>),
    listen: SocketAddr,
    admission: &Admission,
) -> Result<Arc<dyn Store>, HostError> {
    let mut standby: Option<Standby> = None;
    loop {
        match (biosweep_store::open(home, url).await, &standby) {
            (Ok(store), _) => {
                if let Some(standby) = standby {
                    tracing::info!("the store is free: this coordinator takes over");
                    standby.end().await;
                }
                return Ok(store);
            }
            (Err(StoreError::Locked { holder, address, .. }), None) => {
                let leader = Leader { holder, address };
                tracing::info!("standing by: {}", leader.words());
                let started = Standby::start(listen, admission, leader);
                standby = Some(started.map_err(|source| HostError::Listen { address: listen, source })?);
            }
            (Err(StoreError::Locked { holder, address, .. }), Some(standby)) => {
                let _changed = standby.leader.send_if_modified(|leader| {
                    let found = Leader { holder, address };
                    let is_new = *leader != found;
                    *leader = found;
                    is_new
                });
            }
            // The database may start again while this coordinator waits.
            (Err(error @ StoreError::Open { .. }), Some(_)) => tracing::warn!(%error, "still standing by"),
            (Err(error), _) => return Err(error.into()),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The coordinator that serves the store.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Leader {
    /// Its host and process.
    holder: String,
    address: Option<String>,
}

impl Leader {
    fn words(&self) -> String {
        let at = self.address.as_ref().map(|address| format!(" at {address}")).unwrap_or_default();
        format!("this coordinator stands by, and {} serves the store{at}", self.holder)
    }
}

/// The server of a coordinator that waits. It ends with this value.
struct Standby {
    leader: watch::Sender<Leader>,
    tasks: TaskTracker,
    shutdown: DropGuard,
}

impl Standby {
    fn start(listen: SocketAddr, admission: &Admission, leader: Leader) -> io::Result<Self> {
        let (leader, told) = watch::channel(leader);
        let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
        let (callers, browsers) = connections::accept(connections::listen(listen)?, admission.clone(), &tasks);
        let layer = Unavailable(told.clone());
        let ended = shutdown.clone().cancelled_owned();
        tasks.spawn(async move {
            let (reporter, health) = tonic_health::server::health_reporter();
            reporter.set_service_status("", ServingStatus::NotServing).await;
            let health = health.max_decoding_message_size(SHORT_BYTES_MAX);
            let server = Server::builder().max_concurrent_streams(REQUESTS_MAX).layer(layer).add_service(health);
            // Open streams of the health service would keep a graceful shutdown waiting.
            tokio::select! {
                served = server.serve_with_incoming(callers) => {
                    served.unwrap_or_else(|error| tracing::warn!(%error, "standing by without a server"));
                }
                () = ended => {}
            }
        });
        let words = move || told.borrow().words();
        tasks.spawn(page::serve_unavailable(browsers, words, tasks.clone(), shutdown.clone()));
        Ok(Self { leader, tasks, shutdown: shutdown.drop_guard() })
    }

    /// Stops listening.
    async fn end(self) {
        drop(self.shutdown);
        self.tasks.close();
        if tokio::time::timeout(super::READERS_WAIT, self.tasks.wait()).await.is_err() {
            tracing::warn!("connections of the time before are still open");
        }
    }
}

/// Answers that this coordinator stands by. Only the health service answers itself.
#[derive(Clone)]
struct Unavailable(watch::Receiver<Leader>);

impl<S> Layer<S> for Unavailable {
    type Service = Refusing<S>;

    fn layer(&self, inner: S) -> Refusing<S> {
        Refusing { leader: self.0.clone(), inner }
    }
}

#[derive(Clone)]
struct Refusing<S> {
    leader: watch::Receiver<Leader>,
    inner: S,
}

type Answer = Result<Response<Body>, Infallible>;

impl<S, B> Service<Request<B>> for Refusing<S>
where
    S: Service<Request<B>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<S::Future, Ready<Answer>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if request.uri().path().starts_with("/grpc.health.v1.") {
            return Either::Left(self.inner.call(request));
        }
        Either::Right(ready(Ok(Status::unavailable(self.leader.borrow().words()).into_http())))
    }
}
