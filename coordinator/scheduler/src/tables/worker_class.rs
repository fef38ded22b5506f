//! Worker classes: workers alike in device, memory and labels.
//!
//! Two questions are asked of classes and not of workers: whether there is work for a worker, and how many lanes a sweep can
//! count on. Classes are few, however many workers there are.

use std::collections::BTreeSet;

use biosweep_common::capability::Capabilities;
use biosweep_common::ids::WorkerId;

use crate::tables::worker::Worker;

/// The connected workers of one class.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct WorkerClass {
    /// The number of workers.
    pub(crate) count: u64,
    /// Their lanes.
    pub(crate) lanes: u64,
    /// The lanes of those that are not in quarantine.
    pub(crate) lanes_counted_on: u64,
    /// The workers that have lanes and are not suspected.
    pub(crate) fit: BTreeSet<WorkerId>,
    /// The fit workers that wait for work, and for which there may be some.
    pub(crate) asking: BTreeSet<WorkerId>,
    /// The fit workers that wait while other workers should first try what is pending. They are few: every pending trajectory has
    /// failed on all of them.
    pub(crate) refused: BTreeSet<WorkerId>,
    /// Suspects that wait for work.
    pub(crate) suspects: BTreeSet<WorkerId>,
}

/// The status of a connected worker in its class. A worker is connected while its stream is up and it is heard from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WorkerStatus {
    lanes: u32,
    trust: Trust,
    waits: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trust {
    Fit,
    Suspect,
    InQuarantine,
}

impl WorkerStatus {
    /// The status of a worker that holds so many lanes; `None` where it is not connected.
    pub(crate) fn of(worker: &Worker, is_in_quarantine: bool, held: u32) -> Option<Self> {
        let trust = match worker.failing.is_suspect() {
            _ if is_in_quarantine => Trust::InQuarantine,
            true => Trust::Suspect,
            false => Trust::Fit,
        };
        let status = Self { lanes: worker.description.lanes, trust, waits: worker.room(held) > 0 };
        (worker.connected && !worker.is_silent).then_some(status)
    }

    /// Whether the worker waits for work.
    pub(crate) const fn waits(self) -> bool {
        self.waits
    }

    /// Whether a worker has lanes and is not suspected.
    pub(crate) fn is_fit(status: Option<Self>) -> bool {
        status.is_some_and(|status| status.trust == Trust::Fit && status.lanes > 0)
    }

    /// The lanes of a worker that sweeps can count on.
    pub(crate) fn lanes_counted_on(status: Option<Self>) -> u64 {
        status.filter(|status| status.trust != Trust::InQuarantine).map_or(0, |status| status.lanes.into())
    }

    fn waits_as(self, trust: Trust) -> bool {
        self.waits && self.trust == trust
    }
}

impl WorkerClass {
    /// A worker comes, goes, or changes its status.
    pub(crate) fn change(&mut self, id: WorkerId, before: Option<WorkerStatus>, after: Option<WorkerStatus>) {
        let lanes = |status: Option<WorkerStatus>| status.map_or(0, |status| u64::from(status.lanes));
        let counted_on = WorkerStatus::lanes_counted_on;
        self.count = self.count + u64::from(after.is_some()) - u64::from(before.is_some());
        self.lanes = self.lanes + lanes(after) - lanes(before);
        self.lanes_counted_on = self.lanes_counted_on + counted_on(after) - counted_on(before);
        let waits_as = |trust| after.is_some_and(|status| status.waits_as(trust));
        let is_refused = self.refused.remove(&id) && waits_as(Trust::Fit);
        put(&mut self.fit, id, WorkerStatus::is_fit(after));
        put(&mut self.refused, id, is_refused);
        put(&mut self.asking, id, waits_as(Trust::Fit) && !is_refused);
        put(&mut self.suspects, id, waits_as(Trust::Suspect));
    }

    /// Whether a worker waits that has not been refused.
    pub(crate) fn has_waiting_worker(&self) -> bool {
        !self.asking.is_empty() || !self.suspects.is_empty()
    }

    /// Checks the class against one that is `counted` anew.
    ///
    /// # Errors
    /// The contradiction, in words.
    pub(crate) fn check(&self, counted: Self, capabilities: &Capabilities) -> Result<(), String> {
        // Whoever waits was refused or was not.
        let mut listed = self.clone();
        let waiting = listed.asking.len() + listed.refused.len();
        listed.asking.append(&mut listed.refused);
        if listed.asking.len() < waiting {
            return Err(format!("a worker with {capabilities:?} asks and was refused at once"));
        }
        if listed != counted {
            return Err(format!("the workers with {capabilities:?} are {counted:?} and are taken for {listed:?}"));
        }
        Ok(())
    }
}

fn put(set: &mut BTreeSet<WorkerId>, id: WorkerId, belongs: bool) {
    if belongs {
        set.insert(id);
    } else {
        set.remove(&id);
    }
}
