//! One transaction: its records, and the outputs that wait for its commit.

use std::collections::{BTreeMap, BTreeSet};

use biosweep_common::protocol::messages::ToWorker;
use biosweep_common::vocabulary::ids::{SweepId, WorkerId};

use super::{Output, StreamId, stop_waiting};
use crate::event::{Action, Notice};
use crate::record::Record;

/// Records that are committed together, and the outputs that follow.
#[derive(Debug, Clone)]
pub(super) struct Batch<T> {
    pub(super) records: Vec<Record>,
    /// The callers that wait for the commit of their events.
    pub(super) callers: Vec<T>,
    /// The callers that wait for answers to their queries.
    pub(super) answers: Vec<T>,
    /// Messages and notices, in order.
    releases: Vec<Release>,
    /// Changed sweeps. Each gets one notice for all its changes.
    changed: BTreeSet<SweepId>,
    /// Evaluations in the reports that led to the records.
    points: usize,
}

#[derive(Debug, Clone)]
enum Release {
    Message(OutgoingMessage),
    Notice(Notice),
}

/// A message to a worker. It is sent only on the stream that was current when the scheduler emitted it. On a later stream the
/// worker presents its lanes anew and gets new messages.
#[derive(Debug, Clone)]
pub(super) struct OutgoingMessage {
    worker: WorkerId,
    stream: StreamId,
    message: ToWorker,
    /// Whether the message was already sent before the commit, because the worker has to leave.
    is_sent_early: bool,
}

impl OutgoingMessage {
    /// Whether the message tells the worker to leave.
    pub(super) const fn is_drain(&self) -> bool {
        matches!(self.message, ToWorker::Drain { .. })
    }
}

impl<T> Batch<T> {
    pub(super) fn new() -> Self {
        let (callers, answers) = (Vec::new(), Vec::new());
        Self { records: Vec::new(), callers, answers, releases: Vec::new(), changed: BTreeSet::new(), points: 0 }
    }

    /// The number of records and releases.
    pub(super) const fn len(&self) -> usize {
        self.records.len() + self.releases.len()
    }

    pub(super) const fn points(&self) -> usize {
        self.points
    }

    pub(super) const fn add_points(&mut self, points: usize) {
        self.points += points;
    }

    pub(super) fn add(&mut self, actions: Vec<Action>, streams: &BTreeMap<WorkerId, StreamId>) {
        for action in actions {
            match action {
                Action::Persist(record) => self.records.push(record),
                Action::Send { worker, message } => {
                    if let Some(&stream) = streams.get(&worker) {
                        self.send(OutgoingMessage { worker, stream, message, is_sent_early: false });
                    }
                }
                Action::Notify(Notice::Changed(sweep)) => drop(self.changed.insert(sweep)),
                Action::Notify(notice) => self.releases.push(Release::Notice(notice)),
            }
        }
    }

    /// Adds a message. Consecutive acknowledgements of one attempt become one message.
    fn send(&mut self, added: OutgoingMessage) {
        if let ToWorker::Acknowledged { attempt, trajectories, accepted } = &added.message
            && let Some(Release::Message(OutgoingMessage {
                worker,
                stream,
                message: ToWorker::Acknowledged { attempt: of, trajectories: before, accepted: verdict },
                is_sent_early: false,
            })) = self.releases.last_mut()
            && (*worker, *stream, *of, *verdict) == (added.worker, added.stream, *attempt, *accepted)
        {
            return before.extend(trajectories);
        }
        self.releases.push(Release::Message(added));
    }

    /// The outputs that waited for the commit.
    pub(super) fn release(self, streams: &BTreeMap<WorkerId, StreamId>) -> Vec<Output<T>> {
        let (mut messages, mut outputs) = (Vec::new(), Vec::new());
        for release in self.releases {
            match release {
                Release::Message(message) => messages.push(message),
                Release::Notice(notice) => outputs.push(Output::Notify(notice)),
            }
        }
        outputs.extend(self.changed.into_iter().map(|sweep| Output::Notify(Notice::Changed(sweep))));
        outputs.extend(sent(messages, streams));
        outputs.extend(self.callers.into_iter().chain(self.answers).map(Output::Done));
        outputs
    }

    /// The messages for draining workers that need no commit: to leave, and not to wait for acknowledgements. Each message is
    /// returned once.
    pub(super) fn drain_messages(&mut self) -> Vec<OutgoingMessage> {
        let mut messages = Vec::new();
        for release in &mut self.releases {
            let Release::Message(outgoing) = release else { continue };
            let message = match &outgoing.message {
                _ if outgoing.is_sent_early => continue,
                ToWorker::Drain { .. } => outgoing.message.clone(),
                ToWorker::Acknowledged { attempt, trajectories, .. } => stop_waiting(*attempt, trajectories.clone()),
                _ => continue,
            };
            outgoing.is_sent_early = true;
            messages.push(OutgoingMessage { message, ..outgoing.clone() });
        }
        messages
    }

    /// Drops the messages to a worker that are not for its current stream.
    pub(super) fn drop_messages_to(&mut self, of: WorkerId, present: Option<StreamId>) {
        self.releases.retain(|release| match release {
            Release::Message(OutgoingMessage { worker, stream, .. }) => *worker != of || Some(*stream) == present,
            Release::Notice(_) => true,
        });
    }
}

/// Groups messages by worker, in order. Messages for streams that are not current are dropped.
pub(super) fn sent<T>(messages: Vec<OutgoingMessage>, streams: &BTreeMap<WorkerId, StreamId>) -> Vec<Output<T>> {
    let mut by_worker: BTreeMap<WorkerId, Vec<ToWorker>> = BTreeMap::new();
    for outgoing in messages.into_iter().filter(|outgoing| streams.get(&outgoing.worker) == Some(&outgoing.stream)) {
        by_worker.entry(outgoing.worker).or_default().push(outgoing.message);
    }
    by_worker.into_iter().map(|(worker, messages)| Output::Send { worker, messages }).collect()
}
