//! The way to the loop.

use std::sync::Arc;
use std::time::Duration;

use biosweep_common::ids::WorkerId;
use biosweep_common::protocol::messages::{Hello, ToCoordinator};
use biosweep_host::clock::Clock;
use biosweep_scheduler::event::{Event, Notice};
use biosweep_scheduler::scheduler::Scheduler;
use biosweep_store::Store;
use tokio::sync::{Semaphore, broadcast, mpsc, oneshot, watch};

use super::{Control, FromStream, Outbox, POINTS_QUEUED, Reply, StreamId};

/// The loop is gone: the coordinator is stopping, or its store failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the coordinator is stopping")]
pub struct Stopped;

/// Why an event was not applied, or is not known to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DriverError {
    /// The loop is gone.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// The store cannot be written at present.
    #[error("{0}")]
    Degraded(String),
    /// The event is applied, and the store has not confirmed it in time.
    #[error("the store has not confirmed it for {} s; it may still take effect: look at `biosweep list`", COMMITTED.as_secs())]
    Unconfirmed,
    /// Another command that looks first and then acts is still at it.
    #[error("the coordinator is busy with another command for more than {seconds} s; try again")]
    Busy {
        /// The time that this command waited for it.
        seconds: u64,
    },
}

/// The time that an event may take to be committed.
const COMMITTED: Duration = Duration::from_secs(60);

/// The way to the loop; as many copies as there are callers.
#[derive(Clone)]
pub struct Handle {
    pub(super) control: mpsc::Sender<Control>,
    pub(super) from_streams: mpsc::Sender<FromStream>,
    /// The room for evaluations that wait for the loop.
    pub(super) points: Arc<Semaphore>,
    pub(super) notices: broadcast::Sender<Notice>,
    pub(super) degraded: watch::Receiver<Option<String>>,
    /// For reads that need not go through the loop.
    pub store: Arc<dyn Store>,
    /// The clock that the loop reads.
    pub clock: Clock,
}

impl Handle {
    /// Applies an event; returns when everything that it led to is committed.
    pub async fn apply(&self, event: Event) -> Result<(), DriverError> {
        let (committed, done) = oneshot::channel();
        self.control.send(Control::Event { event, committed }).await.map_err(|_| Stopped)?;
        let done = tokio::time::timeout(COMMITTED, done).await.map_err(|_| DriverError::Unconfirmed)?;
        done.map_err(|_| Stopped)?
    }

    /// Why the store cannot be written, as it changes; `None` while it can.
    pub fn degraded(&self) -> watch::Receiver<Option<String>> {
        self.degraded.clone()
    }

    /// Opens a worker's stream, which replaces the one before.
    pub async fn attach(&self, hello: Hello, stream: StreamId, outbox: Outbox) -> Result<(), Stopped> {
        self.send(FromStream::Attach { hello, stream, outbox }).await
    }

    /// Hands in the messages of a worker, in order. They are dropped where the stream is not its present one any more. Waits
    /// while the loop has no room for more.
    pub async fn messages_received(
        &self,
        worker: WorkerId,
        stream: StreamId,
        messages: Vec<ToCoordinator>,
    ) -> Result<(), Stopped> {
        let points: usize = messages.iter().map(points).sum();
        let points = points.min(POINTS_QUEUED) as u32;
        let _points = Arc::clone(&self.points).acquire_many_owned(points).await.map_err(|_| Stopped)?;
        self.send(FromStream::Messages { worker, stream, messages, _points }).await
    }

    /// Closes a worker's stream.
    pub async fn detach(&self, worker: WorkerId, stream: StreamId) -> Result<(), Stopped> {
        self.send(FromStream::Detach { worker, stream }).await
    }

    /// Asks the scheduler. The answer holds nothing that is not committed, unless the store cannot be written.
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
        self.control.send(Control::Query(Box::new(query))).await.map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }

    /// News from now on.
    pub fn notices(&self) -> broadcast::Receiver<Notice> {
        self.notices.subscribe()
    }

    /// Ends the loop once everything that came before is committed.
    pub async fn close(&self) {
        // An error means that it has ended already.
        let _ended = self.control.send(Control::Close).await;
    }

    async fn send(&self, message: FromStream) -> Result<(), Stopped> {
        self.from_streams.send(message).await.map_err(|_| Stopped)
    }
}

/// The evaluations of a report, where the message is one.
fn points(message: &ToCoordinator) -> usize {
    if let ToCoordinator::AttemptEnded(report) = message { report.points() } else { 0 }
}
