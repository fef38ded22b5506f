//! Worker classes: workers alike in device, memory and labels. Whether there is work for a worker, and how many lanes a sweep can
//! count on, is asked of classes: there are few of them, however many workers there are.

use std::collections::BTreeSet;
use std::mem;
use std::sync::Arc;

use biosweep_common::capability::Capabilities;
use biosweep_common::ids::WorkerId;

use super::scheduler::Scheduler;
use super::sweep::Sweep;
use super::worker::Worker;

/// The connected workers of one class.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct WorkerClass {
    /// The number of workers.
    pub(super) count: u64,
    /// Their lanes.
    pub(super) lanes: u64,
    /// The lanes of those that are not in quarantine.
    pub(super) lanes_counted_on: u64,
    /// The workers that have lanes and are not suspected.
    pub(super) fit: BTreeSet<WorkerId>,
    /// The fit workers that wait for work, and for which there may be some.
    pub(super) asking: BTreeSet<WorkerId>,
    /// The fit workers that wait while other workers should first try what is pending. They are few: every pending trajectory has
    /// failed on all of them.
    pub(super) refused: BTreeSet<WorkerId>,
    /// Suspects that wait for work.
    pub(super) suspects: BTreeSet<WorkerId>,
}

/// The status of a connected worker in its class. A worker is connected while its stream is up and it is heard from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WorkerStatus {
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
    pub(super) fn of(worker: &Worker, is_in_quarantine: bool) -> Option<Self> {
        let trust = match worker.failing.is_suspect() {
            _ if is_in_quarantine => Trust::InQuarantine,
            true => Trust::Suspect,
            false => Trust::Fit,
        };
        let status = Self { lanes: worker.description.lanes, trust, waits: worker.room() > 0 };
        (worker.connected && !worker.is_silent).then_some(status)
    }

    fn lanes_counted_on(self) -> u64 {
        if self.trust == Trust::InQuarantine { 0 } else { self.lanes.into() }
    }

    fn is_fit(self) -> bool {
        self.trust == Trust::Fit && self.lanes > 0
    }

    fn waits_as(self, trust: Trust) -> bool {
        self.waits && self.trust == trust
    }
}

fn is_fit(status: Option<WorkerStatus>) -> bool {
    status.is_some_and(WorkerStatus::is_fit)
}

fn lanes_counted_on(status: Option<WorkerStatus>) -> u64 {
    status.map_or(0, WorkerStatus::lanes_counted_on)
}

impl WorkerClass {
    /// A worker comes, goes, or counts for something else.
    pub(super) fn change(&mut self, id: WorkerId, before: Option<WorkerStatus>, after: Option<WorkerStatus>) {
        let lanes = |status: Option<WorkerStatus>| status.map_or(0, |status| u64::from(status.lanes));
        self.count = self.count + u64::from(after.is_some()) - u64::from(before.is_some());
        self.lanes = self.lanes + lanes(after) - lanes(before);
        self.lanes_counted_on = self.lanes_counted_on + lanes_counted_on(after) - lanes_counted_on(before);
        let waits_as = |trust| after.is_some_and(|status| status.waits_as(trust));
        let is_refused = self.refused.remove(&id) && waits_as(Trust::Fit);
        put(&mut self.fit, id, is_fit(after));
        put(&mut self.refused, id, is_refused);
        put(&mut self.asking, id, waits_as(Trust::Fit) && !is_refused);
        put(&mut self.suspects, id, waits_as(Trust::Suspect));
    }

    /// Whether anybody waits who has not been refused.
    fn has_waiting_worker(&self) -> bool {
        !self.asking.is_empty() || !self.suspects.is_empty()
    }
}

fn put(set: &mut BTreeSet<WorkerId>, id: WorkerId, belongs: bool) {
    if belongs {
        set.insert(id);
    } else {
        set.remove(&id);
    }
}

impl Scheduler {
    /// Takes note of what became of a worker: what can be counted on it for, and whether it waits for work.
    pub(super) fn update_status(&mut self, id: WorkerId) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        let after = WorkerStatus::of(worker, self.quarantined.contains_key(&id));
        let before = mem::replace(&mut worker.status, after);
        if before == after {
            return;
        }
        let capabilities = &worker.description.capabilities;
        let known = self.classes.get_key_value(capabilities).map(|(known, _)| Arc::clone(known));
        let capabilities = known.unwrap_or_else(|| Arc::new(capabilities.clone()));
        let class = self.classes.entry(Arc::clone(&capabilities)).or_default();
        class.change(id, before, after);
        let (lanes_before, lanes) = (lanes_counted_on(before), lanes_counted_on(after));
        if lanes != lanes_before {
            for sweep in self.sweeps.values_mut().filter(|sweep| sweep.can_use(&capabilities)) {
                sweep.lanes_there = sweep.lanes_there + lanes - lanes_before;
                sweep.is_active &= sweep.lanes_there > 0;
            }
        }
        // What it should have tried first, others may now.
        self.check_all |= is_fit(before) && !is_fit(after);
        if class.count == 0 {
            self.classes.remove(&capabilities);
            self.to_check.remove(&capabilities);
        } else if after.is_some_and(|status| status.waits) {
            self.to_check.insert(capabilities);
        }
    }

    /// Takes the set of classes with a waiting worker for which there may be work; the set is then empty.
    pub(super) fn classes_to_check(&mut self) -> BTreeSet<Arc<Capabilities>> {
        let mut classes = mem::take(&mut self.to_check);
        if mem::take(&mut self.check_all) {
            for (capabilities, class) in &mut self.classes {
                class.asking.extend(mem::take(&mut class.refused));
                classes.extend(class.has_waiting_worker().then(|| Arc::clone(capabilities)));
            }
        }
        classes
    }

    /// The lanes a sweep can count on.
    pub(super) fn lanes_there(&self, sweep: &Sweep) -> u64 {
        self.classes_for(sweep).map(|class| class.lanes_counted_on).sum()
    }

    /// The workers that can train this sweep and are beyond suspicion.
    pub(super) fn fit_for(&self, sweep: &Sweep) -> impl Iterator<Item = WorkerId> {
        self.classes_for(sweep).flat_map(|class| class.fit.iter().copied())
    }

    /// The classes that can train this sweep.
    pub(super) fn classes_for(&self, sweep: &Sweep) -> impl Iterator<Item = &WorkerClass> {
        self.classes.iter().filter(|(capabilities, _)| sweep.can_use(capabilities)).map(|(_, class)| class)
    }
}

impl Sweep {
    /// Whether such workers have what it requires.
    pub(super) fn can_use(&self, capabilities: &Capabilities) -> bool {
        self.spec.execution.require.is_met_by(capabilities)
    }

    /// Whether it has something for such workers.
    pub(super) fn has_something_for(&self, capabilities: &Capabilities) -> bool {
        self.can_grant() && self.can_use(capabilities)
    }
}
