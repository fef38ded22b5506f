//! The workers: each with its deadline, its trust and its class.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::Arc;

use biosweep_common::capability::Capabilities;
use biosweep_common::ids::{Attempt, TrajectoryIndex, WorkerId};
use biosweep_common::protocol::messages::WorkerDescription;
use biosweep_common::time::Tick;

use crate::policies::failures::Failing;
use crate::tables::accepted::Accepted;
use crate::tables::worker_class::{WorkerClass, WorkerStatus};

/// Every worker that is known, by its id, its deadline and its class.
#[derive(Debug, Clone, Default)]
pub(crate) struct WorkerTable {
    workers: BTreeMap<WorkerId, Worker>,
    /// The moment at which each worker is lost, the soonest first.
    deadlines: BTreeSet<(Tick, WorkerId)>,
    /// Workers that get nothing until somebody releases them, each with the reason.
    quarantined: BTreeMap<WorkerId, String>,
    /// The connected workers, by what they have.
    pub(crate) classes: BTreeMap<Arc<Capabilities>, WorkerClass>,
    /// Classes in which a worker began to wait since they were last looked at.
    pub(crate) to_check: BTreeSet<Arc<Capabilities>>,
}

/// A worker that said hello, or that holds leases from before a restart.
#[derive(Debug, Clone)]
pub(crate) struct Worker {
    /// The worker's description of itself.
    pub(crate) description: WorkerDescription,
    /// Whether its stream is up.
    pub(crate) connected: bool,
    /// The moment at which it is lost.
    pub(crate) deadline: Tick,
    /// Lanes that it asked work for.
    pub(crate) idle_lanes: u32,
    /// Whether it missed its deadline though its stream is up. It gets nothing until it is heard again.
    pub(crate) is_silent: bool,
    /// The worker's status in its class.
    pub(crate) status: Option<WorkerStatus>,
    /// Its failures since it last completed something.
    pub(crate) failing: Failing,
    /// How its process ended, where that is known and another may take up its identity.
    pub(crate) death: Option<String>,
    /// The reports accepted from it last. It may repeat them until it hears the acknowledgement.
    pub(crate) accepted: Accepted,
}

/// What a change of a worker changes for the sweeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClassChange {
    /// The class.
    pub(crate) capabilities: Arc<Capabilities>,
    /// Lanes of this worker that sweeps can count on, before.
    pub(crate) lanes_before: u64,
    /// The same, after.
    pub(crate) lanes: u64,
    /// Whether the worker was fit and is not any more: others may now try what it should have tried first.
    pub(crate) is_lost_to_the_fit: bool,
}

impl WorkerTable {
    /// A table with these workers in quarantine, and none known.
    pub(crate) fn new(quarantined: BTreeMap<WorkerId, String>) -> Self {
        Self { quarantined, ..Self::default() }
    }

    /// The worker of an id.
    pub(crate) fn get(&self, id: WorkerId) -> Option<&Worker> {
        self.workers.get(&id)
    }

    /// Every worker.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (WorkerId, &Worker)> {
        self.workers.iter().map(|(&id, worker)| (id, worker))
    }

    /// Adds a worker that holds so many lanes.
    ///
    /// # Panics
    /// Where the worker is known: what is known of it has to be removed first.
    pub(crate) fn insert(&mut self, id: WorkerId, worker: Worker, held: u32) -> Option<ClassChange> {
        self.deadlines.insert((worker.deadline, id));
        let before = self.workers.insert(id, worker);
        assert!(before.is_none(), "worker {id} is added twice");
        self.refresh(id, held)
    }

    /// Removes a worker.
    pub(crate) fn remove(&mut self, id: WorkerId) -> Option<(Worker, Option<ClassChange>)> {
        let change = self.update(id, 0, |worker| worker.connected = false)?.1;
        let worker = self.workers.remove(&id)?;
        self.deadlines.remove(&(worker.deadline, id));
        Some((worker, change))
    }

    /// Changes a worker that holds so many lanes. Its deadline and its class follow.
    pub(crate) fn update<R>(
        &mut self,
        id: WorkerId,
        held: u32,
        change: impl FnOnce(&mut Worker) -> R,
    ) -> Option<(R, Option<ClassChange>)> {
        let worker = self.workers.get_mut(&id)?;
        let before = worker.deadline;
        let result = change(worker);
        if worker.deadline != before {
            self.deadlines.remove(&(before, id));
            self.deadlines.insert((worker.deadline, id));
        }
        Some((result, self.refresh(id, held)))
    }

    /// Remembers that a report was accepted. It changes nothing that a class counts.
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

    /// Releases a worker from quarantine; `false` where it was in none. The caller then updates the worker.
    pub(crate) fn end_quarantine(&mut self, id: WorkerId) -> bool {
        self.quarantined.remove(&id).is_some()
    }

    /// The worker whose deadline comes first.
    pub(crate) fn next_deadline(&self) -> Option<(Tick, WorkerId)> {
        self.deadlines.first().copied()
    }

    /// A fit worker waits no longer until something else can be granted; `false` where the worker is not fit.
    pub(crate) fn refuse(&mut self, capabilities: &Capabilities, id: WorkerId) -> bool {
        let class = self.classes.get_mut(capabilities);
        class.is_some_and(|class| class.asking.remove(&id) && class.refused.insert(id))
    }

    /// Takes the set of classes in which a worker waits that was not looked at; the set is then empty. Where something new can
    /// be granted these are `all` classes with a waiting worker.
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

    /// Brings a worker's class up to date with the worker.
    fn refresh(&mut self, id: WorkerId, held: u32) -> Option<ClassChange> {
        let worker = self.workers.get_mut(&id)?;
        let after = WorkerStatus::of(worker, self.quarantined.contains_key(&id), held);
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
            lanes_before: WorkerStatus::lanes_counted_on(before),
            lanes: WorkerStatus::lanes_counted_on(after),
            is_lost_to_the_fit: WorkerStatus::is_fit(before) && !WorkerStatus::is_fit(after),
        })
    }

    /// Checks that deadlines and classes are those of the workers; `held` says how many lanes a worker holds.
    ///
    /// # Errors
    /// The first contradiction, in words.
    pub(crate) fn check(&self, held: impl Fn(WorkerId) -> u32) -> Result<(), String> {
        let deadlines: BTreeSet<_> = self.workers.iter().map(|(&id, worker)| (worker.deadline, id)).collect();
        if deadlines != self.deadlines {
            return Err(format!("the deadlines are {deadlines:?}, and {:?} are listed", self.deadlines));
        }
        let mut classes: BTreeMap<_, WorkerClass> = BTreeMap::new();
        for (&id, worker) in &self.workers {
            let status = WorkerStatus::of(worker, self.quarantined.contains_key(&id), held(id));
            if worker.status != status {
                return Err(format!("worker {id} is {status:?} and is taken for {:?}", worker.status));
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
    /// A worker of which nothing but its description is known.
    pub(crate) fn new(description: WorkerDescription, connected: bool, deadline: Tick) -> Self {
        Self {
            description,
            connected,
            deadline,
            idle_lanes: 0,
            is_silent: false,
            status: None,
            failing: Failing::default(),
            death: None,
            accepted: Accepted::default(),
        }
    }

    /// Lanes that it asked work for and has room for, where it holds so many.
    pub(crate) fn room(&self, held: u32) -> u32 {
        self.idle_lanes.min(self.description.lanes.saturating_sub(held))
    }

    /// Whether a report was accepted before. Then its acknowledgement was lost.
    pub(crate) fn has_accepted(&self, attempt: Attempt, trajectory: TrajectoryIndex) -> bool {
        self.accepted.contains((attempt, trajectory))
    }
}

#[cfg(test)]
impl WorkerTable {
    /// The worker of an id, to break an invariant.
    pub(crate) fn get_mut(&mut self, id: WorkerId) -> &mut Worker {
        self.workers.get_mut(&id).expect("it is there")
    }

    /// Drops a worker and nothing that refers to it, to break an invariant.
    pub(crate) fn lose(&mut self, id: WorkerId) {
        self.workers.remove(&id);
    }

    /// Drops every deadline, to break an invariant.
    pub(crate) fn lose_deadlines(&mut self) {
        self.deadlines.clear();
    }
}
