//! The handle with which callers send to the loop.

use std::sync::Arc;
use std::time::Duration;

use biosweep_common::protocol::messages::{Hello, ToCoordinator};
use biosweep_common::vocabulary::ids::WorkerId;
use biosweep_host::clock::Clock;
use biosweep_host::traces::Traces;
use biosweep_scheduler::event::{Event, Notice};
use biosweep_scheduler::record::Record;
use biosweep_scheduler::scheduler::Scheduler;
use biosweep_store::Store;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, mpsc, oneshot, watch};

use crate::metrics::Metrics;

use super::{BYTES_QUEUED, Control, FromStream, Outbox, Reply, SessionMemory, StreamId};

/// The loop has ended: the coordinator is stopping, or its store failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the coordinator is stopping")]
pub struct Stopped;

/// Why an event was not applied, or may not have been applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DriverError {
    /// The loop has ended.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// The store cannot be written now.
    #[error("{0}")]
    Degraded(String),
    /// The event is applied, but the store has not confirmed it in time.
    #[error("the store has not confirmed the command for {} s; the command may still take effect: see `biosweep list`", COMMITTED.as_secs())]
    Unconfirmed,
    /// Another command that holds the lock has not ended.
    #[error("the coordinator has been busy with another command for more than {seconds} s; try again")]
    Busy {
        /// Seconds that this command waited for the lock.
        seconds: u64,
    },
}

/// Time limit of the commit of an event.
const COMMITTED: Duration = Duration::from_secs(60);

/// The handle with which callers send to the loop. Each caller may have a copy.
#[derive(Clone)]
pub struct Handle {
    pub(super) control: mpsc::Sender<Control>,
    pub(super) from_streams: mpsc::Sender<FromStream>,
    /// One permit for each byte that may wait for the loop.
    pub(super) bytes: Arc<Semaphore>,
    /// The memory that the sessions of workers hold.
    pub memory: SessionMemory,
    pub(super) notices: broadcast::Sender<Notice>,
    pub(super) committed: broadcast::Sender<Arc<Vec<Record>>>,
    pub(super) degraded: watch::Receiver<Option<String>>,
    /// The store, for reads that do not need the loop.
    pub store: Arc<dyn Store>,
    /// The clock that the loop reads.
    pub clock: Clock,
    /// What the loop counts and measures.
    pub metrics: Arc<Metrics>,
    /// Where spans are sent.
    pub traces: Traces,
}

impl Handle {
    /// Applies an event; returns after the commit of its effects.
    pub async fn apply(&self, event: Event) -> Result<(), DriverError> {
        let (committed, done) = oneshot::channel();
        self.control.send(Control::Event { event, committed }).await.map_err(|_| Stopped)?;
        let done = tokio::time::timeout(COMMITTED, done).await.map_err(|_| DriverError::Unconfirmed)?;
        done.map_err(|_| Stopped)?
    }

    /// Watches the reason why the store cannot be written; `None` while it can be written.
    pub fn degraded(&self) -> watch::Receiver<Option<String>> {
        self.degraded.clone()
    }

    /// Opens a worker's stream, which replaces the worker's previous stream.
    pub async fn attach(&self, hello: Hello, stream: StreamId, outbox: Outbox) -> Result<(), Stopped> {
        let _bytes = self.room_for(hello.bytes()).await?;
        self.send(FromStream::Attach { hello, stream, outbox, _bytes }).await
    }

    /// Hands the messages of a worker to the loop, in order. They are dropped if the stream is no longer the worker's current
    /// stream. Waits while the loop has no room.
    pub async fn messages_received(
        &self,
        worker: WorkerId,
        stream: StreamId,
        messages: Vec<ToCoordinator>,
    ) -> Result<(), Stopped> {
        let at = self.clock.since_1970();
        let _bytes = self.room_for(messages.iter().map(ToCoordinator::bytes).sum()).await?;
        self.send(FromStream::Messages { worker, stream, messages, at, _bytes }).await
    }

    /// Closes a worker's stream.
    pub async fn detach(&self, worker: WorkerId, stream: StreamId) -> Result<(), Stopped> {
        self.send(FromStream::Detach { worker, stream }).await
    }

    /// Reads an answer from the scheduler. The answer contains only committed state, unless the store cannot be written.
    pub async fn ask<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Scheduler) -> T + Send + 'static,
    ) -> Result<T, Stopped> {
        let (reply, answer) = oneshot::channel();
        let query = move |scheduler: &Scheduler| {
            let answer = read(scheduler);
            // The caller may have stopped waiting.
            Box::new(move || drop(reply.send(answer))) as Reply
        };
        self.control.send(Control::Query(Box::new(query))).await.map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }

    /// The notices from now on.
    pub fn notices(&self) -> broadcast::Receiver<Notice> {
        self.notices.subscribe()
    }

    /// The records of each transaction from now on, after its commit.
    pub fn committed(&self) -> broadcast::Receiver<Arc<Vec<Record>>> {
        self.committed.subscribe()
    }

    /// Ends the loop after the commit of all earlier messages.
    pub async fn close(&self) {
        // An error means that the loop has ended already.
        let _ended = self.control.send(Control::Close).await;
    }

    /// Waits until messages with this many bytes may wait for the loop.
    async fn room_for(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Stopped> {
        let bytes = bytes.min(BYTES_QUEUED) as u32;
        Arc::clone(&self.bytes).acquire_many_owned(bytes).await.map_err(|_| Stopped)
    }

    async fn send(&self, message: FromStream) -> Result<(), Stopped> {
        self.from_streams.send(message).await.map_err(|_| Stopped)
    }
}
