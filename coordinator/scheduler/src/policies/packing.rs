//! Grants bundles to idle workers. The sweep that is furthest below its fair share comes first.
//!
//! A bundle is a run of neighbouring trajectories of one shape, as wide as the worker has lanes. Towards a sweep's end it
//! is narrower: no worker takes more than its share of what is left, so that none works through a wide bundle while
//! others have nothing. What was lost together is granted together; what failed is granted alone, so that it shows
//! which of them fails.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use biosweep_common::capability::Capabilities;
use biosweep_common::ids::{Attempt, SweepId, TrajectoryIndex, WorkerId};
use biosweep_common::outcome::SweepState;
use biosweep_common::protocol::bounds::lanes_of_bundle;
use biosweep_common::protocol::messages::ToWorker;

use crate::event::{Action, Notice, Now};
use crate::record::{LeaseRow, Record};
use crate::scheduler::Scheduler;
use crate::tables::lease::{Lease, OpenLane};
use crate::tables::sweep::{AttemptCounters, Sweep};
use crate::tables::worker::Worker;

/// After so many deaths in a row a trajectory is granted alone: it may be the reason of its neighbours' deaths, or they of its own.
const DEATHS_ALONE: u32 = 2;

/// The trajectories that a trajectory is granted with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Company {
    /// Its neighbours.
    Any,
    /// The trajectories that were taken back from a worker together with it, under this attempt.
    Of(Attempt),
    /// No other trajectory.
    None,
}

impl Scheduler {
    /// Grants pending trajectories to the workers that wait.
    pub(crate) fn grant_what_can_be(&mut self, now: Now, actions: &mut Vec<Action>) {
        if self.draining || !self.sweeps.values().any(Sweep::can_grant) {
            return;
        }
        for capabilities in self.classes_to_check() {
            while let Some(id) = self.next_of(&capabilities) {
                if !self.grant_something(now, id, actions) && !self.workers.refuse(&capabilities, id) {
                    break;
                }
            }
        }
    }

    /// The next worker of a class that waits and for which there may be work: a fit one or, where there is work that no fit
    /// worker can do, a suspect.
    pub(crate) fn next_of(&self, capabilities: &Capabilities) -> Option<WorkerId> {
        let class = self.workers.classes.get(capabilities)?;
        let fit =
            class.asking.first().filter(|_| self.sweeps.values().any(|sweep| sweep.has_something_for(capabilities)));
        let suspect = || {
            class
                .suspects
                .first()
                .filter(|_| self.sweeps.values().any(|sweep| self.is_open_to_suspects(sweep, capabilities)))
        };
        fit.or_else(suspect).copied()
    }

    /// Grants a worker a bundle of the first sweep that has one for it; `false` where there is none.
    fn grant_something(&mut self, now: Now, id: WorkerId, actions: &mut Vec<Action>) -> bool {
        self.sweeps_by_share(id, now).into_iter().any(|sweep| self.grant(now, id, sweep, actions))
    }

    /// The sweeps that have work for this worker, in the order of their shares.
    fn sweeps_by_share(&mut self, id: WorkerId, now: Now) -> Vec<SweepId> {
        let worker = self.workers.get(id).expect("a worker that waits is known");
        let capabilities = &worker.description.capabilities;
        let fits = |sweep: &&Sweep| sweep.has_something_for(capabilities);
        let new = self.sweeps.values().filter(fits).filter(|sweep| !sweep.is_active).map(Sweep::id);
        for id in new.collect::<Vec<_>>() {
            activate(&mut self.sweeps, id, now);
        }
        let is_suspect = worker.failing.is_suspect();
        let is_open = |sweep: &&Sweep| !is_suspect || self.is_open_to_suspects(sweep, capabilities);
        let mut sweeps: Vec<&Sweep> = self.sweeps.values().filter(fits).filter(is_open).collect();
        // The sort is stable: among equals the oldest sweep comes first.
        sweeps.sort_by(|left, right| left.fair_share.compare(&right.fair_share, now.tick));
        sweeps.into_iter().map(Sweep::id).collect()
    }

    /// Grants a bundle of a sweep, without the trajectories that other workers should try first; `false` where there is none.
    fn grant(&mut self, now: Now, id: WorkerId, sweep_id: SweepId, actions: &mut Vec<Action>) -> bool {
        let worker = self.workers.get(id).expect("a worker that waits is known");
        let (sweep, held) = (&self.sweeps[&sweep_id], self.leases.lanes_held_by(id));
        let lanes = worker.room(held);
        let share = sweep.share_of(worker, held).min(lanes);
        let run = sweep.next_bundle(lanes, share, |index| self.is_better_tried_elsewhere(id, sweep, index));
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

/// Puts a sweep into the active set, whose shares are compared.
fn activate(sweeps: &mut BTreeMap<SweepId, Sweep>, id: SweepId, now: Now) {
    let mut fair_share = sweeps[&id].fair_share;
    fair_share.join(sweeps.values().filter(|other| other.is_active).map(|other| &other.fair_share), now.tick);
    let sweep = sweeps.get_mut(&id).expect("it was there");
    (sweep.fair_share, sweep.is_active) = (fair_share, true);
}

impl Sweep {
    /// Whether the sweep runs and has pending trajectories.
    pub fn can_grant(&self) -> bool {
        self.row.state == SweepState::Running && !self.pending.is_empty()
    }

    /// The number of trajectories that a worker may take so that all workers are busy equally long: its part, by its lanes, of
    /// all that is not done, less the lanes that it holds.
    fn share_of(&self, worker: &Worker, held: u32) -> u32 {
        let left = u128::from(self.pending.len()) + u128::from(self.fair_share.open());
        let part = (left * u128::from(worker.description.lanes)).div_ceil(u128::from(self.lanes_there.max(1)));
        u32::try_from(part).unwrap_or(u32::MAX).saturating_sub(held).max(1)
    }

    /// The next bundle: up to `lanes` pending trajectories of one shape, or up to `share` where they have had no trouble. It
    /// does not begin with a trajectory that is left out.
    fn next_bundle(&self, lanes: u32, share: u32, is_left_out: impl Fn(TrajectoryIndex) -> bool) -> Option<Range<u64>> {
        let run = self.pending.first(is_left_out)?;
        let first = run.start;
        let end = run.end.min(self.spec.grid.shape_run_end(TrajectoryIndex(first)));
        let company = match self.company(first) {
            // The others of its attempt are not pending next to it.
            Company::Of(_) if self.company(first) != self.company(first + 1) => Company::Any,
            company => company,
        };
        let most = match company {
            Company::None => 1,
            Company::Of(_) => lanes,
            Company::Any => share,
        };
        // Trajectories of one shape have equally many trials. The whole grant has to fit in one message.
        let rules = self.spec.grid.trials_of(TrajectoryIndex(first)).unwrap_or(1);
        let most = most.min(lanes_of_bundle(rules));
        let most = end.min(first.saturating_add(most.into()));
        // A trajectory that failed, and may have to be left out, is granted alone.
        let others = (first + 1..most).take_while(|&index| self.company(index) == company);
        Some(first..first + 1 + others.count() as u64)
    }

    fn company(&self, index: u64) -> Company {
        match self.counters.get(&TrajectoryIndex(index)) {
            Some(&AttemptCounters { failed, deaths, .. }) if failed > 0 || deaths >= DEATHS_ALONE => Company::None,
            Some(&AttemptCounters { taken_back: Some(attempt), .. }) => Company::Of(attempt),
            _ => Company::Any,
        }
    }
}
