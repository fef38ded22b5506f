//! The batcher: applies events, collects the resulting records into transactions, and releases the other outputs after the
//! commit.
//!
//! The batcher is pure, like the scheduler that it owns. The coordinator's loop drives it with a store and a network; the
//! simulation drives it without them. While the store writes one transaction, the batcher collects the next one.
//!
//! If the store cannot be written, the batcher is *degraded*. Then
//! - queries are answered from the state that is not committed yet, and commands are refused;
//! - messages of workers are applied as long as there is room, but their outputs are not released;
//! - if the coordinator is draining, workers are sent the message to leave, and the message not to wait for acknowledgements.

mod batch;

use std::collections::BTreeMap;
use std::sync::Arc;

use biosweep_common::protocol::messages::{Hello, Report, ToCoordinator, ToWorker};
use biosweep_common::vocabulary::ids::{Attempt, TrajectoryIndex, WorkerId};
use biosweep_common::vocabulary::time::Tick;

use crate::event::{Event, Notice, Now};
use crate::record::Record;
use crate::scheduler::Scheduler;
use batch::Batch;

/// Records of one transaction, approximately. Many records share the latency of one write.
const RECORDS: usize = 4_096;
/// Evaluations in the reports of one transaction, approximately. The limit bounds the memory of a transaction.
pub const POINTS: usize = 1_000_000;
/// Milliseconds after a deadline. A later tick means that the process was suspended and received no messages.
const LATE_MS: u64 = 500;

/// The number of a stream. It distinguishes a worker's current stream from earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamId(pub u64);

/// An input of the batcher. `T` identifies the caller that waits for the commit.
#[derive(Debug, Clone)]
pub enum Request<T> {
    /// An event, and the caller that waits for its commit.
    Event {
        /// The event.
        event: Event,
        /// The caller.
        caller: T,
    },
    /// A worker opens a stream, which replaces its previous stream.
    Attach {
        /// The first message.
        hello: Hello,
        /// The stream.
        stream: StreamId,
    },
    /// A worker sends messages.
    Messages {
        /// The worker.
        worker: WorkerId,
        /// The stream of the messages. Messages of an earlier stream are dropped.
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

/// An output of the batcher.
#[derive(Debug, Clone, PartialEq)]
pub enum Output<T> {
    /// Messages to a worker, on its current stream.
    Send {
        /// The worker.
        worker: WorkerId,
        /// The messages, in order.
        messages: Vec<ToWorker>,
    },
    /// A notification for watchers.
    Notify(Notice),
    /// The event of this caller is committed, or its query may be answered.
    Done(T),
    /// The event of this caller was not applied, because the store cannot be written. The text gives the reason.
    Refused(T, String),
}

/// A scheduler, with its decisions that are not committed yet. `T` identifies a caller that waits for a commit or an answer.
#[derive(Debug, Clone)]
pub struct Batcher<T> {
    scheduler: Scheduler,
    streams: BTreeMap<WorkerId, StreamId>,
    /// The transaction that the store is writing.
    writing: Option<Batch<T>>,
    /// The next transaction.
    collecting: Batch<T>,
    degraded: Option<String>,
}

impl<T> Batcher<T> {
    /// A batcher with nothing to commit.
    pub fn new(scheduler: Scheduler) -> Self {
        let (streams, collecting) = (BTreeMap::new(), Batch::new());
        Self { scheduler, streams, writing: None, collecting, degraded: None }
    }

    /// The scheduler, including decisions that are not committed yet. Release an answer read from it with [`Self::answer`].
    pub const fn scheduler(&self) -> &Scheduler {
        &self.scheduler
    }

    /// The reason why the store cannot be written; `None` if it can be written.
    pub fn degraded(&self) -> Option<&str> {
        self.degraded.as_deref()
    }

    /// The time of the next call of [`Self::tick`] that has an effect.
    pub fn next_deadline(&self) -> Option<Tick> {
        if self.degraded.is_some() { None } else { self.scheduler.next_deadline() }
    }

    /// Whether there is room for more messages of workers. If not, they have to wait for [`Self::committed`]. Events and
    /// queries are always accepted: their number is bounded by the callers that wait for them.
    pub fn has_room(&self) -> bool {
        self.is_draining_without_store() || (self.collecting.len() < RECORDS && self.collecting.points() < POINTS)
    }

    /// Applies a request.
    pub fn on_request(&mut self, now: Now, request: Request<T>) -> Vec<Output<T>> {
        match request {
            Request::Event { event, caller } => self.on_event(now, event, caller),
            Request::Attach { hello, stream } => {
                let worker = hello.worker;
                self.streams.insert(worker, stream);
                self.drop_messages_to(worker);
                self.apply(now, Event::Message { worker, message: ToCoordinator::Hello(hello) });
                self.drain_messages()
            }
            Request::Messages { worker, stream, messages } => {
                if self.streams.get(&worker) != Some(&stream) {
                    return Vec::new();
                }
                messages.into_iter().flat_map(|message| self.on_message(now, worker, message)).collect()
            }
            Request::Detach { worker, stream } => {
                if self.streams.get(&worker) == Some(&stream) {
                    self.streams.remove(&worker);
                    self.drop_messages_to(worker);
                    self.apply(now, Event::Disconnected(worker));
                }
                Vec::new()
            }
        }
    }

    /// Holds back an answer that was just read from [`Self::scheduler`], until the decisions in it are committed. While the
    /// store cannot be written, the answer is released at once.
    pub fn answer(&mut self, caller: T) -> Option<Output<T>> {
        if self.degraded.is_some() {
            return Some(Output::Done(caller));
        }
        self.collecting.answers.push(caller);
        None
    }

    /// Applies the deadlines that have passed. No worker is lost while the store cannot be written.
    pub fn tick(&mut self, now: Now) {
        let Some(deadline) = self.next_deadline() else { return };
        if self.scheduler.next_loss().is_some_and(|loss| now.tick > loss.after_ms(LATE_MS)) {
            self.apply(now, Event::Awoke);
        }
        if now.tick >= deadline {
            self.apply(now, Event::Ticked);
        }
    }

    /// Begins the next transaction and returns its records, which have to be committed all or none. A call of
    /// [`Self::committed`] or [`Self::failed`] has to follow. If there are no records, returns the outputs instead.
    ///
    /// # Panics
    /// If a transaction has begun and is not committed.
    pub fn begin(&mut self) -> (Option<Arc<Vec<Record>>>, Vec<Output<T>>) {
        assert!(self.writing.is_none(), "one transaction at a time");
        let mut batch = std::mem::replace(&mut self.collecting, Batch::new());
        if batch.records.is_empty() {
            return (None, batch.release(&self.streams));
        }
        let records = Arc::new(std::mem::take(&mut batch.records));
        self.writing = Some(batch);
        (Some(records), Vec::new())
    }

    /// Releases the outputs of the transaction that is now committed.
    ///
    /// # Panics
    /// If no transaction has begun.
    pub fn committed(&mut self, now: Now) -> Vec<Output<T>> {
        let batch = self.writing.take().expect("committed() follows begin()");
        if self.degraded.take().is_some() {
            self.apply(now, Event::Awoke);
        }
        batch.release(&self.streams)
    }

    /// Notes that the transaction could not be committed, and why. The caller retries the same transaction.
    pub fn failed(&mut self, why: String) -> Vec<Output<T>> {
        self.degraded = Some(why);
        let mut outputs = self.drain_messages();
        let answers = self.batches().flat_map(|batch| std::mem::take(&mut batch.answers));
        outputs.extend(answers.map(Output::Done));
        outputs
    }

    fn on_event(&mut self, now: Now, event: Event, caller: T) -> Vec<Output<T>> {
        match &self.degraded {
            Some(why) if event.is_command() => vec![Output::Refused(caller, why.clone())],
            Some(_) => {
                // The other events have no effect that must survive a crash of the coordinator.
                self.apply(now, event);
                let mut outputs = self.drain_messages();
                outputs.push(Output::Done(caller));
                outputs
            }
            None => {
                self.apply(now, event);
                self.collecting.callers.push(caller);
                Vec::new()
            }
        }
    }

    fn on_message(&mut self, now: Now, worker: WorkerId, message: ToCoordinator) -> Option<Output<T>> {
        if let ToCoordinator::AttemptEnded(report) = &message {
            if self.is_draining_without_store() {
                let stop = stop_waiting(report.held.attempt, vec![report.held.trajectory]);
                return Some(Output::Send { worker, messages: vec![stop] });
            }
            self.collecting.add_points(Report::points(report));
        }
        self.apply(now, Event::Message { worker, message });
        None
    }

    fn apply(&mut self, now: Now, event: Event) {
        let actions = self.scheduler.apply(now, event);
        self.collecting.add(actions, &self.streams);
    }

    fn batches(&mut self) -> impl Iterator<Item = &mut Batch<T>> {
        self.writing.iter_mut().chain([&mut self.collecting])
    }

    /// Whether the coordinator is draining while the store cannot be written. Then it does not accept reports: the workers keep
    /// them on disk for the next coordinator.
    fn is_draining_without_store(&self) -> bool {
        self.degraded.is_some() && self.scheduler.is_draining()
    }

    /// The messages that draining workers get before the commit, while the store cannot be written.
    fn drain_messages(&mut self) -> Vec<Output<T>> {
        if !self.is_draining_without_store() {
            return Vec::new();
        }
        let mut messages: Vec<_> = self.batches().flat_map(Batch::drain_messages).collect();
        // A worker first learns that it must leave, then which reports it keeps.
        messages.sort_by_key(|outgoing| !outgoing.is_drain());
        batch::sent(messages, &self.streams)
    }

    /// Drops messages for earlier streams of a worker. Otherwise they would accumulate while the store cannot be written.
    fn drop_messages_to(&mut self, worker: WorkerId) {
        if self.degraded.is_some() {
            let present = self.streams.get(&worker).copied();
            self.batches().for_each(|batch| batch.drop_messages_to(worker, present));
        }
    }
}

/// Tells a worker not to wait for the acknowledgement of its reports.
fn stop_waiting(attempt: Attempt, trajectories: Vec<TrajectoryIndex>) -> ToWorker {
    let reason = "the store cannot be written; the worker keeps the report for the next coordinator".to_owned();
    ToWorker::Stop { attempt, trajectories, reason }
}

#[cfg(test)]
mod tests;
