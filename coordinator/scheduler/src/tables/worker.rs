//! The workers, each with its deadline, its quarantine and its class.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::Arc;

use biosweep_common::protocol::messages::WorkerDescription;
use biosweep_common::vocabulary::ids::{Attempt, TrajectoryIndex, WorkerId};
use biosweep_common::vocabulary::time::Tick;
use biosweep_common::workers::capability::Capabilities;

use crate::tables::accepted::Accepted;
use crate::tables::failures::Failing;
use crate::tables::fruitless::Fruitless;
use crate::tables::worker_class::{Trust, WorkerClass, WorkerStatus};

/// All known workers, by id, deadline and class.
#[derive(Debug, Clone, Default)]
pub(crate) struct WorkerTable {
    workers: BTreeMap<WorkerId, Worker>,
    /// The deadlines of the workers, the earliest first.
    deadlines: BTreeSet<(Tick, WorkerId)>,
    /// The ends of the pauses of workers, the earliest first.
    pauses: BTreeSet<(Tick, WorkerId)>,
    /// The workers in quarantine, each with the reason. They get no work until a user releases them.
    quarantined: BTreeMap<WorkerId, String>,
    /// The connected workers by class.
    pub(crate) classes: BTreeMap<Arc<Capabilities>, WorkerClass>,
    /// The classes in which a worker has begun to wait since the last check.
    pub(crate) to_check: BTreeSet<Arc<Capabilities>>,
}

/// A worker that has connected, or that holds leases from before a restart of the coordinator.
#[derive(Debug, Clone)]
pub(crate) struct Worker {
    /// The description that the worker sent.
    pub(crate) description: WorkerDescription,
    /// Whether the worker's stream is open.
    pub(crate) connected: bool,
    /// The time at which the worker is lost.
    pub(crate) deadline: Tick,
    /// Number of lanes that the worker polled work for.
    pub(crate) idle_lanes: u32,
    /// Whether the worker missed its deadline although its stream is open. It gets no work until it sends a message.
    pub(crate) is_silent: bool,
    /// The worker's status in its class.
    pub(crate) status: Option<WorkerStatus>,
    /// The worker's failures since the last trajectory that it completed.
    pub(crate) failing: Failing,
    /// The attempts that the worker lost or handed back without progress.
    pub(crate) fruitless: Fruitless,
    /// The time before which the worker gets no grant, because its attempts are fruitless.
    pub(crate) pause: Option<Tick>,
    /// Number of its late reports that were kept.
    pub(crate) late_reports: u32,
    /// How the worker's process ended, if it has. A new process may take over its identity.
    pub(crate) death: Option<String>,
    /// The latest accepted reports. The worker may repeat them until it receives the acknowledgement.
    pub(crate) accepted: Accepted,
}

/// The effect of a changed worker on the sweeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClassChange {
    /// The class of the worker.
    pub(crate) capabilities: Arc<Capabilities>,
    /// Number of usable lanes of this worker before the change.
    pub(crate) lanes_before: u64,
    /// Number of usable lanes of this worker after the change.
    pub(crate) lanes: u64,
    /// Whether the worker was fit and is no longer. Other workers may then try trajectories that were left to it.
    pub(crate) is_no_longer_fit: bool,
}

impl WorkerTable {
    /// A table without workers. `quarantined` are the workers in quarantine.
    pub(crate) fn new(quarantined: BTreeMap<WorkerId, String>) -> Self {
        Self { quarantined, ..Self::default() }
    }

    /// The worker of an id.
    pub(crate) fn get(&self, id: WorkerId) -> Option<&Worker> {
        self.workers.get(&id)
    }

    /// All workers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (WorkerId, &Worker)> {
        self.workers.iter().map(|(&id, worker)| (id, worker))
    }

    /// Adds a worker that holds `held` lanes.
    ///
    /// # Panics
    /// If the worker is already in the table.
    pub(crate) fn insert(&mut self, id: WorkerId, worker: Worker, held: u32) -> Option<ClassChange> {
        self.deadlines.insert((worker.deadline, id));
        self.pauses.extend(worker.pause.map(|until| (until, id)));
        let before = self.workers.insert(id, worker);
        assert!(before.is_none(), "worker {id} is added twice");
        self.refresh(id, held)
    }

    /// Removes a worker.
    pub(crate) fn remove(&mut self, id: WorkerId) -> Option<(Worker, Option<ClassChange>)> {
        let change = self.update(id, 0, |worker| worker.connected = false)?.1;
        let worker = self.workers.remove(&id)?;
        self.deadlines.remove(&(worker.deadline, id));
        if let Some(until) = worker.pause {
            self.pauses.remove(&(until, id));
        }
        Some((worker, change))
    }

    /// Changes a worker that holds `held` lanes, and updates the list of deadlines and the worker's class.
    pub(crate) fn update<R>(
        &mut self,
        id: WorkerId,
        held: u32,
        change: impl FnOnce(&mut Worker) -> R,
    ) -> Option<(R, Option<ClassChange>)> {
        let worker = self.workers.get_mut(&id)?;
        let before = (worker.deadline, worker.pause);
        let result = change(worker);
        if worker.deadline != before.0 {
            self.deadlines.remove(&(before.0, id));
            self.deadlines.insert((worker.deadline, id));
        }
        if worker.pause != before.1 {
            if let Some(until) = before.1 {
                self.pauses.remove(&(until, id));
            }
            self.pauses.extend(worker.pause.map(|until| (until, id)));
        }
        Some((result, self.refresh(id, held)))
    }

    /// Records that a report was accepted. The class of the worker does not change.
    pub(crate) fn accept(&mut self, id: WorkerId, attempt: Attempt, trajectory: TrajectoryIndex) {
        if let Some(worker) = self.workers.get_mut(&id) {
            worker.accepted.push((attempt, trajectory));
        }
    }

    /// The reason why a worker is in quarantine.
    pub(crate) fn quarantine_of(&self, id: WorkerId) -> Option<&str> {
        self.quarantined.get(&id).map(String::as_str)
    }

    /// Puts a worker into quarantine. The caller then updates the worker.
    pub(crate) fn quarantine(&mut self, id: WorkerId, reason: String) {
        self.quarantined.insert(id, reason);
    }

    /// Releases a worker from quarantine; `false` if it was not in quarantine. The caller then updates the worker.
    pub(crate) fn end_quarantine(&mut self, id: WorkerId) -> bool {
        self.quarantined.remove(&id).is_some()
    }

    /// The worker with the earliest deadline.
    pub(crate) fn next_deadline(&self) -> Option<(Tick, WorkerId)> {
        self.deadlines.first().copied()
    }

    /// The worker whose pause ends next.
    pub(crate) fn next_end_of_pause(&self) -> Option<(Tick, WorkerId)> {
        self.pauses.first().copied()
    }

    /// Notes that there is no work for a fit worker. It is not checked again before a new grant is possible. `false` if the worker
    /// is not fit.
    pub(crate) fn refuse(&mut self, capabilities: &Capabilities, id: WorkerId) -> bool {
        let class = self.classes.get_mut(capabilities);
        class.is_some_and(|class| class.asking.remove(&id) && class.refused.insert(id))
    }

    /// Takes the set of classes to check; the set is then empty. With `all`, the set has all classes with a waiting worker.
    pub(crate) fn take_classes_to_check(&mut self, all: bool) -> BTreeSet<Arc<Capabilities>> {
        let mut classes = mem::take(&mut self.to_check);
        if all {
            for (capabilities, class) in &mut self.classes {
                class.asking.extend(mem::take(&mut class.refused));
                classes.extend(class.has_waiting_worker().then(|| Arc::clone(capabilities)));
            }
        }
        classes
    }

    /// Updates the class of a worker after a change.
    fn refresh(&mut self, id: WorkerId, held: u32) -> Option<ClassChange> {
        let worker = self.workers.get_mut(&id)?;
        let after = worker.status_in_class(self.quarantined.contains_key(&id), held);
        let before = mem::replace(&mut worker.status, after);
        if before == after {
            return None;
        }
        let capabilities = &worker.description.capabilities;
        let known = self.classes.get_key_value(capabilities).map(|(known, _)| Arc::clone(known));
        let capabilities = known.unwrap_or_else(|| Arc::new(capabilities.clone()));
        let class = self.classes.entry(Arc::clone(&capabilities)).or_default();
        class.change(id, before, after);
        if class.count == 0 {
            self.classes.remove(&capabilities);
            self.to_check.remove(&capabilities);
        } else if after.is_some_and(WorkerStatus::waits) {
            self.to_check.insert(Arc::clone(&capabilities));
        }
        Some(ClassChange {
            capabilities,
            lanes_before: WorkerStatus::usable_lanes(before),
            lanes: WorkerStatus::usable_lanes(after),
            is_no_longer_fit: WorkerStatus::is_fit(before) && !WorkerStatus::is_fit(after),
        })
    }

    /// Checks that the deadlines and classes match the workers. `held` returns the number of lanes that a worker holds.
    ///
    /// # Errors
    /// A description of the first difference.
    pub(crate) fn check(&self, held: impl Fn(WorkerId) -> u32) -> Result<(), String> {
        let deadlines: BTreeSet<_> = self.workers.iter().map(|(&id, worker)| (worker.deadline, id)).collect();
        if deadlines != self.deadlines {
            return Err(format!("the deadlines are {deadlines:?}, but the index has {:?}", self.deadlines));
        }
        let pauses = self.workers.iter().filter_map(|(&id, worker)| Some((worker.pause?, id))).collect::<BTreeSet<_>>();
        if pauses != self.pauses {
            return Err(format!("the pauses are {pauses:?}, but the index has {:?}", self.pauses));
        }
        let mut classes: BTreeMap<_, WorkerClass> = BTreeMap::new();
        for (&id, worker) in &self.workers {
            let status = worker.status_in_class(self.quarantined.contains_key(&id), held(id));
            if worker.status != status {
                return Err(format!("worker {id} has the status {status:?}, but its class has {:?}", worker.status));
            }
            if status.is_some() {
                let class = classes.entry(Arc::new(worker.description.capabilities.clone())).or_default();
                class.change(id, None, status);
            }
        }
        for (capabilities, class) in &self.classes {
            class.check(classes.remove(capabilities).unwrap_or_default(), capabilities)?;
        }
        match classes.keys().next() {
            Some(capabilities) => Err(format!("the workers with {capabilities:?} are not counted")),
            None => Ok(()),
        }
    }
}

impl Worker {
    /// A worker that has sent no message but its description.
    pub(crate) fn new(description: WorkerDescription, connected: bool, deadline: Tick) -> Self {
        Self {
            description,
            connected,
            deadline,
            idle_lanes: 0,
            is_silent: false,
            status: None,
            failing: Failing::default(),
            fruitless: Fruitless::default(),
            pause: None,
            late_reports: 0,
            death: None,
            accepted: Accepted::default(),
        }
    }

    /// Takes over what a new stream of the worker does not say: its failures and pauses, and those of its accepted reports that it
    /// still holds.
    pub(crate) fn continue_from(&mut self, before: Self, held: &BTreeSet<(Attempt, TrajectoryIndex)>) {
        // The worker does not repeat a report that it no longer holds.
        self.accepted = before.accepted.only(held);
        self.failing = before.failing;
        (self.fruitless, self.pause) = (before.fruitless, before.pause);
        self.late_reports = before.late_reports;
    }

    /// The worker's status in its class while it holds `held` lanes; `None` if it is not connected or is silent.
    fn status_in_class(&self, is_in_quarantine: bool, held: u32) -> Option<WorkerStatus> {
        let trust = match self.failing.is_suspect() {
            _ if is_in_quarantine => Trust::InQuarantine,
            true => Trust::Suspect,
            false => Trust::Fit,
        };
        let status =
            WorkerStatus { lanes: self.description.lanes, trust, waits: self.room(held) > 0 && self.pause.is_none() };
        (self.connected && !self.is_silent).then_some(status)
    }

    /// Number of lanes that can be granted to the worker while it holds `held` lanes.
    pub(crate) fn room(&self, held: u32) -> u32 {
        self.idle_lanes.min(self.description.lanes.saturating_sub(held))
    }

    /// Whether a report was accepted before. A repeated report means that its acknowledgement was lost.
    pub(crate) fn has_accepted(&self, attempt: Attempt, trajectory: TrajectoryIndex) -> bool {
        self.accepted.contains((attempt, trajectory))
    }
}

#[cfg(test)]
impl WorkerTable {
    /// The worker of an id, for tests that break an invariant.
    pub(crate) fn get_mut(&mut self, id: WorkerId) -> &mut Worker {
        self.workers.get_mut(&id).expect("the worker is known")
    }

    /// Removes a worker but no reference to it, for tests that break an invariant.
    pub(crate) fn lose(&mut self, id: WorkerId) {
        self.workers.remove(&id);
    }

    /// Removes all deadlines, for tests that break an invariant.
    pub(crate) fn lose_deadlines(&mut self) {
        self.deadlines.clear();
    }
}
