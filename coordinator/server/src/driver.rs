//! The only loop: event → apply → commit every `Persist` in one transaction → release the other actions → wait.
//!
//! While one transaction is on its way to the disk, what comes is decided already and gathered for the next; nothing of it
//! is released before it is on disk itself.

mod commit;
mod handle;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use biosweep_common::ids::{SweepId, WorkerId};
use biosweep_common::protocol::messages::{Hello, ToCoordinator, ToWorker};
use biosweep_host::clock::Clock;
use biosweep_scheduler::event::{Action, Event, Notice, Now};
use biosweep_scheduler::record::Record;
use biosweep_scheduler::scheduler::Scheduler;
use biosweep_store::{Store, StoreError};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

pub use handle::{DriverError, Handle, Stopped};

/// Requests that may wait for the loop; more make their senders wait.
const QUEUE: usize = 4_096;
/// Requests taken into one transaction, about: enough that the disk's latency weighs little on each.
const BATCH: usize = 4_096;
/// Points of reports that are taken into one transaction, about: a transaction and the memory for it stay of one size, however
/// long the curves are that come at once.
const POINTS: usize = 1_000_000;
/// Transactions whose messages may wait for one worker; a worker that lets more pile up is cut off, and comes back.
pub const OUTBOX: usize = 64;

/// The way to a worker's stream: the messages that one transaction has for it, in order, at once.
pub type Outbox = mpsc::Sender<Vec<ToWorker>>;
/// Notices a slow watcher may lag behind before it is told the state anew.
const NOTICES: usize = 1_024;

/// How late the loop may come to a deadline before it is clear that nobody could be heard meanwhile.
const LATE_MS: u64 = 500;

/// A question to the scheduler, asked on the loop; it gives back the answer, still to be sent.
type Query = Box<dyn FnOnce(&Scheduler) -> Reply + Send>;
type Reply = Box<dyn FnOnce() + Send>;

enum Request {
    Event { event: Event, committed: oneshot::Sender<Result<(), DriverError>> },
    Attach { hello: Hello, stream: StreamId, outbox: Outbox },
    Said { worker: WorkerId, stream: StreamId, messages: Vec<ToCoordinator> },
    Detach { worker: WorkerId, stream: StreamId },
    Query(Query),
    Close,
}

/// Tells a worker's present stream from those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamId(pub u64);

/// Starts the loop.
pub fn start(
    scheduler: Scheduler,
    store: Arc<dyn Store>,
    clock: Clock,
) -> (Handle, JoinHandle<Result<(), StoreError>>) {
    let (requests, queue) = mpsc::channel(QUEUE);
    let (notices, _) = broadcast::channel(NOTICES);
    let (degraded_sender, degraded) = watch::channel(None);
    let handle = Handle { requests, notices: notices.clone(), degraded, store: Arc::clone(&store), clock };
    let (streams, deferred, closing) = (BTreeMap::new(), VecDeque::new(), false);
    let driver =
        Driver { scheduler, store, clock, queue, notices, degraded: degraded_sender, streams, deferred, closing };
    (handle, tokio::spawn(driver.run()))
}

struct Driver {
    scheduler: Scheduler,
    store: Arc<dyn Store>,
    clock: Clock,
    queue: mpsc::Receiver<Request>,
    notices: broadcast::Sender<Notice>,
    degraded: watch::Sender<Option<String>>,
    streams: BTreeMap<WorkerId, Stream>,
    /// What came and is still to be decided: while the store could not be written, nothing is.
    deferred: VecDeque<Request>,
    /// Whether the loop was closed while the store could not be written: it ends without what is not on disk.
    closing: bool,
}

struct Stream {
    id: StreamId,
    /// Gone once the worker has let too much pile up: the stream then ends, and is detached by its task.
    outbox: Option<Outbox>,
}

/// What was decided, and waits for its transaction.
#[derive(Default)]
struct Batch {
    /// The requests it comes from, each message of a worker's counted as one.
    requests: usize,
    /// The points of the reports among them.
    points: usize,
    records: Vec<Record>,
    /// What is to be released when the records are on disk, in order.
    releases: Vec<Release>,
    /// The sweeps of which something changed: told once, however much it was.
    changed: BTreeSet<SweepId>,
    committed: Vec<oneshot::Sender<Result<(), DriverError>>>,
    replies: Vec<Reply>,
    /// Whether the loop ends with it.
    is_last: bool,
}

/// Messages to workers, by the stream that they go to.
type Outgoing = BTreeMap<(WorkerId, StreamId), Vec<ToWorker>>;

/// What waits while a transaction is on its way to the disk.
struct Pending<'a> {
    /// What the transaction is of.
    batch: &'a mut Batch,
    /// What is decided meanwhile; nothing is where the loop ends with the transaction.
    next: Option<&'a mut Batch>,
}

impl Pending<'_> {
    fn batches(&mut self) -> impl Iterator<Item = &mut Batch> {
        std::iter::once(&mut *self.batch).chain(self.next.as_deref_mut())
    }
}

/// What may not leave before its transaction is on disk.
enum Release {
    /// To a worker, on the stream that was its present one when this was decided: on a later one it says itself what it
    /// holds, and is answered.
    Message {
        worker: WorkerId,
        stream: StreamId,
        message: ToWorker,
    },
    Notice(Notice),
}

impl Batch {
    fn add(&mut self, actions: Vec<Action>, streams: &BTreeMap<WorkerId, Stream>) {
        for action in actions {
            match action {
                Action::Persist(record) => self.records.push(record),
                Action::Send { worker, message } => {
                    if let Some(stream) = streams.get(&worker) {
                        self.send(worker, stream.id, message);
                    }
                }
                Action::Notify(Notice::Changed(sweep)) => drop(self.changed.insert(sweep)),
                Action::Notify(notice) => self.releases.push(Release::Notice(notice)),
            }
        }
    }

    /// Acknowledgements that follow on each other become one.
    fn send(&mut self, to: WorkerId, on: StreamId, message: ToWorker) {
        if let ToWorker::Acknowledged { attempt, trajectories, accepted } = &message
            && let Some(Release::Message {
                worker,
                stream,
                message: ToWorker::Acknowledged { attempt: of, trajectories: before, accepted: verdict },
            }) = self.releases.last_mut()
            && (*worker, *stream, *of, *verdict) == (to, on, *attempt, *accepted)
        {
            return before.extend(trajectories);
        }
        self.releases.push(Release::Message { worker: to, stream: on, message });
    }

    /// Whether more may be taken in.
    const fn has_room(&self) -> bool {
        self.requests < BATCH && self.points < POINTS && !self.is_last
    }
}

impl Driver {
    async fn run(mut self) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        loop {
            if batch.requests == 0 && !batch.is_last {
                self.wait(&mut batch).await;
            }
            let next = self.commit_and_release(batch).await?;
            let Some(next) = next else { return Ok(()) };
            batch = next;
        }
    }

    /// Waits for requests or for the next deadline, and takes in what there is.
    async fn wait(&mut self, batch: &mut Batch) {
        if self.deferred.is_empty() {
            let deadline = self.scheduler.next_deadline();
            let wait = deadline.map(|at| Duration::from_millis(at.since_ms(self.clock.now())));
            tokio::select! {
                request = self.queue.recv() => self.receive(request, batch),
                () = tokio::time::sleep(wait.unwrap_or(Duration::MAX)) => {}
            }
        }
        self.take_in(batch);
    }

    /// Has a request wait to be decided; none will come any more where there is none.
    fn receive(&mut self, request: Option<Request>, batch: &mut Batch) {
        batch.is_last |= request.is_none();
        self.deferred.extend(request);
    }

    /// Decides what is to be done about the time, and about the requests that have come, as far as there is room.
    fn take_in(&mut self, batch: &mut Batch) {
        let now = self.now();
        if self.scheduler.next_deadline().is_some_and(|at| now.tick > at.after_ms(LATE_MS)) {
            // This process slept: what workers said meanwhile is still on its way.
            batch.add(self.scheduler.apply(now, Event::Awoke), &self.streams);
        }
        batch.add(self.scheduler.apply(now, Event::Ticked), &self.streams);
        while batch.has_room()
            && let Some(request) = self.deferred.pop_front().or_else(|| self.queue.try_recv().ok())
        {
            batch.requests += 1;
            self.take(now, request, batch);
        }
    }

    fn now(&self) -> Now {
        Now { tick: self.clock.now(), wall: self.clock.wall() }
    }

    fn take(&mut self, now: Now, request: Request, batch: &mut Batch) {
        let actions = match request {
            Request::Event { event, committed } => {
                batch.committed.push(committed);
                self.scheduler.apply(now, event)
            }
            Request::Attach { hello, stream, outbox } => {
                let worker = hello.worker;
                self.streams.insert(worker, Stream { id: stream, outbox: Some(outbox) });
                self.scheduler.apply(now, Event::Message { worker, message: ToCoordinator::Hello(hello) })
            }
            Request::Said { worker, stream, messages } if self.is_present(worker, stream) => {
                batch.requests += messages.len();
                for message in messages {
                    batch.points += points(&message);
                    batch.add(self.scheduler.apply(now, Event::Message { worker, message }), &self.streams);
                }
                Vec::new()
            }
            Request::Detach { worker, stream } if self.is_present(worker, stream) => {
                self.streams.remove(&worker);
                self.scheduler.apply(now, Event::Disconnected(worker))
            }
            Request::Said { .. } | Request::Detach { .. } => Vec::new(),
            Request::Query(query) => {
                batch.replies.push(query(&self.scheduler));
                Vec::new()
            }
            Request::Close => {
                batch.is_last = true;
                Vec::new()
            }
        };
        batch.add(actions, &self.streams);
    }

    fn is_present(&self, worker: WorkerId, stream: StreamId) -> bool {
        self.streams.get(&worker).is_some_and(|present| present.id == stream)
    }

    /// Brings a batch to an end; what was decided meanwhile, or nothing where the loop is to end.
    async fn commit_and_release(&mut self, mut batch: Batch) -> Result<Option<Batch>, StoreError> {
        let mut next = Batch::default();
        if !batch.records.is_empty() {
            let next = if batch.is_last { None } else { Some(&mut next) };
            self.commit(Pending { batch: &mut batch, next }).await?;
        }
        let Batch { releases, changed, committed, replies, is_last, .. } = batch;
        let mut outgoing = Outgoing::default();
        for release in releases {
            match release {
                Release::Message { worker, stream, message } => {
                    outgoing.entry((worker, stream)).or_default().push(message);
                }
                // Nobody may be watching.
                Release::Notice(notice) => drop(self.notices.send(notice)),
            }
        }
        changed.into_iter().for_each(|sweep| drop(self.notices.send(Notice::Changed(sweep))));
        self.send_all(outgoing);
        for reply in committed {
            // Whoever asked may not be waiting any more.
            let _gone = reply.send(Ok(()));
        }
        replies.into_iter().for_each(|reply| reply());
        Ok((!is_last).then_some(next))
    }

    fn send_all(&mut self, outgoing: Outgoing) {
        outgoing.into_iter().for_each(|((worker, stream), messages)| self.send_to(worker, stream, messages));
    }

    fn send_to(&mut self, worker: WorkerId, stream: StreamId, messages: Vec<ToWorker>) {
        let Some(stream) = self.streams.get_mut(&worker).filter(|present| present.id == stream) else { return };
        if let Some(outbox) = &stream.outbox
            && let Err(error) = outbox.try_send(messages)
        {
            tracing::warn!(%worker, %error, "a worker's stream is cut: it takes nothing");
            stream.outbox = None;
        }
    }
}

/// The points of a report, where it is one.
fn points(message: &ToCoordinator) -> usize {
    if let ToCoordinator::AttemptEnded(report) = message { report.points() } else { 0 }
}

#[cfg(test)]
pub(crate) mod tests;
