//! The scheduler: applies one event at a time and says what is to be done.
//!
//! A trajectory's life, as the scheduler sees it:
//!
//! ```text
//!            ┌──── preempted, worker-lost, or failed with retries left ────┐
//!            ▼                                                             │
//! pending ──granted to a worker that polled──▶ leased ──completed, diverged, or failed too often──▶ done
//!    └──────────── cancelled ──────────────────────┴──▶ gone
//! ```
//!
//! A report is accepted only under the attempt that now holds the trajectory; any other is kept as evidence.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use biosweep_common::capability::Capabilities;
use biosweep_common::ids::{Attempt, StoreId, SweepId, TrajectoryIndex, WorkerId};
use biosweep_common::outcome::Outcome;
use biosweep_common::protocol::messages::{Held, Hello, Progress, ToCoordinator, ToWorker, WorkerDescription};
use biosweep_common::spec::SweepSpec;
use biosweep_common::time::Tick;

use super::event::{Action, Event, Notice, Now};
use super::lease::{Lease, OpenLane};
use super::scope::OutOfScope;
use super::sweep::Sweep;
use super::worker::Worker;
use super::worker_class::WorkerClass;
use crate::record::{LeaseRow, Restored};

/// How patient the coordinator is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Milliseconds between two heartbeats of a worker.
    pub heartbeat_ms: u64,
    /// Milliseconds of silence after which a worker is lost.
    pub lease_ms: u64,
    /// Milliseconds within which another process may take up the identity of one that has ended.
    pub reconnect_grace_ms: u64,
}

impl Timeouts {
    /// Ten heartbeats a lease, and a quarter of one to be reborn in.
    pub const fn of_lease_ms(lease_ms: u64) -> Self {
        Self { heartbeat_ms: lease_ms / 10, lease_ms, reconnect_grace_ms: lease_ms / 4 }
    }
}

/// The state of everything that is in flight.
#[derive(Debug, Clone)]
pub struct Scheduler {
    timeouts: Timeouts,
    /// Where all of this is kept.
    store: Option<StoreId>,
    pub(super) sweeps: BTreeMap<SweepId, Sweep>,
    /// What is left alone.
    pub(super) out_of_scope: OutOfScope,
    /// Sweeps that are being deleted, or were: there is nothing of them to be deleted once more.
    pub(super) deleted: BTreeSet<SweepId>,
    /// By sweep, those that may wait for what it finds: itself too, where blocks of it differ only in when to stop.
    pub(super) dependents: BTreeMap<SweepId, BTreeSet<SweepId>>,
    pub(super) workers: BTreeMap<WorkerId, Worker>,
    pub(super) leases: BTreeMap<Attempt, Lease>,
    /// When each worker counts as lost, soonest first.
    pub(super) deadlines: BTreeSet<(Tick, WorkerId)>,
    /// Nobody counts as lost before then, not even whose process is known to have ended.
    no_loss_before: Tick,
    /// Workers that get nothing until they are released, and why.
    pub(super) quarantined: BTreeMap<WorkerId, String>,
    /// The workers whose streams are up, by what they have.
    pub(super) classes: BTreeMap<Arc<Capabilities>, WorkerClass>,
    /// Crews in which somebody began to wait for work since they were looked at.
    pub(super) to_check: BTreeSet<Arc<Capabilities>>,
    /// Whether something can be granted that could not be before: it may be for any of those who wait.
    pub(super) check_all: bool,
    pub(super) last_attempt: u64,
    pub(super) draining: bool,
}

impl Scheduler {
    /// The state the store remembers. Open leases get a whole lease time to be claimed by their workers.
    pub fn restore(timeouts: Timeouts, now: Now, restored: &Restored, specs: &[Arc<SweepSpec>]) -> Self {
        let mut scheduler = Self {
            timeouts,
            store: restored.store,
            sweeps: BTreeMap::new(),
            out_of_scope: OutOfScope::default(),
            deleted: BTreeSet::new(),
            dependents: BTreeMap::new(),
            workers: BTreeMap::new(),
            leases: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            no_loss_before: Tick(0),
            quarantined: restored.quarantined.iter().map(|row| (row.worker, row.reason.clone())).collect(),
            classes: BTreeMap::new(),
            to_check: BTreeSet::new(),
            check_all: false,
            last_attempt: restored.last_attempt,
            draining: false,
        };
        for (sweep, spec) in restored.sweeps.iter().zip(specs) {
            let mut begun = Sweep::restored(sweep, Arc::clone(spec));
            begun.hold_if_begun_by_other_numerics();
            scheduler.restore_sweep(now, begun, &sweep.open);
        }
        scheduler
    }

    fn restore_sweep(&mut self, now: Now, mut sweep: Sweep, open: &[(LeaseRow, Vec<TrajectoryIndex>)]) {
        for (row, trajectories) in open {
            let deadline = now.tick.after_ms(self.timeouts.lease_ms);
            let worker = self.workers.entry(row.worker).or_insert_with(|| {
                let name = row.worker_name.clone();
                let description = WorkerDescription { name, ..WorkerDescription::default() };
                Worker::new(description, false, deadline)
            });
            self.deadlines.insert((worker.deadline, row.worker));
            worker.open += trajectories.len() as u32;
            worker.leases.insert(row.attempt);
            sweep.leases.insert(row.attempt);
            let lanes = trajectories.iter().map(|&index| (index, OpenLane::new(sweep.trajectory(index), now.tick)));
            let lease = Lease { sweep: row.sweep, worker: row.worker, open: lanes.collect() };
            lease.open.iter().for_each(|(&index, lane)| sweep.started(index, lane));
            self.leases.insert(row.attempt, lease);
        }
        self.add_sweep(sweep);
    }

    /// Takes in one event; what it returns is all that is to be done about it.
    pub fn apply(&mut self, now: Now, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::Submitted { submission, spec, reused } => {
                self.submit(now, *submission, spec, reused, &mut actions);
            }
            Event::Extended { sweep, extended } => self.extend(now, sweep, *extended, &mut actions),
            Event::Cancelled(sweep) => self.cancel(now, sweep, &mut actions),
            Event::Paused(sweep) => self.pause(now, sweep, None, &mut actions),
            Event::Resumed(sweep) => self.resume(now, sweep, &mut actions),
            Event::Retried { sweep, finished, failures, reused } => {
                self.retry(now, sweep, finished.map(|finished| *finished), &failures, reused, &mut actions);
            }
            Event::Deleted(sweep) => self.delete(sweep, &mut actions),
            Event::Released(worker) => self.release_worker(worker, &mut actions),
            Event::Message { worker, message } => self.on_message(now, worker, message, &mut actions),
            Event::Disconnected(worker) => self.on_disconnected(worker),
            Event::Died { worker, cause } => self.on_worker_died(now, worker, cause),
            Event::Draining { reason } => self.on_draining(&reason, &mut actions),
            Event::Ticked => self.on_tick(now, &mut actions),
            // Time has passed in which nobody could be heard: nobody is lost for having been silent.
            Event::Awoke => self.no_loss_before = now.tick.after_ms(self.timeouts.lease_ms),
        }
        self.grant_what_can_be(now, &mut actions);
        if cfg!(debug_assertions)
            && let Err(broken) = self.check()
        {
            panic!("the scheduler contradicts itself: {broken}");
        }
        actions
    }

    /// Whether its workers are to leave.
    pub const fn is_draining(&self) -> bool {
        self.draining
    }

    /// When the next silent worker is lost, where nothing is heard before.
    pub fn next_deadline(&self) -> Option<Tick> {
        self.deadlines.first().map(|&(deadline, _)| deadline.max(self.no_loss_before))
    }

    fn on_message(&mut self, now: Now, id: WorkerId, message: ToCoordinator, actions: &mut Vec<Action>) {
        if let ToCoordinator::Hello(hello) = message {
            return self.on_hello(now, hello, actions);
        }
        self.set_deadline(id, now.tick.after_ms(self.timeouts.lease_ms));
        let Some(worker) = self.workers.get_mut(&id) else { return };
        if let ToCoordinator::Poll { lanes } = message {
            worker.idle_lanes = lanes;
        }
        // What it asked for before it fell silent it will not ask for again.
        worker.is_silent = false;
        self.update_status(id);
        match message {
            ToCoordinator::Hello(_) | ToCoordinator::Poll { .. } => {}
            ToCoordinator::Heartbeat { progress } => self.on_heartbeat(id, &progress, actions),
            ToCoordinator::Evaluated { attempt, trajectory, point } => {
                if let Some((sweep, lane)) = self.lane_mut(id, attempt, trajectory) {
                    lane.latest = Some(point);
                    lane.updates = lane.updates.max(point.update);
                    actions.push(Action::Notify(Notice::Changed(sweep)));
                }
            }
            ToCoordinator::AttemptEnded(report) => self.on_attempt_ended(now, id, *report, actions),
            ToCoordinator::Goodbye => self.on_goodbye(now, id, Outcome::Preempted, "the worker left", actions),
        }
    }

    /// A stream opens. What the worker no longer holds runs elsewhere; what it may no longer hold, it is told to stop.
    fn on_hello(&mut self, now: Now, hello: Hello, actions: &mut Vec<Action>) {
        let id = hello.worker;
        let deadline = now.tick.after_ms(self.timeouts.lease_ms);
        let mut worker = Worker::new(hello.description, true, deadline);
        let before = self.forget(id);
        // Another coordinator's attempts are counted like this one's.
        let may_be_ours = |held: &&Held| self.leases.get(&held.attempt).is_none_or(|lease| lease.sweep == held.sweep);
        let in_scope = hello.held.iter().filter(|held| !self.out_of_scope.has(held.sweep));
        let held = in_scope.filter(may_be_ours).map(|held| (held.attempt, held.trajectory));
        let held: BTreeSet<_> = held.collect();
        let mut cause = "the worker came back without it".to_owned();
        if let Some(before) = before {
            // What it no longer holds it has heard to be accepted.
            worker.accepted = before.accepted.only(&held);
            (worker.open, worker.leases, worker.failing) = (before.open, before.leases, before.failing);
            cause = before.death.unwrap_or(cause);
        }
        let accepted = worker.accepted.clone();
        self.deadlines.insert((worker.deadline, id));
        self.workers.insert(id, worker);
        self.update_status(id);
        self.tell_who_has_nobody(actions);
        let message = ToWorker::Welcome { heartbeat_ms: self.timeouts.heartbeat_ms, store: self.store };
        actions.push(Action::Send { worker: id, message });

        for (attempt, trajectories) in self.held_by(id) {
            for trajectory in trajectories.into_iter().filter(|&index| !held.contains(&(attempt, index))) {
                let cause = Some(cause.clone());
                self.end_without_result(now, attempt, trajectory, Outcome::WorkerLost, cause, actions);
            }
        }
        self.stop_unleased(id, held.into_iter().filter(|&report| !accepted.contains(report)), actions);
        self.take_back_what_is_paused(id, actions);
        if self.draining {
            let reason = "the coordinator is leaving".to_owned();
            actions.push(Action::Send { worker: id, message: ToWorker::Drain { reason } });
        }
    }

    fn on_heartbeat(&mut self, id: WorkerId, progress: &[Progress], actions: &mut Vec<Action>) {
        let mut changed = BTreeSet::new();
        for &Progress { attempt, trajectory, updates } in progress {
            if let Some((sweep, lane)) = self.lane_mut(id, attempt, trajectory) {
                lane.updates = updates;
                changed.insert(sweep);
            }
        }
        let said = progress.iter().map(|progress| (progress.attempt, progress.trajectory));
        self.stop_unleased(id, said, actions);
        actions.extend(changed.into_iter().map(|sweep| Action::Notify(Notice::Changed(sweep))));
    }

    /// Tells a worker to stop what it holds without a lease.
    fn stop_unleased(
        &mut self,
        id: WorkerId,
        held: impl IntoIterator<Item = (Attempt, TrajectoryIndex)>,
        actions: &mut Vec<Action>,
    ) {
        let mut fenced: BTreeMap<Attempt, Vec<TrajectoryIndex>> = BTreeMap::new();
        for (attempt, trajectory) in held {
            if self.lane_mut(id, attempt, trajectory).is_none() && !self.out_of_scope.has_attempt(attempt) {
                fenced.entry(attempt).or_default().push(trajectory);
            }
        }
        for (attempt, trajectories) in fenced {
            let reason = "the lease ran out; it runs elsewhere or is done".to_owned();
            let message = ToWorker::Stop { attempt, trajectories, reason };
            actions.push(Action::Send { worker: id, message });
        }
    }

    fn on_disconnected(&mut self, id: WorkerId) {
        if let Some(worker) = self.workers.get_mut(&id) {
            (worker.connected, worker.idle_lanes) = (false, 0);
        }
        self.update_status(id);
    }

    /// Every worker that has been silent too long is lost; one whose stream is up may yet speak again.
    fn on_tick(&mut self, now: Now, actions: &mut Vec<Action>) {
        if self.next_deadline().is_none_or(|deadline| deadline > now.tick) {
            return;
        }
        while let Some(&(deadline, id)) = self.deadlines.first()
            && deadline <= now.tick
        {
            let silent = || format!("no heartbeat for {} ms", self.timeouts.lease_ms);
            let death = self.workers.get(&id).and_then(|worker| worker.death.clone());
            let cause = death.unwrap_or_else(silent);
            self.release(now, id, Outcome::WorkerLost, &cause, actions);
            if let Some(worker) = self.workers.get_mut(&id).filter(|worker| worker.connected) {
                worker.is_silent = true;
                self.update_status(id);
                self.set_deadline(id, now.tick.after_ms(self.timeouts.lease_ms));
            } else {
                self.forget(id);
            }
        }
        self.tell_who_has_nobody(actions);
    }

    /// Who follows a sweep that nobody can train hears who has come, and who has gone.
    fn tell_who_has_nobody(&self, actions: &mut Vec<Action>) {
        let waiting = self.sweeps.values().filter(|sweep| sweep.can_grant() && sweep.lanes_there == 0);
        actions.extend(waiting.map(|sweep| Action::Notify(Notice::Changed(sweep.id()))));
    }

    /// A worker's process has ended. Another may take up its identity at once, and with it the reports it left on disk:
    /// they get a moment to be presented.
    fn on_worker_died(&mut self, now: Now, id: WorkerId, cause: String) {
        self.on_disconnected(id);
        let Some(worker) = self.workers.get_mut(&id) else { return };
        worker.death = Some(cause);
        let deadline = worker.deadline.min(now.tick.after_ms(self.timeouts.reconnect_grace_ms));
        self.set_deadline(id, deadline);
    }

    /// A worker is gone for good.
    fn on_goodbye(&mut self, now: Now, id: WorkerId, outcome: Outcome, cause: &str, actions: &mut Vec<Action>) {
        self.release(now, id, outcome, cause, actions);
        self.forget(id);
        self.tell_who_has_nobody(actions);
    }

    /// Takes a worker out of the list; what it held is for the caller.
    fn forget(&mut self, id: WorkerId) -> Option<Worker> {
        self.on_disconnected(id);
        let worker = self.workers.remove(&id)?;
        self.deadlines.remove(&(worker.deadline, id));
        Some(worker)
    }

    fn set_deadline(&mut self, id: WorkerId, deadline: Tick) {
        let Some(worker) = self.workers.get_mut(&id) else { return };
        if worker.deadline != deadline {
            self.deadlines.remove(&(worker.deadline, id));
            self.deadlines.insert((deadline, id));
            worker.deadline = deadline;
        }
    }

    /// Takes everything back from a worker.
    fn release(&mut self, now: Now, id: WorkerId, outcome: Outcome, cause: &str, actions: &mut Vec<Action>) {
        for (attempt, trajectories) in self.held_by(id) {
            for trajectory in trajectories {
                self.end_without_result(now, attempt, trajectory, outcome, Some(cause.to_owned()), actions);
            }
        }
    }

    fn on_draining(&mut self, reason: &str, actions: &mut Vec<Action>) {
        self.draining = true;
        for (&worker, _) in self.workers.iter().filter(|(_, worker)| worker.connected) {
            let message = ToWorker::Drain { reason: reason.to_owned() };
            actions.push(Action::Send { worker, message });
        }
    }

    /// The lane a worker holds under an attempt, and its sweep; `None` where it holds no such lane.
    pub(super) fn lane_mut(
        &mut self,
        worker: WorkerId,
        attempt: Attempt,
        trajectory: TrajectoryIndex,
    ) -> Option<(SweepId, &mut OpenLane)> {
        let lease = self.leases.get_mut(&attempt).filter(|lease| lease.worker == worker)?;
        Some((lease.sweep, lease.open.get_mut(&trajectory)?))
    }

    /// The trajectories of some leases that have not ended.
    pub(super) fn open_under(&self, attempts: &BTreeSet<Attempt>) -> Vec<(Attempt, Vec<TrajectoryIndex>)> {
        let leases = attempts.iter().filter_map(|attempt| Some((*attempt, self.leases.get(attempt)?)));
        leases.map(|(attempt, lease)| (attempt, lease.open.keys().copied().collect())).collect()
    }

    fn held_by(&self, id: WorkerId) -> Vec<(Attempt, Vec<TrajectoryIndex>)> {
        self.workers.get(&id).map(|worker| self.open_under(&worker.leases)).unwrap_or_default()
    }

    pub(super) fn worker_name(&self, id: WorkerId) -> String {
        self.workers.get(&id).map_or_else(|| id.to_string(), |worker| worker.description.name.clone())
    }
}
