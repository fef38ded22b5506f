//! The way to the loop.

use std::sync::Arc;

use biosweep_common::ids::WorkerId;
use biosweep_common::protocol::messages::{Hello, ToCoordinator};
use biosweep_host::clock::Clock;
use biosweep_scheduler::event::{Event, Notice};
use biosweep_scheduler::scheduler::Scheduler;
use biosweep_store::Store;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::{Outbox, Reply, Request, StreamId};

/// The loop is gone: the coordinator is stopping, or its store failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the coordinator is stopping")]
pub struct Stopped;

/// Why an event was not applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DriverError {
    /// The loop is gone.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// The store cannot be written at present.
    #[error("{0}")]
    Degraded(String),
}

/// The way to the loop; as many copies as there are callers.
#[derive(Clone)]
pub struct Handle {
    pub(super) requests: mpsc::Sender<Request>,
    pub(super) notices: broadcast::Sender<Notice>,
    pub(super) degraded: watch::Receiver<Option<String>>,
    /// For reads that need not go through the loop.
    pub store: Arc<dyn Store>,
    /// The clock the loop reads.
    pub clock: Clock,
}

impl Handle {
    /// Applies an event; returns when what it led to is committed.
    pub async fn apply(&self, event: Event) -> Result<(), DriverError> {
        let (committed, done) = oneshot::channel();
        self.send(Request::Event { event, committed }).await?;
        done.await.map_err(|_| Stopped)?
    }

    /// What keeps the loop from granting anything, as it changes: a store that cannot be written.
    pub fn degraded(&self) -> watch::Receiver<Option<String>> {
        self.degraded.clone()
    }

    /// Opens a worker's stream; it replaces the one before.
    pub async fn attach(&self, hello: Hello, stream: StreamId, outbox: Outbox) -> Result<(), Stopped> {
        self.send(Request::Attach { hello, stream, outbox }).await
    }

    /// Hands in what a worker said, in order; dropped where the stream is no longer its present one.
    pub async fn said(&self, worker: WorkerId, stream: StreamId, messages: Vec<ToCoordinator>) -> Result<(), Stopped> {
        self.send(Request::Said { worker, stream, messages }).await
    }

    /// Closes a worker's stream.
    pub async fn detach(&self, worker: WorkerId, stream: StreamId) -> Result<(), Stopped> {
        self.send(Request::Detach { worker, stream }).await
    }

    /// Asks the scheduler; the answer holds nothing that is not committed, unless the store is degraded.
    pub async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Scheduler) -> T + Send + 'static,
    ) -> Result<T, Stopped> {
        let (reply, answer) = oneshot::channel();
        let query = move |scheduler: &Scheduler| {
            let answer = question(scheduler);
            // Whoever asked may not be waiting any more.
            Box::new(move || drop(reply.send(answer))) as Reply
        };
        self.send(Request::Query(Box::new(query))).await?;
        answer.await.map_err(|_| Stopped)
    }

    /// News from now on.
    pub fn notices(&self) -> broadcast::Receiver<Notice> {
        self.notices.subscribe()
    }

    /// Ends the loop once what is queued before is done.
    pub async fn close(&self) {
        // An error means that it has ended already.
        let _ended = self.send(Request::Close).await;
    }

    async fn send(&self, request: Request) -> Result<(), Stopped> {
        self.requests.send(request).await.map_err(|_| Stopped)
    }
}
