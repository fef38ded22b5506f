//! The only loop of a coordinator: it drives the batcher with a clock, a store and the workers' streams.
//!
//! | module | contents |
//! |---|---|
//! | `handle` | the way to the loop |
//! | `write` | the way of a transaction to the store |

mod handle;
mod write;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use biosweep_common::ids::WorkerId;
use biosweep_common::protocol::messages::{Hello, ToCoordinator, ToWorker};
use biosweep_host::clock::Clock;
use biosweep_scheduler::batcher::{Batcher, Output, Request};
use biosweep_scheduler::event::{Event, Notice, Now};
use biosweep_scheduler::scheduler::Scheduler;
use biosweep_store::{Store, StoreError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub use biosweep_scheduler::batcher::StreamId;
pub use handle::{DriverError, Handle, Stopped};
use write::Write;

/// Messages that may wait for the loop. More make their senders wait.
const QUEUE: usize = 4_096;
/// Evaluations in the reports that may wait for the loop. More make their senders wait.
const POINTS_QUEUED: usize = 4_000_000;
/// Messages that are taken in before the loop looks at the store again.
const AT_ONCE: usize = 4_096;
/// Batches of messages that may wait for one worker. A worker that lets more wait is cut off, and comes back.
pub const OUTBOX: usize = 64;
/// Notices that a slow watcher may lag behind before it is told the state anew.
const NOTICES: usize = 1_024;
/// A transaction that takes longer makes the coordinator degraded.
const SLOW: Duration = Duration::from_secs(5);
/// The time that a loop that ends has for its last transactions.
const LAST: Duration = Duration::from_secs(10);

/// The way to a worker's stream: the messages that one transaction has for it, in order.
pub type Outbox = mpsc::Sender<Vec<ToWorker>>;

/// A question to the scheduler, asked on the loop. It returns the answer, still to be sent.
type Query = Box<dyn FnOnce(&Scheduler) -> Reply + Send>;
type Reply = Box<dyn FnOnce() + Send>;

/// A message to the loop that is always taken in.
enum Control {
    Event { event: Event, committed: oneshot::Sender<Result<(), DriverError>> },
    Query(Query),
    Close,
}

/// A message from a worker's stream. It is taken in while there is room for what follows from it.
enum FromStream {
    Attach { hello: Hello, stream: StreamId, outbox: Outbox },
    Messages { worker: WorkerId, stream: StreamId, messages: Vec<ToCoordinator>, _points: OwnedSemaphorePermit },
    Detach { worker: WorkerId, stream: StreamId },
}

/// Whoever waits for the loop.
enum Asker {
    Event(oneshot::Sender<Result<(), DriverError>>),
    Query(Reply),
}

impl Asker {
    /// Answers. The asker may not be waiting any more.
    fn answer(self, result: Result<(), DriverError>) {
        match self {
            Self::Event(committed) => drop(committed.send(result)),
            Self::Query(reply) => reply(),
        }
    }
}

/// Starts the loop. Its task ends after [`Handle::close`], or with an error of the store that trying again does not mend.
pub fn start(
    scheduler: Scheduler,
    store: Arc<dyn Store>,
    clock: Clock,
) -> (Handle, JoinHandle<Result<(), StoreError>>) {
    let ((control, controls), (from_streams, streams)) = (mpsc::channel(QUEUE), mpsc::channel(QUEUE));
    let (notices, _) = broadcast::channel(NOTICES);
    let (degraded_sender, degraded) = watch::channel(None);
    let points = Arc::new(Semaphore::new(POINTS_QUEUED));
    let handle =
        Handle { control, from_streams, points, notices: notices.clone(), degraded, store: Arc::clone(&store), clock };
    let driver = Driver {
        batcher: Batcher::new(scheduler),
        store,
        clock,
        controls,
        streams,
        outboxes: BTreeMap::new(),
        notices,
        degraded: degraded_sender,
        failure: None,
        closing: None,
    };
    (handle, tokio::spawn(driver.run()))
}

struct Driver {
    batcher: Batcher<Asker>,
    store: Arc<dyn Store>,
    clock: Clock,
    controls: mpsc::Receiver<Control>,
    streams: mpsc::Receiver<FromStream>,
    /// The outbox of each worker's present stream. A worker that let too much wait has none, until its stream is detached.
    outboxes: BTreeMap<WorkerId, (StreamId, Option<Outbox>)>,
    notices: broadcast::Sender<Notice>,
    degraded: watch::Sender<Option<String>>,
    /// Why the store could not be written, the last time it was tried.
    failure: Option<StoreError>,
    /// The moment until which a loop that was closed may go on.
    closing: Option<Instant>,
}

/// What woke the loop.
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
                self.release(outputs);
                write = records.map(|records| Write::start(Arc::clone(&self.store), records));
                if write.is_none() && self.closing.is_some() {
                    return Ok(());
                }
            }
            match self.wait(write.as_mut()).await {
                Woken::Written(written) => {
                    written?;
                    write = None;
                    let outputs = self.batcher.committed(self.now());
                    self.release(outputs);
                    self.failure = None;
                    if self.degraded.send_replace(None).is_some() {
                        tracing::info!("the store is written again");
                    }
                }
                Woken::NotWritten(error) => {
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
                        // A loop that is closed while the store cannot be written does not wait for it.
                        self.failure.take().map_or(Ok(()), Err)?;
                        // What the workers said before the loop was closed is not lost.
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

    /// Waits until something happens.
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

    /// Takes in the messages of workers that have come, as far as there is room.
    fn process_stream_messages(&mut self, first: Option<FromStream>) {
        let now = self.now();
        self.batcher.tick(now);
        let mut next = first;
        for _ in 0..AT_ONCE {
            let Some(message) = next.take().or_else(|| self.next_stream_message()) else { return };
            let request = match message {
                FromStream::Attach { hello, stream, outbox } => {
                    self.outboxes.insert(hello.worker, (stream, Some(outbox)));
                    Request::Attach { hello, stream }
                }
                FromStream::Messages { worker, stream, messages, _points } => {
                    Request::Messages { worker, stream, messages }
                }
                FromStream::Detach { worker, stream } => {
                    if self.outboxes.get(&worker).is_some_and(|&(present, _)| present == stream) {
                        self.outboxes.remove(&worker);
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

    /// Takes in the events and questions that have come. The loop closes when nobody can send any.
    fn process_controls(&mut self, first: Option<Control>) {
        let now = self.now();
        let mut next = Some(first.unwrap_or(Control::Close));
        while let Some(control) = next {
            let outputs = match control {
                Control::Event { event, committed } => {
                    self.batcher.on_request(now, Request::Event { event, asker: Asker::Event(committed) })
                }
                Control::Query(query) => {
                    let reply = query(self.batcher.scheduler());
                    self.batcher.answer(Asker::Query(reply)).into_iter().collect()
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
        let degraded = format!("{error}; nothing is granted and nothing is lost until it can be written again");
        let outputs = self.batcher.failed(degraded.clone());
        if self.degraded.send_replace(Some(degraded)).is_none() {
            tracing::error!(%error, "the store cannot be written: nothing is granted until it can");
        }
        self.release(outputs);
    }

    fn release(&mut self, outputs: Vec<Output<Asker>>) {
        for output in outputs {
            match output {
                Output::Send { worker, messages } => self.send(worker, messages),
                // Nobody may be watching.
                Output::Notify(notice) => drop(self.notices.send(notice)),
                Output::Done(asker) => asker.answer(Ok(())),
                Output::Refused(asker, why) => asker.answer(Err(DriverError::Degraded(why))),
            }
        }
    }

    fn send(&mut self, worker: WorkerId, messages: Vec<ToWorker>) {
        let Some((_, outbox)) = self.outboxes.get_mut(&worker) else { return };
        if let Some(Err(error)) = outbox.as_ref().map(|outbox| outbox.try_send(messages)) {
            tracing::warn!(%worker, %error, "a worker's stream is cut: it takes nothing");
            *outbox = None;
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
