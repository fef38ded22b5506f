//! The scheduler: applies one event at a time and returns the actions that follow from it.
//!
//! The states of a trajectory:
//!
//! ```text
//!            ┌──── preempted, worker-lost, or failed with retries left ────┐
//!            ▼                                                             │
//! pending ──granted to a worker that polled──▶ leased ──completed, diverged, or failed too often──▶ done
//!    └──────────── cancelled ──────────────────────┴──▶ gone
//! ```
//!
//! A report is accepted only under the attempt that now holds the trajectory. Any other report is kept as evidence.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::Arc;

use biosweep_common::protocol::messages::WorkerDescription;
use biosweep_common::vocabulary::ids::{Attempt, StoreId, SweepId, TrajectoryIndex, WorkerId};
use biosweep_common::vocabulary::time::Tick;
use biosweep_common::workers::capability::Capabilities;

use crate::event::{Action, Event, Now};
use crate::record::{LeaseRow, Record, Restored};
use crate::tables::lease::{Lease, LeaseTable, OpenLane};
use crate::tables::out_of_scope::OutOfScope;
use crate::tables::pending::PreparedSpec;
use crate::tables::sweep::Sweep;
use crate::tables::worker::{ClassChange, Worker, WorkerTable};
use crate::tables::worker_class::WorkerClass;

/// The time limits for workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Milliseconds between two heartbeats of a worker.
    pub heartbeat_ms: u64,
    /// Milliseconds without a message after which a worker is lost.
    pub lease_ms: u64,
    /// Milliseconds in which a new process may take over the identity of a worker whose process has ended.
    pub reconnect_grace_ms: u64,
}

impl Timeouts {
    /// The time limits that follow from a lease time: ten heartbeats, and a quarter of the lease time to reconnect.
    pub const fn of_lease_ms(lease_ms: u64) -> Self {
        Self { heartbeat_ms: lease_ms / 10, lease_ms, reconnect_grace_ms: lease_ms / 4 }
    }
}

/// The state of all sweeps, workers and leases.
#[derive(Debug, Clone)]
pub struct Scheduler {
    pub(crate) timeouts: Timeouts,
    /// The id of the store.
    pub(crate) store: Option<StoreId>,
    /// The number of this coordinator among those that have led the store.
    pub(crate) epoch: u64,
    /// Sweeps that have not ended.
    pub(crate) sweeps: BTreeMap<SweepId, Sweep>,
    /// Stored sweeps that this coordinator does not work on.
    pub(crate) out_of_scope: OutOfScope,
    /// Deleted sweeps. A second deletion of a sweep has no effect, and neither has a note.
    pub(crate) deleted: BTreeSet<SweepId>,
    /// Sweep → the sweeps that may take over its results. A sweep depends on itself if its blocks differ only in the
    /// stopping rule.
    pub(crate) dependents: BTreeMap<SweepId, BTreeSet<SweepId>>,
    pub(crate) workers: WorkerTable,
    pub(crate) leases: LeaseTable,
    /// The time before which no worker is lost, not even one whose process has ended.
    pub(crate) no_loss_before: Tick,
    /// Whether all waiting workers have to be checked, because a new grant may be possible.
    pub(crate) check_all: bool,
    pub(crate) last_attempt: u64,
    pub(crate) draining: bool,
}

impl Scheduler {
    /// Restores the state from the store. `specs` are the specs of the restored sweeps, in the same order. The workers of
    /// open leases have one lease time to reconnect.
    pub fn restore(timeouts: Timeouts, now: Now, restored: &Restored, specs: Vec<PreparedSpec>) -> Self {
        let quarantined = restored.quarantined.iter().map(|row| (row.worker, row.reason.clone())).collect();
        let mut scheduler = Self {
            timeouts,
            store: restored.store,
            epoch: 0,
            sweeps: BTreeMap::new(),
            out_of_scope: OutOfScope::default(),
            deleted: BTreeSet::new(),
            dependents: BTreeMap::new(),
            workers: WorkerTable::new(quarantined),
            leases: LeaseTable::default(),
            no_loss_before: Tick(0),
            check_all: false,
            last_attempt: restored.last_attempt,
            draining: false,
        };
        assert_eq!(restored.sweeps.len(), specs.len(), "there is one spec for each restored sweep");
        for (sweep, prepared) in restored.sweeps.iter().zip(specs) {
            let mut begun = Sweep::restored(sweep, prepared);
            begun.pause_if_begun_by_other_numerics(now.wall);
            scheduler.restore_sweep(now, begun, &sweep.open);
        }
        scheduler
    }

    /// The scheduler of the coordinator with this number among those that have led the store.
    #[must_use]
    pub fn in_epoch(mut self, epoch: u64) -> Self {
        self.epoch = epoch;
        self
    }

    fn restore_sweep(&mut self, now: Now, mut sweep: Sweep, open: &[(LeaseRow, Vec<TrajectoryIndex>)]) {
        for (row, trajectories) in open.iter().filter(|(_, trajectories)| !trajectories.is_empty()) {
            if self.workers.get(row.worker).is_none() {
                let description = WorkerDescription {
                    name: row.worker_name.clone(),
                    environment: Arc::clone(&row.environment),
                    ..WorkerDescription::default()
                };
                let deadline = now.tick.after_ms(self.timeouts.lease_ms);
                self.workers.insert(row.worker, Worker::new(description, false, deadline), 0);
            }
            let lanes = trajectories.iter().map(|&index| (index, OpenLane::new(sweep.trajectory(index), now.tick)));
            let lease = Lease { sweep: row.sweep, worker: row.worker, open: lanes.collect() };
            lease.open.iter().for_each(|(&index, lane)| sweep.started(index, lane));
            self.leases.insert(row.attempt, lease);
        }
        self.add_sweep(sweep);
    }

    /// Applies one event; returns the resulting actions, in order.
    pub fn apply(&mut self, now: Now, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::Submitted { submission, prepared, reused } => {
                self.on_submitted(now, *submission, prepared, reused, &mut actions);
            }
            Event::Extended { sweep, extended } => self.on_extended(now, sweep, *extended, &mut actions),
            Event::Cancelled(sweep) => self.on_cancelled(now, sweep, &mut actions),
            Event::Paused(sweep) => self.on_paused(now, sweep, &mut actions),
            Event::Resumed(sweep) => self.on_resumed(now, sweep, &mut actions),
            Event::Retried { sweep, finished, failures, reused } => {
                self.on_retried(now, sweep, finished.map(|finished| *finished), &failures, reused, &mut actions);
            }
            Event::ResultsFound { sweep, reused } => self.on_results_found(now, sweep, reused, &mut actions),
            Event::AccessChanged(change) => actions.push(Action::Persist(Record::Access(change))),
            Event::Noted { sweep, note } => self.on_noted(sweep, note, &mut actions),
            Event::Deleted(sweep) => self.on_deleted(sweep, &mut actions),
            Event::Released(worker) => self.on_released(worker, &mut actions),
            Event::Message { worker, message } => self.on_message(now, worker, message, &mut actions),
            Event::Disconnected(worker) => self.on_disconnected(worker),
            Event::Died { worker, cause } => self.on_died(now, worker, cause),
            Event::Draining { reason } => self.on_draining(&reason, &mut actions),
            Event::Ticked => self.on_ticked(now, &mut actions),
            Event::Awoke => self.on_awoke(now),
        }
        self.grant_pending(now, &mut actions);
        if cfg!(debug_assertions)
            && let Err(broken) = self.check()
        {
            panic!("the scheduler's state is inconsistent: {broken}");
        }
        actions
    }

    /// Whether the coordinator is draining: it grants nothing, and its workers leave.
    pub const fn is_draining(&self) -> bool {
        self.draining
    }

    /// Whether a worker is connected, or holds leases.
    pub fn knows(&self, worker: WorkerId) -> bool {
        self.workers.get(worker).is_some()
    }

    /// The time of the next tick that has an effect.
    pub fn next_deadline(&self) -> Option<Tick> {
        let end_of_pause = self.workers.next_end_of_pause().map(|(until, _)| until);
        self.next_loss().into_iter().chain(end_of_pause).min()
    }

    /// The time at which the next worker is lost if it sends no message.
    pub fn next_loss(&self) -> Option<Tick> {
        self.workers.next_deadline().map(|(deadline, _)| deadline.max(self.no_loss_before))
    }
}

/// Changes that affect several tables.
impl Scheduler {
    /// The sweep of an id that another table refers to.
    ///
    /// # Panics
    /// If the sweep is not in the table: the tables are inconsistent.
    pub(crate) fn sweep_mut(&mut self, id: SweepId) -> &mut Sweep {
        self.sweeps.get_mut(&id).unwrap_or_else(|| panic!("sweep {id} is referred to and is not in the table"))
    }

    /// Changes a worker, and updates its class and the lanes of sweeps; `None` if the worker is not known.
    pub(crate) fn update_worker<R>(&mut self, id: WorkerId, change: impl FnOnce(&mut Worker) -> R) -> Option<R> {
        let held = self.leases.lanes_held_by(id);
        let (result, class_change) = self.workers.update(id, held, change)?;
        self.on_class_change(class_change);
        Some(result)
    }

    /// Adds a worker.
    pub(crate) fn add_worker(&mut self, id: WorkerId, worker: Worker) {
        let held = self.leases.lanes_held_by(id);
        let class_change = self.workers.insert(id, worker, held);
        self.on_class_change(class_change);
    }

    /// Removes a worker from the table. The caller ends the leases of the worker.
    pub(crate) fn remove_worker(&mut self, id: WorkerId) -> Option<Worker> {
        let (worker, class_change) = self.workers.remove(id)?;
        self.on_class_change(class_change);
        Some(worker)
    }

    fn on_class_change(&mut self, change: Option<ClassChange>) {
        let Some(ClassChange { capabilities, lanes_before, lanes, is_no_longer_fit }) = change else { return };
        if lanes != lanes_before {
            for sweep in self.sweeps.values_mut().filter(|sweep| sweep.can_use(&capabilities)) {
                sweep.usable_lanes = sweep.usable_lanes + lanes - lanes_before;
                sweep.is_active &= sweep.usable_lanes > 0;
            }
        }
        self.check_all |= is_no_longer_fit;
    }

    /// Adds a lease to the table, its sweep and its worker.
    pub(crate) fn open_lease(&mut self, attempt: Attempt, lease: Lease) {
        let worker = lease.worker;
        let sweep = self.sweep_mut(lease.sweep);
        lease.open.iter().for_each(|(&index, lane)| sweep.started(index, lane));
        self.leases.insert(attempt, lease);
        self.update_worker(worker, |worker| worker.idle_lanes = 0);
    }

    /// Closes a lane in the table, its sweep and its worker.
    pub(crate) fn close_lane(&mut self, now: Now, attempt: Attempt, trajectory: TrajectoryIndex) -> OpenLane {
        let closed = self.leases.close(attempt, trajectory);
        self.sweep_mut(closed.sweep).stopped(now.tick, &closed.lane);
        self.update_worker(closed.worker, |_| ());
        closed.lane
    }

    /// The name of a worker, or its id if the worker is not known.
    pub(crate) fn worker_name(&self, id: WorkerId) -> String {
        self.workers.get(id).map_or_else(|| id.to_string(), |worker| worker.description.name.clone())
    }

    /// The number of lanes of all workers that can train this sweep.
    pub(crate) fn usable_lanes(&self, sweep: &Sweep) -> u64 {
        self.classes_for(sweep).map(|class| class.usable_lanes).sum()
    }

    /// The workers that can train this sweep and are not suspects.
    pub(crate) fn fit_for(&self, sweep: &Sweep) -> impl Iterator<Item = WorkerId> {
        self.classes_for(sweep).flat_map(|class| class.fit.iter().copied())
    }

    /// The worker classes that can train this sweep.
    pub(crate) fn classes_for(&self, sweep: &Sweep) -> impl Iterator<Item = &WorkerClass> {
        self.workers.classes.iter().filter(|(capabilities, _)| sweep.can_use(capabilities)).map(|(_, class)| class)
    }

    /// Takes the set of classes that have to be checked for a grant to a waiting worker. The set is then empty.
    pub(crate) fn classes_to_check(&mut self) -> BTreeSet<Arc<Capabilities>> {
        self.workers.take_classes_to_check(mem::take(&mut self.check_all))
    }
}
