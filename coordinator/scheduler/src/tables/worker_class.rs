//! Worker classes: workers alike in device, memory and labels.
//!
//! Two questions are answered by class and not by worker: whether there is work for a worker, and how many lanes a sweep can use.
//! There are few classes, even if there are many workers.

use std::collections::BTreeSet;

use biosweep_common::vocabulary::ids::WorkerId;
use biosweep_common::workers::capability::Capabilities;

/// The connected workers of one class.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct WorkerClass {
    /// The number of workers.
    pub(crate) count: u64,
    /// Number of lanes of all workers.
    pub(crate) lanes: u64,
    /// Number of lanes of the workers that are not in quarantine.
    pub(crate) usable_lanes: u64,
    /// The workers that have lanes and are neither suspects nor in quarantine.
    pub(crate) fit: BTreeSet<WorkerId>,
    /// The fit workers that wait for work and have not been refused.
    pub(crate) asking: BTreeSet<WorkerId>,
    /// The fit workers that wait but were refused, because other workers should first try the pending trajectories. There are few
    /// of them: every pending trajectory has failed on all of them.
    pub(crate) refused: BTreeSet<WorkerId>,
    /// The suspects that wait for work.
    pub(crate) suspects: BTreeSet<WorkerId>,
}

/// The status of a connected worker in its class. A silent worker does not count as connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WorkerStatus {
    /// Number of lanes that the worker has.
    pub(super) lanes: u32,
    /// Whether the worker gets work, and which.
    pub(super) trust: Trust,
    /// Whether the worker waits for work.
    pub(super) waits: bool,
}

/// Whether a worker gets work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// It gets any work.
    Fit,
    /// It gets only what no other worker can train.
    Suspect,
    /// It gets none.
    InQuarantine,
}

impl WorkerStatus {
    /// Whether the worker waits for work.
    pub(crate) const fn waits(self) -> bool {
        self.waits
    }

    /// Whether a worker has lanes and is neither a suspect nor in quarantine.
    pub(crate) fn is_fit(status: Option<Self>) -> bool {
        status.is_some_and(|status| status.trust == Trust::Fit && status.lanes > 0)
    }

    /// The number of lanes of a worker that sweeps can use: none in quarantine.
    pub(crate) fn usable_lanes(status: Option<Self>) -> u64 {
        status.filter(|status| status.trust != Trust::InQuarantine).map_or(0, |status| status.lanes.into())
    }

    fn waits_as(self, trust: Trust) -> bool {
        self.waits && self.trust == trust
    }
}

impl WorkerClass {
    /// Updates the class when a worker connects, disconnects, or changes its status.
    pub(crate) fn change(&mut self, id: WorkerId, before: Option<WorkerStatus>, after: Option<WorkerStatus>) {
        let lanes = |status: Option<WorkerStatus>| status.map_or(0, |status| u64::from(status.lanes));
        let counted_on = WorkerStatus::usable_lanes;
        self.count = self.count + u64::from(after.is_some()) - u64::from(before.is_some());
        self.lanes = self.lanes + lanes(after) - lanes(before);
        self.usable_lanes = self.usable_lanes + counted_on(after) - counted_on(before);
        let waits_as = |trust| after.is_some_and(|status| status.waits_as(trust));
        let is_refused = self.refused.remove(&id) && waits_as(Trust::Fit);
        put(&mut self.fit, id, WorkerStatus::is_fit(after));
        put(&mut self.refused, id, is_refused);
        put(&mut self.asking, id, waits_as(Trust::Fit) && !is_refused);
        put(&mut self.suspects, id, waits_as(Trust::Suspect));
    }

    /// Whether a worker waits for work and has not been refused.
    pub(crate) fn has_waiting_worker(&self) -> bool {
        !self.asking.is_empty() || !self.suspects.is_empty()
    }

    /// Compares the class with one that is `counted` from the workers.
    ///
    /// # Errors
    /// A description of the difference.
    pub(crate) fn check(&self, counted: Self, capabilities: &Capabilities) -> Result<(), String> {
        // `counted` cannot know which waiting workers were refused.
        let mut listed = self.clone();
        let waiting = listed.asking.len() + listed.refused.len();
        listed.asking.append(&mut listed.refused);
        if listed.asking.len() < waiting {
            return Err(format!("a worker with {capabilities:?} is listed both as asking and as refused"));
        }
        if listed != counted {
            return Err(format!("the workers with {capabilities:?} are {counted:?}, but their class has {listed:?}"));
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
