//! Grants bundles to idle workers. The sweep that is furthest below its fair share comes first.
//!
//! A bundle is a run of neighbouring trajectories of one shape, as wide as the worker has lanes. Towards a sweep's end it
//! is narrower: no worker takes more than its share of what is left, so that none works through a wide bundle while
//! others have nothing. What was lost together is granted together; what failed is granted alone, so that it shows
//! which of them fails.

use std::collections::BTreeMap;
use std::ops::Range;

use biosweep_common::capability::Capabilities;
use biosweep_common::ids::{Attempt, SweepId, TrajectoryIndex, WorkerId};
use biosweep_common::outcome::SweepState;
use biosweep_common::protocol::bounds::lanes_of_bundle;
use biosweep_common::protocol::messages::ToWorker;

use super::event::{Action, Notice, Now};
use super::lease::{Lease, OpenLane};
use super::scheduler::Scheduler;
use super::sweep::{AttemptCounters, Sweep};
use super::worker::Worker;
use crate::record::{LeaseRow, Record};

/// So many deaths in a row, and a trajectory is granted alone: its neighbours may have died of it, or it of them.
const DEATHS_ALONE: u32 = 2;

/// With whom a trajectory is granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Company {
    /// Whoever is next to it.
    Any,
    /// Those that were taken back from a worker together with it, under this attempt.
    Of(Attempt),
    /// Nobody.
    None,
}

impl Scheduler {
    /// Gives pending trajectories to the workers that wait for some.
    pub(super) fn grant_what_can_be(&mut self, now: Now, actions: &mut Vec<Action>) {
        if self.draining || !self.sweeps.values().any(Sweep::can_grant) {
            return;
        }
        for capabilities in self.classes_to_check() {
            while let Some(id) = self.next_of(&capabilities) {
                if !self.grant_something(now, id, actions) && !self.refuse(&capabilities, id) {
                    break;
                }
            }
        }
    }

    /// The next worker of a class that waits and for whom there may be something: one of the fit or, where there is
    /// something that none who is fit can train, a suspect.
    pub(super) fn next_of(&self, capabilities: &Capabilities) -> Option<WorkerId> {
        let class = self.classes.get(capabilities)?;
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

    /// One of the fit is not looked at again until something else can be granted; whether it was one.
    fn refuse(&mut self, capabilities: &Capabilities, id: WorkerId) -> bool {
        self.classes.get_mut(capabilities).is_some_and(|class| class.asking.remove(&id) && class.refused.insert(id))
    }

    /// Gives a worker a bundle of the first sweep that has one for it; whether there was one.
    fn grant_something(&mut self, now: Now, id: WorkerId, actions: &mut Vec<Action>) -> bool {
        self.sweeps_by_share(id, now).into_iter().any(|sweep| self.grant(now, id, sweep, actions))
    }

    /// The sweeps that have something for this worker.
    fn sweeps_by_share(&mut self, id: WorkerId, now: Now) -> Vec<SweepId> {
        let Some(worker) = self.workers.get(&id) else { return Vec::new() };
        let capabilities = &worker.description.capabilities;
        let fits = |sweep: &&Sweep| sweep.has_something_for(capabilities);
        let new = self.sweeps.values().filter(fits).filter(|sweep| !sweep.is_active).map(Sweep::id);
        for id in new.collect::<Vec<_>>() {
            activate(&mut self.sweeps, id, now);
        }
        let is_suspect = worker.failing.is_suspect();
        let is_open = |sweep: &&Sweep| !is_suspect || self.is_open_to_suspects(sweep, capabilities);
        let mut sweeps: Vec<&Sweep> = self.sweeps.values().filter(fits).filter(is_open).collect();
        // Stable: of equals the oldest comes first.
        sweeps.sort_by(|left, right| left.fair_share.compare(&right.fair_share, now.tick));
        sweeps.into_iter().map(Sweep::id).collect()
    }

    /// Grants a bundle of a sweep, without what is better tried elsewhere; whether there was one.
    fn grant(&mut self, now: Now, id: WorkerId, sweep_id: SweepId, actions: &mut Vec<Action>) -> bool {
        let (Some(sweep), Some(worker)) = (self.sweeps.get(&sweep_id), self.workers.get(&id)) else { return false };
        let lanes = worker.room();
        let share = sweep.share_of(worker).min(lanes);
        let run = sweep.next_bundle(lanes, share, |index| self.is_better_tried_elsewhere(id, sweep, index));
        let (Some(run), Some(sweep), Some(worker)) = (run, self.sweeps.get_mut(&sweep_id), self.workers.get_mut(&id))
        else {
            return false;
        };
        sweep.pending.remove(run.clone());
        let (first, count) = (TrajectoryIndex(run.start), run.end - run.start);
        self.last_attempt += 1;
        let attempt = Attempt(self.last_attempt);
        actions.push(Action::Persist(Record::Leased(LeaseRow {
            attempt,
            sweep: sweep_id,
            first,
            count,
            worker: id,
            worker_name: worker.description.name.clone(),
            at: now.wall,
        })));
        worker.idle_lanes = 0;
        worker.open += count as u32;
        let open = run.map(TrajectoryIndex).map(|index| (index, OpenLane::new(sweep.trajectory(index), now.tick)));
        let open: BTreeMap<_, _> = open.collect();
        open.iter().for_each(|(&index, lane)| sweep.started(index, lane));
        worker.leases.insert(attempt);
        sweep.leases.insert(attempt);
        let lease = Lease { sweep: sweep_id, worker: id, open };
        if let Some(grant) = lease.grant(attempt, &sweep.spec) {
            actions.push(Action::Send { worker: id, message: ToWorker::Grant(Box::new(grant)) });
        }
        actions.push(Action::Notify(Notice::Changed(sweep_id)));
        self.leases.insert(attempt, lease);
        self.update_status(id);
        for dependent in self.dependents.get(&sweep_id).cloned().unwrap_or_default() {
            self.await_lease(attempt, dependent);
        }
        debug_assert_eq!(self.check_grant(id, sweep_id), Ok(()));
        true
    }
}

fn activate(sweeps: &mut BTreeMap<SweepId, Sweep>, id: SweepId, now: Now) {
    let Some(mut fair_share) = sweeps.get(&id).map(|sweep| sweep.fair_share) else { return };
    fair_share.join(sweeps.values().filter(|other| other.is_active).map(|other| &other.fair_share), now.tick);
    if let Some(sweep) = sweeps.get_mut(&id) {
        (sweep.fair_share, sweep.is_active) = (fair_share, true);
    }
}

impl Sweep {
    /// Whether something waits to be granted, and may be.
    pub fn can_grant(&self) -> bool {
        self.row.state == SweepState::Running && !self.pending.is_empty()
    }

    /// How many trajectories a worker may take so that all are busy equally long: its part, by its lanes, of all that is
    /// not done, less what it has already.
    fn share_of(&self, worker: &Worker) -> u32 {
        let left = u128::from(self.pending.len()) + u128::from(self.fair_share.open());
        let part = (left * u128::from(worker.description.lanes)).div_ceil(u128::from(self.lanes_there.max(1)));
        u32::try_from(part).unwrap_or(u32::MAX).saturating_sub(worker.open).max(1)
    }

    /// The next bundle: up to `lanes` pending trajectories of one shape, and of those that nothing has befallen no more
    /// than `share`; it does not begin with one that is to be left out.
    fn next_bundle(&self, lanes: u32, share: u32, is_left_out: impl Fn(TrajectoryIndex) -> bool) -> Option<Range<u64>> {
        let run = self.pending.first(is_left_out)?;
        let first = run.start;
        let end = run.end.min(self.spec.grid.shape_run_end(TrajectoryIndex(first)));
        let company = match self.company(first) {
            // Its company has gone on without it.
            Company::Of(_) if self.company(first) != self.company(first + 1) => Company::Any,
            company => company,
        };
        let most = match company {
            Company::None => 1,
            Company::Of(_) => lanes,
            Company::Any => share,
        };
        // Trajectories of one shape are watched by equally many trials each: the whole grant has to fit in a message.
        let rules = self.spec.grid.trials_of(TrajectoryIndex(first)).unwrap_or(1);
        let most = most.min(lanes_of_bundle(rules));
        let most = end.min(first.saturating_add(most.into()));
        // What failed, and may be to be left out, is in nobody's company.
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
