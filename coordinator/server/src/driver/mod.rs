//! The only loop of a coordinator: it drives the batcher with a clock, a store and the workers' streams.
//!
//! | module | contents |
//! |---|---|
//! | `handle` | the handle with which callers send to the loop |
//! | `logged` | what a transaction says in the log |
//! | `memory` | the memory that the sessions of workers hold together |
//! | `outbox` | the messages that wait until a worker reads them |
//! | `traced` | what the loop traces |
//! | `write` | writing a transaction to the store |

mod handle;
mod logged;
mod memory;
mod outbox;
mod traced;
mod write;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use biosweep_common::protocol::messages::{Hello, ToCoordinator, ToWorker};
use biosweep_common::vocabulary::ids::WorkerId;
use biosweep_host::clock::Clock;
use biosweep_host::traces::Traces;
use biosweep_scheduler::batcher::{Batcher, Output, Request};
use biosweep_scheduler::event::{Event, Notice, Now};
use biosweep_scheduler::record::Record;
use biosweep_scheduler::scheduler::Scheduler;
use biosweep_store::{Store, StoreError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::metrics::{Metrics, Session};
pub use biosweep_scheduler::batcher::StreamId;
pub use handle::{DriverError, Handle, Stopped};
pub use memory::{MemoryShare, SessionMemory};
pub use outbox::{Letters, Outbox, outbox};
use traced::Traced;
use write::Write;

/// Number of messages that may wait for the loop. Senders of more messages wait.
const QUEUE: usize = 4_096;
/// Bytes of messages that may wait for the loop. Senders of more wait.
const BYTES_QUEUED: usize = 160 << 20;
/// Number of messages that are processed before the loop checks the store again.
const AT_ONCE: usize = 4_096;
/// Number of notices that a slow watcher may miss before it has to read the whole state again.
const NOTICES: usize = 1_024;
/// Number of transactions that a slow reader of records may miss before it has to read the store again.
const TRANSACTIONS: usize = 64;
/// Time limit of a transaction. The coordinator is degraded while a transaction takes longer.
const SLOW: Duration = Duration::from_secs(5);
/// Time limit of the last transactions of a closed loop.
const LAST: Duration = Duration::from_secs(10);

/// Reads an answer from the scheduler on the loop. Returns a function that sends the answer.
type Query = Box<dyn FnOnce(&Scheduler) -> Reply + Send>;
type Reply = Box<dyn FnOnce() + Send>;

/// A message to the loop that is always accepted.
enum Control {
    Event { event: Event, committed: oneshot::Sender<Result<(), DriverError>> },
    Query(Query),
    Close,
}

/// A message from a worker's stream. It is accepted while the batcher has room.
enum FromStream {
    Attach {
        hello: Hello,
        stream: StreamId,
        outbox: Outbox,
        _bytes: OwnedSemaphorePermit,
    },
    /// `at` is the time of the arrival since 1970.
    Messages {
        worker: WorkerId,
        stream: StreamId,
        messages: Vec<ToCoordinator>,
        at: Duration,
        _bytes: OwnedSemaphorePermit,
    },
    Detach {
        worker: WorkerId,
        stream: StreamId,
    },
}

/// A caller that waits for the loop.
enum Caller {
    Event(oneshot::Sender<Result<(), DriverError>>),
    Query(Reply),
}

impl Caller {
    /// Answers the caller. The caller may have stopped waiting.
    fn answer(self, result: Result<(), DriverError>) {
        match self {
            Self::Event(committed) => drop(committed.send(result)),
            Self::Query(reply) => reply(),
        }
    }
}

/// Starts the loop, without traces. Its task ends after [`Handle::close`], or with a permanent error of the store.
pub fn start(
    scheduler: Scheduler,
    store: Arc<dyn Store>,
    clock: Clock,
) -> (Handle, JoinHandle<Result<(), StoreError>>) {
    start_traced(scheduler, store, clock, Traces::off())
}

/// Starts the loop, which sends its spans to `traces`.
pub fn start_traced(
    scheduler: Scheduler,
    store: Arc<dyn Store>,
    clock: Clock,
    traces: Traces,
) -> (Handle, JoinHandle<Result<(), StoreError>>) {
    let ((control, controls), (from_streams, streams)) = (mpsc::channel(QUEUE), mpsc::channel(QUEUE));
    let (notices, _) = broadcast::channel(NOTICES);
    let (committed, _) = broadcast::channel(TRANSACTIONS);
    let (degraded_sender, degraded) = watch::channel(None);
    let bytes = Arc::new(Semaphore::new(BYTES_QUEUED));
    let metrics = Arc::new(Metrics::new(clock));
    let handle = Handle {
        control,
        from_streams,
        bytes,
        memory: SessionMemory::default(),
        notices: notices.clone(),
        committed: committed.clone(),
        degraded,
        store: Arc::clone(&store),
        clock,
        metrics: Arc::clone(&metrics),
        traces: traces.clone(),
    };
    let driver = Driver {
        batcher: Batcher::new(scheduler),
        store,
        clock,
        controls,
        streams,
        streams_of_workers: BTreeMap::new(),
        metrics,
        traced: Traced::new(traces, clock),
        notices,
        committed,
        degraded: degraded_sender,
        failure: None,
        closing: None,
    };
    (handle, tokio::spawn(driver.run()))
}

struct Driver {
    batcher: Batcher<Caller>,
    store: Arc<dyn Store>,
    clock: Clock,
    controls: mpsc::Receiver<Control>,
    streams: mpsc::Receiver<FromStream>,
    /// The current stream of each worker.
    streams_of_workers: BTreeMap<WorkerId, WorkerStream>,
    metrics: Arc<Metrics>,
    traced: Traced,
    notices: broadcast::Sender<Notice>,
    committed: broadcast::Sender<Arc<Vec<Record>>>,
    degraded: watch::Sender<Option<String>>,
    /// The latest error of the store, until a transaction is committed.
    failure: Option<StoreError>,
    /// The time limit of a loop that is closed.
    closing: Option<Instant>,
}

/// The current stream of a worker.
struct WorkerStream {
    id: StreamId,
    /// Takes messages to the worker; `None` if the worker did not receive its messages in time.
    outbox: Option<Outbox>,
    measured: Session,
}

/// The reason why the loop woke up.
enum Woken {
    Control(Option<Control>),
    FromStream(Option<FromStream>),
    Written(Result<(), StoreError>),
    NotWritten(StoreError),
    Time,
}

impl Driver {
    async fn run(mut self) -> Result<(), StoreError> {
        let mut write: Option<Write> = None;
        loop {
            if write.is_none() {
                let (records, outputs) = self.batcher.begin();
                self.traced.on_begin();
                self.release(outputs);
                let now_s = self.clock.seconds();
                write = records.map(|records| Write::start(Arc::clone(&self.store), records, now_s));
                if write.is_none() && self.closing.is_some() {
                    return Ok(());
                }
            }
            match self.wait(write.as_mut()).await {
                Woken::Written(written) => {
                    written?;
                    if let Some(write) = write.take() {
                        self.metrics.on_commit(write.records(), self.clock.seconds() - write.began_s);
                        logged::log(write.records());
                        self.traced.on_commit(write.records());
                        if self.committed.receiver_count() > 0 {
                            // The last reader may just have left.
                            drop(self.committed.send(Arc::clone(write.records())));
                        }
                    }
                    let outputs = self.batcher.committed(self.now());
                    self.release(outputs);
                    self.failure = None;
                    // Watchers wake up only if this changes.
                    if self.degraded.send_if_modified(|degraded| degraded.take().is_some()) {
                        tracing::info!("the store can be written again");
                    }
                }
                Woken::NotWritten(error) => {
                    self.metrics.on_commit_failed();
                    self.on_write_failed(&error);
                    if self.closing.is_some() {
                        return Err(error);
                    }
                    self.failure = Some(error);
                }
                Woken::Control(control) => {
                    self.process_stream_messages(None);
                    self.process_controls(control);
                    if self.closing.is_some() {
                        // If the store cannot be written, a closed loop does not wait for it.
                        self.failure.take().map_or(Ok(()), Err)?;
                        // Messages that workers sent before the loop was closed are not lost.
                        self.process_stream_messages(None);
                    }
                }
                Woken::FromStream(message) => self.process_stream_messages(message),
                Woken::Time => {
                    let now = self.now();
                    self.batcher.tick(now);
                    if self.closing.is_some_and(|until| until <= Instant::now()) {
                        return Err(StoreError::Silent { seconds: LAST.as_secs() });
                    }
                }
            }
        }
    }

    /// Waits for the next message, write result or deadline.
    async fn wait(&mut self, write: Option<&mut Write>) -> Woken {
        let deadline = self.batcher.next_deadline();
        let wait = deadline.map(|at| Duration::from_millis(at.since_ms(self.clock.now())));
        let deadline = self.closing.or(wait.and_then(|wait| Instant::now().checked_add(wait)));
        let time = async {
            match deadline {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let written = async {
            match write {
                Some(write) => write.next().await,
                None => std::future::pending().await,
            }
        };
        let (is_open, has_room) = (self.closing.is_none(), self.batcher.has_room());
        tokio::select! {
            biased;
            written = written => match written {
                write::Progress::Ended(written) => Woken::Written(written),
                write::Progress::Failed(error) => Woken::NotWritten(error),
            },
            () = time => Woken::Time,
            control = self.controls.recv(), if is_open => Woken::Control(control),
            Some(message) = self.streams.recv(), if is_open && has_room => Woken::FromStream(Some(message)),
        }
    }

    fn now(&self) -> Now {
        Now { tick: self.clock.now(), wall: self.clock.wall() }
    }

    /// Processes the messages of workers that have arrived, as long as the batcher has room.
    fn process_stream_messages(&mut self, first: Option<FromStream>) {
        let now = self.now();
        self.batcher.tick(now);
        let mut next = first;
        for _ in 0..AT_ONCE {
            let Some(message) = next.take().or_else(|| self.next_stream_message()) else { return };
            let request = match message {
                FromStream::Attach { hello, stream, outbox, _bytes } => {
                    let measured = Session::new(&hello);
                    let opened = WorkerStream { id: stream, outbox: Some(outbox), measured };
                    self.streams_of_workers.insert(hello.worker, opened);
                    Request::Attach { hello, stream }
                }
                FromStream::Messages { worker, stream, messages, at, _bytes } => {
                    let current = self.streams_of_workers.get_mut(&worker).filter(|current| current.id == stream);
                    if let Some(current) = current {
                        let now_s = self.clock.seconds();
                        let mut measure = |message| current.measured.on_received(&self.metrics, now_s, message);
                        messages.iter().for_each(&mut measure);
                        self.traced.on_received(at, &messages);
                    }
                    Request::Messages { worker, stream, messages }
                }
                FromStream::Detach { worker, stream } => {
                    if self.streams_of_workers.get(&worker).is_some_and(|current| current.id == stream) {
                        self.streams_of_workers.remove(&worker);
                    }
                    Request::Detach { worker, stream }
                }
            };
            let outputs = self.batcher.on_request(now, request);
            self.release(outputs);
        }
    }

    fn next_stream_message(&mut self) -> Option<FromStream> {
        if self.batcher.has_room() { self.streams.try_recv().ok() } else { None }
    }

    /// Processes the events and queries that have arrived. The loop closes if all handles are dropped.
    fn process_controls(&mut self, first: Option<Control>) {
        let now = self.now();
        let mut next = Some(first.unwrap_or(Control::Close));
        while let Some(control) = next {
            let outputs = match control {
                Control::Event { event, committed } => {
                    self.batcher.on_request(now, Request::Event { event, caller: Caller::Event(committed) })
                }
                Control::Query(query) => {
                    let reply = query(self.batcher.scheduler());
                    self.batcher.answer(Caller::Query(reply)).into_iter().collect()
                }
                Control::Close => {
                    self.closing = Some(Instant::now() + LAST);
                    return;
                }
            };
            self.release(outputs);
            next = self.controls.try_recv().ok();
        }
    }

    fn on_write_failed(&mut self, error: &StoreError) {
        let degraded = format!("{error}; nothing is granted and nothing is lost until the store can be written again");
        let outputs = self.batcher.failed(degraded.clone());
        if self.degraded.send_replace(Some(degraded)).is_none() {
            tracing::error!(%error, "the store cannot be written; nothing is granted until it can be written again");
        }
        self.release(outputs);
    }

    fn release(&mut self, outputs: Vec<Output<Caller>>) {
        for output in outputs {
            match output {
                Output::Send { worker, messages } => self.send(worker, messages),
                // There may be no watchers.
                Output::Notify(notice) => drop(self.notices.send(notice)),
                Output::Done(caller) => caller.answer(Ok(())),
                Output::Refused(caller, why) => caller.answer(Err(DriverError::Degraded(why))),
            }
        }
    }

    fn send(&mut self, worker: WorkerId, mut messages: Vec<ToWorker>) {
        let Some(WorkerStream { outbox: outbox @ Some(_), measured, .. }) = self.streams_of_workers.get_mut(&worker)
        else {
            return;
        };
        let scheduler = self.batcher.scheduler();
        let is_first = |sweep, trajectory| scheduler.is_first_attempt(sweep, trajectory);
        measured.on_sent(&self.metrics, self.clock.seconds(), &messages, is_first);
        self.traced.on_sent(&mut messages);
        if let Some(Err(error)) = outbox.as_ref().map(|outbox| outbox.add(messages)) {
            tracing::warn!(%worker, %error, "the worker is disconnected because it does not receive its messages");
            *outbox = None;
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
