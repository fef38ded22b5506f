//! One transaction: its records, and what waits for their commit.

use std::collections::{BTreeMap, BTreeSet};

use biosweep_common::ids::{SweepId, WorkerId};
use biosweep_common::protocol::messages::ToWorker;

use super::{Output, StreamId, stop_waiting};
use crate::event::{Action, Notice};
use crate::record::Record;

/// Decisions that are committed together.
#[derive(Debug, Clone)]
pub(super) struct Batch<T> {
    pub(super) records: Vec<Record>,
    /// Askers of events.
    pub(super) askers: Vec<T>,
    /// Askers of questions.
    pub(super) answers: Vec<T>,
    /// Messages and news, in order.
    releases: Vec<Release>,
    /// Sweeps of which something changed. Each is told once, however much it was.
    changed: BTreeSet<SweepId>,
    /// Evaluations in the reports that led to the records.
    points: usize,
}

#[derive(Debug, Clone)]
enum Release {
    Message(Letter),
    Notice(Notice),
}

/// A message to a worker. It is for the stream that was present when it was decided: on a later stream the worker says what it
/// holds, and is answered.
#[derive(Debug, Clone)]
pub(super) struct Letter {
    worker: WorkerId,
    stream: StreamId,
    message: ToWorker,
    /// Whether the worker, which is to leave, heard of it though it is not committed.
    is_anticipated: bool,
}

impl<T> Batch<T> {
    pub(super) fn new() -> Self {
        let (askers, answers) = (Vec::new(), Vec::new());
        Self { records: Vec::new(), askers, answers, releases: Vec::new(), changed: BTreeSet::new(), points: 0 }
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
                        self.send(Letter { worker, stream, message, is_anticipated: false });
                    }
                }
                Action::Notify(Notice::Changed(sweep)) => drop(self.changed.insert(sweep)),
                Action::Notify(notice) => self.releases.push(Release::Notice(notice)),
            }
        }
    }

    /// Acknowledgements that follow on each other become one.
    fn send(&mut self, letter: Letter) {
        if let ToWorker::Acknowledged { attempt, trajectories, accepted } = &letter.message
            && let Some(Release::Message(Letter {
                worker,
                stream,
                message: ToWorker::Acknowledged { attempt: of, trajectories: before, accepted: verdict },
                is_anticipated: false,
            })) = self.releases.last_mut()
            && (*worker, *stream, *of, *verdict) == (letter.worker, letter.stream, *attempt, *accepted)
        {
            return before.extend(trajectories);
        }
        self.releases.push(Release::Message(letter));
    }

    /// Everything that waited for the commit.
    pub(super) fn release(self, streams: &BTreeMap<WorkerId, StreamId>) -> Vec<Output<T>> {
        let (mut letters, mut outputs) = (Vec::new(), Vec::new());
        for release in self.releases {
            match release {
                Release::Message(letter) => letters.push(letter),
                Release::Notice(notice) => outputs.push(Output::Notify(notice)),
            }
        }
        outputs.extend(self.changed.into_iter().map(|sweep| Output::Notify(Notice::Changed(sweep))));
        outputs.extend(sent(letters, streams));
        outputs.extend(self.askers.into_iter().chain(self.answers).map(Output::Done));
        outputs
    }

    /// The messages that workers may hear though the batch is not committed, each once: that they are to leave, and that their
    /// reports are not acknowledged.
    pub(super) fn messages_for_leavers(&mut self) -> Vec<Letter> {
        let mut letters = Vec::new();
        for release in &mut self.releases {
            let Release::Message(letter) = release else { continue };
            let message = match &letter.message {
                _ if letter.is_anticipated => continue,
                ToWorker::Drain { .. } => letter.message.clone(),
                ToWorker::Acknowledged { attempt, trajectories, .. } => stop_waiting(*attempt, trajectories.clone()),
                _ => continue,
            };
            letter.is_anticipated = true;
            letters.push(Letter { message, ..letter.clone() });
        }
        letters
    }

    /// Drops the messages to a worker that are not for its present stream.
    pub(super) fn forget_messages_to(&mut self, of: WorkerId, present: Option<StreamId>) {
        self.releases.retain(|release| match release {
            Release::Message(Letter { worker, stream, .. }) => *worker != of || Some(*stream) == present,
            Release::Notice(_) => true,
        });
    }
}

/// Letters by worker, each worker's in order, without those to streams that are not present.
pub(super) fn sent<T>(letters: Vec<Letter>, streams: &BTreeMap<WorkerId, StreamId>) -> Vec<Output<T>> {
    let mut by_worker: BTreeMap<WorkerId, Vec<ToWorker>> = BTreeMap::new();
    for letter in letters.into_iter().filter(|letter| streams.get(&letter.worker) == Some(&letter.stream)) {
        by_worker.entry(letter.worker).or_default().push(letter.message);
    }
    by_worker.into_iter().map(|(worker, messages)| Output::Send { worker, messages }).collect()
}
