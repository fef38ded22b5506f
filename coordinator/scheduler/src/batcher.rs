//! The batcher: applies events, gathers what they lead to into transactions, and releases it once these are committed.
//!
//! It is pure, like the scheduler that it owns: the coordinator's loop drives it with a store and a network, and the simulation
//! without. While one transaction is on its way to the disk, the next is gathered.
//!
//! A store that cannot be written makes the batcher *degraded*. Then
//! - questions are answered from what is decided, and commands are refused;
//! - messages of workers are still taken in, as long as there is room, and nothing that follows from them is released;
//! - workers that are to leave are told so, and told not to wait for acknowledgements that cannot come.

mod batch;

use std::collections::BTreeMap;
use std::sync::Arc;

use biosweep_common::ids::{Attempt, TrajectoryIndex, WorkerId};
use biosweep_common::protocol::messages::{Hello, Report, ToCoordinator, ToWorker};
use biosweep_common::time::Tick;

use crate::event::{Event, Notice, Now};
use crate::record::Record;
use crate::scheduler::Scheduler;
use batch::Batch;

/// Records of one transaction, about. There are enough of them that the disk's latency weighs little on each.
const RECORDS: usize = 4_096;
/// Evaluations in the reports of one transaction, about. They bound its memory, however long the curves are.
pub const POINTS: usize = 1_000_000;
/// Milliseconds after a deadline that show that the loop slept: then no worker could be heard meanwhile.
const LATE_MS: u64 = 500;

/// The number of a stream. It tells a worker's present stream from those before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamId(pub u64);

/// Something that reaches the coordinator.
#[derive(Debug, Clone)]
pub enum Request<T> {
    /// An event, and whoever waits until it is committed.
    Event {
        /// The event.
        event: Event,
        /// Who waits.
        asker: T,
    },
    /// A worker opens a stream, which replaces the one before.
    Attach {
        /// Its first message.
        hello: Hello,
        /// The stream.
        stream: StreamId,
    },
    /// A worker sends messages.
    Said {
        /// The worker.
        worker: WorkerId,
        /// The stream that they came on. Messages of an earlier stream are dropped.
        stream: StreamId,
        /// The messages, in order.
        messages: Vec<ToCoordinator>,
    },
    /// A stream has ended.
    Detach {
        /// The worker.
        worker: WorkerId,
        /// The stream.
        stream: StreamId,
    },
}

/// Something that is released.
#[derive(Debug, Clone, PartialEq)]
pub enum Output<T> {
    /// Messages to a worker, on its present stream.
    Send {
        /// The worker.
        worker: WorkerId,
        /// The messages, in order.
        messages: Vec<ToWorker>,
    },
    /// News for watchers.
    Notify(Notice),
    /// What this asker waited for is committed.
    Done(T),
    /// The store cannot be written, for this reason: the asker's event was not applied.
    Refused(T, String),
}

/// A scheduler, with what it decided and what is not committed of that. `T` is whoever waits for a commit or an answer.
#[derive(Debug, Clone)]
pub struct Batcher<T> {
    scheduler: Scheduler,
    streams: BTreeMap<WorkerId, StreamId>,
    /// The transaction that is on its way to the disk.
    writing: Option<Batch<T>>,
    /// The next one.
    gathering: Batch<T>,
    degraded: Option<String>,
}

impl<T> Batcher<T> {
    /// A batcher that has nothing to commit.
    pub fn new(scheduler: Scheduler) -> Self {
        let (streams, gathering) = (BTreeMap::new(), Batch::new());
        Self { scheduler, streams, writing: None, gathering, degraded: None }
    }

    /// The scheduler, with everything that is decided. What is read of it is released by [`Self::answer`].
    pub const fn scheduler(&self) -> &Scheduler {
        &self.scheduler
    }

    /// Why the store cannot be written, where it cannot.
    pub fn degraded(&self) -> Option<&str> {
        self.degraded.as_deref()
    }

    /// The moment at which [`Self::tick`] has something to do, if nothing comes before.
    pub fn next_deadline(&self) -> Option<Tick> {
        if self.degraded.is_some() { None } else { self.scheduler.next_deadline() }
    }

    /// Whether messages of workers may be taken in. Where there is no room they wait for [`Self::committed`]. Events and
    /// questions may always be taken in: each has an asker that waits for its end.
    pub fn has_room(&self) -> bool {
        self.workers_leave_unheard() || (self.gathering.len() < RECORDS && self.gathering.points() < POINTS)
    }

    /// Applies a request.
    pub fn take(&mut self, now: Now, request: Request<T>) -> Vec<Output<T>> {
        match request {
            Request::Event { event, asker } => self.take_event(now, event, asker),
            Request::Attach { hello, stream } => {
                let worker = hello.worker;
                self.streams.insert(worker, stream);
                self.forget_messages_to(worker);
                self.apply(now, Event::Message { worker, message: ToCoordinator::Hello(hello) });
                self.tell_workers_to_leave()
            }
            Request::Said { worker, stream, messages } => {
                if self.streams.get(&worker) != Some(&stream) {
                    return Vec::new();
                }
                messages.into_iter().flat_map(|message| self.take_message(now, worker, message)).collect()
            }
            Request::Detach { worker, stream } => {
                if self.streams.get(&worker) == Some(&stream) {
                    self.streams.remove(&worker);
                    self.forget_messages_to(worker);
                    self.apply(now, Event::Disconnected(worker));
                }
                Vec::new()
            }
        }
    }

    /// Holds an answer, which was read off [`Self::scheduler`] just now, until all that it tells of is committed. While the
    /// store cannot be written it is released at once.
    pub fn answer(&mut self, asker: T) -> Option<Output<T>> {
        if self.degraded.is_some() {
            return Some(Output::Done(asker));
        }
        self.gathering.answers.push(asker);
        None
    }

    /// Applies the passing of time. Nobody is lost while the store cannot be written.
    pub fn tick(&mut self, now: Now) {
        let Some(deadline) = self.next_deadline() else { return };
        if now.tick > deadline.after_ms(LATE_MS) {
            self.apply(now, Event::Awoke);
        }
        if now.tick >= deadline {
            self.apply(now, Event::Ticked);
        }
    }

    /// Begins the next transaction: the records that have to be committed, all or none, or nothing where there are none. Then
    /// [`Self::committed`] or [`Self::failed`] has to follow. What needs no commit is released.
    ///
    /// # Panics
    /// Where a transaction has begun and is not committed.
    pub fn begin(&mut self) -> (Option<Arc<Vec<Record>>>, Vec<Output<T>>) {
        assert!(self.writing.is_none(), "one transaction at a time");
        let mut batch = std::mem::replace(&mut self.gathering, Batch::new());
        if batch.records.is_empty() {
            return (None, batch.release(&self.streams));
        }
        let records = Arc::new(std::mem::take(&mut batch.records));
        self.writing = Some(batch);
        (Some(records), Vec::new())
    }

    /// Releases the transaction that has begun: it is committed.
    ///
    /// # Panics
    /// Where none has begun.
    pub fn committed(&mut self, now: Now) -> Vec<Output<T>> {
        let batch = self.writing.take().expect("a transaction that is committed has begun");
        if self.degraded.take().is_some() {
            self.apply(now, Event::Awoke);
        }
        batch.release(&self.streams)
    }

    /// Notes that the transaction that has begun is not committed yet, for this reason. It stays as it is, to be tried again.
    pub fn failed(&mut self, why: String) -> Vec<Output<T>> {
        self.degraded = Some(why);
        let mut outputs = self.tell_workers_to_leave();
        let answers = self.batches().flat_map(|batch| std::mem::take(&mut batch.answers));
        outputs.extend(answers.map(Output::Done));
        outputs
    }

    fn take_event(&mut self, now: Now, event: Event, asker: T) -> Vec<Output<T>> {
        match &self.degraded {
            Some(why) if event.is_command() => vec![Output::Refused(asker, why.clone())],
            Some(_) => {
                // Nothing of it has to be kept.
                self.apply(now, event);
                let mut outputs = self.tell_workers_to_leave();
                outputs.push(Output::Done(asker));
                outputs
            }
            None => {
                self.apply(now, event);
                self.gathering.askers.push(asker);
                Vec::new()
            }
        }
    }

    fn take_message(&mut self, now: Now, worker: WorkerId, message: ToCoordinator) -> Option<Output<T>> {
        if let ToCoordinator::AttemptEnded(report) = &message {
            if self.workers_leave_unheard() {
                let stop = stop_waiting(report.held.attempt, vec![report.held.trajectory]);
                return Some(Output::Send { worker, messages: vec![stop] });
            }
            self.gathering.add_points(Report::points(report));
        }
        self.apply(now, Event::Message { worker, message });
        None
    }

    fn apply(&mut self, now: Now, event: Event) {
        let actions = self.scheduler.apply(now, event);
        self.gathering.add(actions, &self.streams);
    }

    fn batches(&mut self) -> impl Iterator<Item = &mut Batch<T>> {
        self.writing.iter_mut().chain([&mut self.gathering])
    }

    /// Whether workers are to leave while their reports cannot be committed. Then reports are left to the coordinator that comes
    /// after this one: workers keep on disk what is not acknowledged.
    fn workers_leave_unheard(&self) -> bool {
        self.degraded.is_some() && self.scheduler.is_draining()
    }

    /// Where workers leave unheard, what they are told of the transactions that cannot be committed.
    fn tell_workers_to_leave(&mut self) -> Vec<Output<T>> {
        if !self.workers_leave_unheard() {
            return Vec::new();
        }
        let messages = self.batches().flat_map(Batch::messages_for_leavers).collect::<Vec<_>>();
        batch::sent(messages, &self.streams)
    }

    /// A worker's stream before has ended. What waits for it would gather for as long as the store cannot be written.
    fn forget_messages_to(&mut self, worker: WorkerId) {
        if self.degraded.is_some() {
            let present = self.streams.get(&worker).copied();
            self.batches().for_each(|batch| batch.forget_messages_to(worker, present));
        }
    }
}

/// The message to a worker whose reports cannot be acknowledged now.
fn stop_waiting(attempt: Attempt, trajectories: Vec<TrajectoryIndex>) -> ToWorker {
    let reason = "the store cannot be written; the report is for a coordinator that comes after this one".to_owned();
    ToWorker::Stop { attempt, trajectories, reason }
}

#[cfg(test)]
mod tests;
