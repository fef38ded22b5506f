//! The only loop: event → apply → commit every `Persist` in one transaction → release the other actions → wait.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use biosweep_common::clock::{Clock, Tick};
use biosweep_common::ids::WorkerId;
use biosweep_common::messages::{Hello, ToCoordinator, ToWorker};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::core::event::{Action, Event, Notice, Now};
use crate::core::scheduler::Core;
use crate::store::record::Record;
use crate::store::{Store, StoreError};

/// Requests that may wait for the loop; more make their senders wait.
const QUEUE: usize = 4_096;
/// Requests taken into one transaction.
const BATCH: usize = 1_024;
/// Messages that may wait for one worker; a worker that lets more pile up is cut off, and comes back.
pub(crate) const OUTBOX: usize = 1_024;
/// Notices a slow watcher may lag behind before it is told the state anew.
const NOTICES: usize = 1_024;

/// The first pause before a store that could not be written is tried again, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// How late the loop may come to a deadline before it is clear that nobody could be heard meanwhile.
const LATE_MS: u64 = 500;

/// A question to the core, asked on the loop.
type Query = Box<dyn FnOnce(&Core) + Send>;

enum Request {
    Event { event: Event, committed: oneshot::Sender<Result<(), Unable>> },
    Attach { hello: Hello, stream: StreamId, outbox: mpsc::Sender<ToWorker> },
    Said { worker: WorkerId, stream: StreamId, message: ToCoordinator },
    Detach { worker: WorkerId, stream: StreamId },
    Query(Query),
    Close,
}

/// Tells a worker's present stream from those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StreamId(pub(crate) u64);

/// The loop is gone: the coordinator is stopping, or its store failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the coordinator is stopping")]
pub(crate) struct Stopped;

/// Why an event was not applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unable {
    /// The loop is gone.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// The store cannot be written at present.
    #[error("{0}")]
    Trouble(String),
}

/// The way to the loop; as many copies as there are callers.
#[derive(Clone)]
pub(crate) struct Handle {
    requests: mpsc::Sender<Request>,
    notices: broadcast::Sender<Notice>,
    trouble: watch::Receiver<Option<String>>,
    /// For reads that need not go through the loop.
    pub(crate) store: Arc<dyn Store>,
    /// The clock the loop reads.
    pub(crate) clock: Clock,
}

impl Handle {
    /// Applies an event; returns when what it led to is committed.
    pub(crate) async fn apply(&self, event: Event) -> Result<(), Unable> {
        let (committed, done) = oneshot::channel();
        self.send(Request::Event { event, committed }).await?;
        done.await.map_err(|_| Stopped)?
    }

    /// What keeps the loop from granting anything, as it changes: a store that cannot be written.
    pub(crate) fn trouble(&self) -> watch::Receiver<Option<String>> {
        self.trouble.clone()
    }

    /// Opens a worker's stream; it replaces the one before.
    pub(crate) async fn attach(
        &self,
        hello: Hello,
        stream: StreamId,
        outbox: mpsc::Sender<ToWorker>,
    ) -> Result<(), Stopped> {
        self.send(Request::Attach { hello, stream, outbox }).await
    }

    /// Hands in what a worker said; dropped where the stream is no longer its present one.
    pub(crate) async fn said(&self, worker: WorkerId, stream: StreamId, message: ToCoordinator) -> Result<(), Stopped> {
        self.send(Request::Said { worker, stream, message }).await
    }

    /// Closes a worker's stream.
    pub(crate) async fn detach(&self, worker: WorkerId, stream: StreamId) -> Result<(), Stopped> {
        self.send(Request::Detach { worker, stream }).await
    }

    /// Asks the core; the answer holds nothing that is not committed, unless the store is in trouble.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Core) -> T + Send + 'static,
    ) -> Result<T, Stopped> {
        let (reply, answer) = oneshot::channel();
        let query = Box::new(move |core: &Core| drop(reply.send(question(core))));
        self.send(Request::Query(query)).await?;
        answer.await.map_err(|_| Stopped)
    }

    /// News from now on.
    pub(crate) fn notices(&self) -> broadcast::Receiver<Notice> {
        self.notices.subscribe()
    }

    /// Ends the loop once what is queued before is done.
    pub(crate) async fn close(&self) {
        // An error means that it has ended already.
        let _ended = self.send(Request::Close).await;
    }

    async fn send(&self, request: Request) -> Result<(), Stopped> {
        self.requests.send(request).await.map_err(|_| Stopped)
    }
}

/// Starts the loop.
pub(crate) fn start(core: Core, store: Arc<dyn Store>, clock: Clock) -> (Handle, JoinHandle<Result<(), StoreError>>) {
    let (requests, queue) = mpsc::channel(QUEUE);
    let (notices, _) = broadcast::channel(NOTICES);
    let (troubled, trouble) = watch::channel(None);
    let handle = Handle { requests, notices: notices.clone(), trouble, store: Arc::clone(&store), clock };
    let driver = Driver { core, store, clock, notices, troubled, streams: BTreeMap::new(), deferred: Vec::new() };
    (handle, tokio::spawn(driver.run(queue)))
}

struct Driver {
    core: Core,
    store: Arc<dyn Store>,
    clock: Clock,
    notices: broadcast::Sender<Notice>,
    troubled: watch::Sender<Option<String>>,
    streams: BTreeMap<WorkerId, Stream>,
    /// What came while the store could not be written.
    deferred: Vec<Request>,
}

struct Stream {
    id: StreamId,
    /// Gone once the worker has let too much pile up: the stream then ends, and is detached by its task.
    outbox: Option<mpsc::Sender<ToWorker>>,
}

/// What is to be answered once the batch is committed.
#[derive(Default)]
struct Answers {
    committed: Vec<oneshot::Sender<Result<(), Unable>>>,
    queries: Vec<Query>,
    close: bool,
}

impl Driver {
    async fn run(mut self, mut queue: mpsc::Receiver<Request>) -> Result<(), StoreError> {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let deadline = self.core.next_deadline();
            if self.deferred.is_empty() {
                let wait = deadline.map(|at| Duration::from_millis(at.since_ms(self.clock.now())));
                tokio::select! {
                    taken = queue.recv_many(&mut batch, BATCH) => if taken == 0 { return Ok(()) },
                    () = tokio::time::sleep(wait.unwrap_or(Duration::MAX)) => {}
                }
            } else {
                batch.append(&mut self.deferred);
            }
            let now = self.now();
            let mut actions = Vec::new();
            if deadline.is_some_and(|at| now.tick > at.after_ms(LATE_MS)) {
                // This process slept: what workers said meanwhile is still on its way.
                actions.extend(self.core.apply(now, Event::Awoke));
            }
            actions.extend(self.core.apply(now, Event::Ticked));
            let mut answers = Answers::default();
            for request in batch.drain(..) {
                actions.extend(self.take(now, request, &mut answers));
            }
            self.commit_and_release(actions, &mut queue).await?;
            for reply in answers.committed {
                // Whoever asked may not be waiting any more.
                let _gone = reply.send(Ok(()));
            }
            answers.queries.into_iter().for_each(|query| query(&self.core));
            if answers.close {
                return Ok(());
            }
        }
    }

    fn now(&self) -> Now {
        Now { tick: self.clock.now(), wall: self.clock.wall() }
    }

    fn take(&mut self, now: Now, request: Request, answers: &mut Answers) -> Vec<Action> {
        match request {
            Request::Event { event, committed } => {
                answers.committed.push(committed);
                self.core.apply(now, event)
            }
            Request::Attach { hello, stream, outbox } => {
                let worker = hello.worker;
                self.streams.insert(worker, Stream { id: stream, outbox: Some(outbox) });
                self.core.apply(now, Event::Said { worker, message: ToCoordinator::Hello(hello) })
            }
            Request::Said { worker, stream, message } if self.is_present(worker, stream) => {
                self.core.apply(now, Event::Said { worker, message })
            }
            Request::Detach { worker, stream } if self.is_present(worker, stream) => {
                self.streams.remove(&worker);
                self.core.apply(now, Event::Disconnected(worker))
            }
            Request::Said { .. } | Request::Detach { .. } => Vec::new(),
            Request::Query(query) => {
                answers.queries.push(query);
                Vec::new()
            }
            Request::Close => {
                answers.close = true;
                Vec::new()
            }
        }
    }

    fn is_present(&self, worker: WorkerId, stream: StreamId) -> bool {
        self.streams.get(&worker).is_some_and(|present| present.id == stream)
    }

    async fn commit_and_release(
        &mut self,
        actions: Vec<Action>,
        queue: &mut mpsc::Receiver<Request>,
    ) -> Result<(), StoreError> {
        let mut records: Vec<Record> = Vec::new();
        let mut rest = Vec::with_capacity(actions.len());
        for action in actions {
            match action {
                Action::Persist(record) => records.push(record),
                other => rest.push(other),
            }
        }
        if !records.is_empty() {
            self.commit(&records, queue).await?;
        }
        for action in rest {
            match action {
                Action::Persist(_) => {}
                Action::Send { worker, message } => self.post(worker, message),
                // Nobody may be watching.
                Action::Notify(notice) => drop(self.notices.send(notice)),
            }
        }
        Ok(())
    }

    /// Commits, however long the store needs to be written again. Nothing is released and nothing new is decided until
    /// then, so that nothing can be lost; questions are answered, and say what the trouble is.
    async fn commit(&mut self, records: &[Record], queue: &mut mpsc::Receiver<Request>) -> Result<(), StoreError> {
        let mut pause = PAUSES.0;
        while let Err(error) = self.store.commit(records).await {
            if !matches!(error, StoreError::Unavailable { .. }) {
                return Err(error);
            }
            let trouble = format!("{error}; nothing is granted and nothing is lost until it can be written again");
            if self.troubled.send_replace(Some(trouble.clone())).is_none() {
                tracing::error!(%error, "the store cannot be written: nothing is granted until it can");
            }
            if !self.defer(self.clock.now().after_ms(pause.as_millis() as u64), &trouble, queue).await {
                return Err(error);
            }
            pause = (2 * pause).min(PAUSES.1);
        }
        if self.troubled.send_replace(None).is_some() {
            tracing::info!("the store is written again");
            let now = self.now();
            // It has nothing to commit: it only moves deadlines.
            drop(self.core.apply(now, Event::Awoke));
        }
        Ok(())
    }

    /// Takes in what comes until then; false where the loop is to end.
    async fn defer(&mut self, until: Tick, trouble: &str, queue: &mut mpsc::Receiver<Request>) -> bool {
        loop {
            let left = Duration::from_millis(until.since_ms(self.clock.now()));
            let request = tokio::select! {
                request = queue.recv() => request,
                () = tokio::time::sleep(left) => return true,
            };
            match request {
                None | Some(Request::Close) => return false,
                Some(Request::Query(query)) => query(&self.core),
                Some(Request::Event { event, committed }) if event.is_wish() => {
                    // Whoever asked may not be waiting any more.
                    let _gone = committed.send(Err(Unable::Trouble(trouble.to_owned())));
                }
                // Only the latest of these tells anything, and it will come.
                Some(Request::Said {
                    message: ToCoordinator::Heartbeat { .. } | ToCoordinator::Evaluated { .. },
                    ..
                }) => {}
                Some(other) => self.deferred.push(other),
            }
        }
    }

    fn post(&mut self, worker: WorkerId, message: ToWorker) {
        let Some(stream) = self.streams.get_mut(&worker) else { return };
        if let Some(outbox) = &stream.outbox
            && let Err(error) = outbox.try_send(message)
        {
            tracing::warn!(%worker, %error, "a worker's stream is cut: it takes nothing");
            stream.outbox = None;
        }
    }
}

#[cfg(test)]
mod tests;
