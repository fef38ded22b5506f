//! Grants bundles to idle workers. The sweep that is furthest below its fair share comes first.
//!
//! A bundle is a run of neighbouring trajectories of one shape, with one lane of the worker each. Near the end of a sweep a
//! bundle is smaller: no worker gets more than its share of the remaining trajectories, so that all workers are busy. The
//! trajectories of a lost or handed-back bundle are granted together again. A failed trajectory is granted alone, to show which
//! trajectory fails.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use biosweep_common::protocol::bounds::lanes_of_bundle;
use biosweep_common::protocol::messages::ToWorker;
use biosweep_common::results::outcome::SweepState;
use biosweep_common::vocabulary::ids::{Attempt, SweepId, TrajectoryIndex, WorkerId};
use biosweep_common::workers::capability::Capabilities;

use crate::event::{Action, Notice, Now};
use crate::record::{LeaseRow, Record};
use crate::scheduler::Scheduler;
use crate::tables::lease::{Lease, OpenLane};
use crate::tables::sweep::{AttemptCounters, Sweep};
use crate::tables::worker::Worker;

/// Number of deaths in a row after which a trajectory is granted alone: it may kill its neighbours, or they may kill it.
const DEATHS_ALONE: u32 = 2;

/// The other trajectories that may be in the bundle of a trajectory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BundleRule {
    /// Any neighbours.
    Any,
    /// The neighbours that were taken back from a worker under the same attempt.
    SameAttempt(Attempt),
    /// No other trajectory.
    Alone,
}

impl Scheduler {
    /// Grants pending trajectories to the workers that wait.
    pub(crate) fn grant_pending(&mut self, now: Now, actions: &mut Vec<Action>) {
        if self.draining || !self.sweeps.values().any(Sweep::can_grant) {
            return;
        }
        for capabilities in self.classes_to_check() {
            while let Some(id) = self.next_waiting_worker(&capabilities) {
                if !self.grant_to_worker(now, id, actions) && !self.workers.refuse(&capabilities, id) {
                    break;
                }
            }
        }
    }

    /// The next waiting worker of a class for which there may be work: a fit worker or, if there is work that no fit worker can
    /// train, a suspect.
    pub(crate) fn next_waiting_worker(&self, capabilities: &Capabilities) -> Option<WorkerId> {
        let class = self.workers.classes.get(capabilities)?;
        let fit = class.asking.first().filter(|_| self.sweeps.values().any(|sweep| sweep.has_work_for(capabilities)));
        let suspect = || {
            class
                .suspects
                .first()
                .filter(|_| self.sweeps.values().any(|sweep| self.is_open_to_suspects(sweep, capabilities)))
        };
        fit.or_else(suspect).copied()
    }

    /// Grants a worker a bundle of the first sweep that has work for it; `false` if there is none.
    fn grant_to_worker(&mut self, now: Now, id: WorkerId, actions: &mut Vec<Action>) -> bool {
        self.sweeps_by_share(id, now).into_iter().any(|sweep| self.grant(now, id, sweep, actions))
    }

    /// The sweeps that have work for this worker, in the order of their fair shares.
    fn sweeps_by_share(&mut self, id: WorkerId, now: Now) -> Vec<SweepId> {
        let worker = self.workers.get(id).expect("a waiting worker is known");
        let capabilities = &worker.description.capabilities;
        let fits = |sweep: &&Sweep| sweep.has_work_for(capabilities);
        let new = self.sweeps.values().filter(fits).filter(|sweep| !sweep.is_active).map(Sweep::id);
        for id in new.collect::<Vec<_>>() {
            activate(&mut self.sweeps, id, now);
        }
        let is_suspect = worker.failing.is_suspect();
        let is_open = |sweep: &&Sweep| !is_suspect || self.is_open_to_suspects(sweep, capabilities);
        let mut sweeps: Vec<&Sweep> = self.sweeps.values().filter(fits).filter(is_open).collect();
        // The sort is stable: of equal sweeps the oldest comes first.
        sweeps.sort_by(|left, right| left.fair_share.compare(&right.fair_share, now.tick));
        sweeps.into_iter().map(Sweep::id).collect()
    }

    /// Grants a worker a bundle of a sweep; `false` if all pending trajectories should first be tried by other workers.
    fn grant(&mut self, now: Now, id: WorkerId, sweep_id: SweepId, actions: &mut Vec<Action>) -> bool {
        let worker = self.workers.get(id).expect("a waiting worker is known");
        let (sweep, held) = (&self.sweeps[&sweep_id], self.leases.lanes_held_by(id));
        let lanes = worker.room(held);
        let share = sweep.share_of(worker, held).min(lanes);
        let run = sweep.next_bundle(lanes, share, |index| self.should_run_elsewhere(id, sweep, index));
        let Some(run) = run else { return false };
        let (worker_name, environment) = (worker.description.name.clone(), Arc::clone(&worker.description.environment));
        let sweep = self.sweep_mut(sweep_id);
        sweep.pending.remove(run.clone());
        let open =
            run.clone().map(TrajectoryIndex).map(|index| (index, OpenLane::new(sweep.trajectory(index), now.tick)));
        let lease = Lease { sweep: sweep_id, worker: id, open: open.collect() };
        let spec = Arc::clone(&sweep.spec);
        let (first, count) = (TrajectoryIndex(run.start), run.end - run.start);
        self.last_attempt += 1;
        let attempt = Attempt(self.last_attempt);
        actions.push(Action::Persist(Record::Leased(LeaseRow {
            attempt,
            sweep: sweep_id,
            first,
            count,
            worker: id,
            worker_name,
            environment,
            at: now.wall,
        })));
        let message = ToWorker::Grant(Box::new(lease.grant(attempt, &spec)));
        actions.push(Action::Send { worker: id, message });
        actions.push(Action::Notify(Notice::Changed(sweep_id)));
        self.open_lease(attempt, lease);
        for dependent in self.dependents.get(&sweep_id).cloned().unwrap_or_default() {
            self.await_lease(attempt, dependent);
        }
        if let Err(broken) = self.check_grant(id, sweep_id) {
            panic!("{broken}");
        }
        true
    }
}

/// Adds a sweep to the active set, whose fair shares are compared.
fn activate(sweeps: &mut BTreeMap<SweepId, Sweep>, id: SweepId, now: Now) {
    let mut fair_share = sweeps[&id].fair_share;
    fair_share.join(sweeps.values().filter(|other| other.is_active).map(|other| &other.fair_share), now.tick);
    let sweep = sweeps.get_mut(&id).expect("the sweep is in the table");
    (sweep.fair_share, sweep.is_active) = (fair_share, true);
}

impl Sweep {
    /// Whether the sweep runs and has pending trajectories.
    pub fn can_grant(&self) -> bool {
        self.row.state == SweepState::Running && !self.pending.is_empty()
    }

    /// The number of trajectories that a worker may get so that all workers are busy equally long. It is the worker's part of all
    /// open trajectories, in proportion to its lanes, minus the lanes that it holds.
    fn share_of(&self, worker: &Worker, held: u32) -> u32 {
        let left = u128::from(self.pending.len()) + u128::from(self.fair_share.open());
        let part = (left * u128::from(worker.description.lanes)).div_ceil(u128::from(self.usable_lanes.max(1)));
        u32::try_from(part).unwrap_or(u32::MAX).saturating_sub(held).max(1)
    }

    /// The next bundle of pending trajectories of one shape. It has up to `lanes` trajectories if they were taken back together,
    /// and otherwise up to `share`. It does not begin with a trajectory that is left out.
    fn next_bundle(&self, lanes: u32, share: u32, is_left_out: impl Fn(TrajectoryIndex) -> bool) -> Option<Range<u64>> {
        let run = self.pending.first(&is_left_out)?;
        let first = run.start;
        let end = run.end.min(self.spec.grid.shape_run_end(TrajectoryIndex(first)));
        let bundle_rule = match self.bundle_rule(first) {
            // The next trajectory is not from the same attempt, so any neighbours will do.
            BundleRule::SameAttempt(_) if self.bundle_rule(first) != self.bundle_rule(first + 1) => BundleRule::Any,
            bundle_rule => bundle_rule,
        };
        let most = match bundle_rule {
            BundleRule::Alone => 1,
            BundleRule::SameAttempt(_) => lanes,
            BundleRule::Any => share,
        };
        // All trajectories of one shape have the same number of trials. The whole grant has to fit in one message.
        let rules = self.spec.grid.trials_of(TrajectoryIndex(first)).unwrap_or(1);
        let most = most.min(lanes_of_bundle(rules));
        let most = end.min(first.saturating_add(most.into()));
        // A trajectory that failed has a different rule. One that was lost may have the same.
        let follows = |index| self.bundle_rule(index) == bundle_rule && !is_left_out(TrajectoryIndex(index));
        let others = (first + 1..most).take_while(|&index| follows(index));
        Some(first..first + 1 + others.count() as u64)
    }

    fn bundle_rule(&self, index: u64) -> BundleRule {
        match self.counters.get(&TrajectoryIndex(index)) {
            Some(&AttemptCounters { failed, deaths, .. }) if failed > 0 || deaths >= DEATHS_ALONE => BundleRule::Alone,
            Some(&AttemptCounters { taken_back: Some(attempt), .. }) => BundleRule::SameAttempt(attempt),
            _ => BundleRule::Any,
        }
    }
}
