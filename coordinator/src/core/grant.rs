//! Who gets what: idle workers, and the bundles of the sweep whose turn it is.
//!
//! A bundle is a run of neighbouring trajectories of one shape, as wide as the worker has lanes. Towards a sweep's end it
//! is narrower: no worker takes more than its share of what is left, so that none works through a wide bundle while
//! others have nothing. What was lost together is granted together; what failed is granted alone, so that it shows
//! which of them fails.

use std::collections::BTreeMap;

use biosweep_common::grid::Trajectory;
use biosweep_common::ids::{Attempt, SweepId, TrajectoryIndex, WorkerId};
use biosweep_common::messages::{ToWorker, WorkerDescription};
use biosweep_common::outcome::SweepState;

use super::event::{Action, Notice, Now};
use super::lease::{Lease, OpenLane};
use super::scheduler::Core;
use super::sweep::{Sweep, Tries};
use super::worker::Worker;
use crate::store::record::{LeaseRow, Record};

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

impl Core {
    /// Something can be granted that could not be before: it may be for those for whom there was none. Each was looked at
    /// since the last time, so that this adds nothing to what their looking costs.
    pub(super) fn look_again(&mut self) {
        self.asking.extend(std::mem::take(&mut self.refused));
    }

    /// Gives pending trajectories to the workers that have asked.
    pub(super) fn grant_what_can_be(&mut self, now: Now, actions: &mut Vec<Action>) {
        while !self.draining
            && self.sweeps.values().any(Sweep::can_grant)
            && let Some(id) = self.asking.pop_first()
        {
            if !self.grant_something(now, id, actions) {
                self.refused.insert(id);
            }
        }
    }

    /// Gives a worker a bundle of the first sweep that has one for it; whether there was one.
    fn grant_something(&mut self, now: Now, id: WorkerId, actions: &mut Vec<Action>) -> bool {
        let Some(worker) = self.workers.get(&id).filter(|_| self.may_work(id)) else { return false };
        let lanes = worker.room();
        if lanes == 0 {
            return false;
        }
        self.sweeps_in_turn(id, now).into_iter().any(|sweep| {
            let elsewhere = self.better_elsewhere(id, sweep);
            self.grant(now, id, sweep, lanes, &elsewhere, actions)
        })
    }

    /// The sweeps that have something for this worker.
    fn sweeps_in_turn(&mut self, id: WorkerId, now: Now) -> Vec<SweepId> {
        let Some(worker) = self.workers.get(&id) else { return Vec::new() };
        let fits = |sweep: &&Sweep| sweep.can_grant() && sweep.spec.terms.require.is_met_by(&worker.description);
        let new = self.sweeps.values().filter(fits).filter(|sweep| !sweep.is_in_round).map(Sweep::id);
        for id in new.collect::<Vec<_>>() {
            take_into_round(&mut self.sweeps, id, now);
        }
        let mut sweeps: Vec<&Sweep> = self.sweeps.values().filter(fits).collect();
        // Stable: of equals the oldest comes first.
        sweeps.sort_by(|left, right| left.turn.compare(&right.turn, now.tick));
        sweeps.into_iter().map(Sweep::id).collect()
    }

    /// Grants a bundle of a sweep, without the trajectories that are better tried elsewhere; whether there was one.
    fn grant(
        &mut self,
        now: Now,
        id: WorkerId,
        sweep_id: SweepId,
        lanes: u32,
        elsewhere: &[TrajectoryIndex],
        actions: &mut Vec<Action>,
    ) -> bool {
        let (Some(sweep), Some(worker)) = (self.sweeps.get_mut(&sweep_id), self.workers.get_mut(&id)) else {
            return false;
        };
        let share = sweep.share_of(worker).min(lanes);
        let bundle = sweep.take_bundle(lanes, share, elsewhere);
        let Some(&(first, _)) = bundle.first() else { return false };
        self.last_attempt += 1;
        let attempt = Attempt(self.last_attempt);
        actions.push(Action::Persist(Record::Leased(LeaseRow {
            attempt,
            sweep: sweep_id,
            first,
            count: bundle.len() as u64,
            worker: id,
            worker_name: worker.description.name.clone(),
            at: now.wall,
        })));
        worker.idle_lanes = 0;
        worker.open += bundle.len() as u32;
        let open: BTreeMap<_, _> =
            bundle.into_iter().map(|(index, work)| (index, OpenLane::new(work, now.tick))).collect();
        open.iter().for_each(|(&index, lane)| sweep.started(index, lane));
        worker.leases.insert(attempt);
        sweep.leases.insert(attempt);
        let lease = Lease { sweep: sweep_id, worker: id, open };
        if let Some(grant) = lease.grant(attempt, &sweep.spec) {
            actions.push(Action::Send { worker: id, message: ToWorker::Grant(Box::new(grant)) });
        }
        actions.push(Action::Notify(Notice::Changed(sweep_id)));
        self.leases.insert(attempt, lease);
        for taker in self.takers.get(&sweep_id).cloned().unwrap_or_default() {
            self.expect_ends(attempt, taker);
        }
        debug_assert_eq!(self.check_grant(id, sweep_id), Ok(()));
        true
    }

    /// Changes what a worker can be counted on for, and with it the lanes that sweeps can count on.
    pub(super) fn recount(&mut self, id: WorkerId, change: impl FnOnce(&mut Self)) {
        let before = self.counted_on(id).cloned();
        change(self);
        let after = self.workers.get(&id).filter(|_| self.counted_on(id).is_some()).map(|worker| &worker.description);
        for sweep in self.sweeps.values_mut() {
            let lanes = |worker: Option<&WorkerDescription>| worker.map_or(0, |worker| sweep.lanes_of(worker));
            sweep.lanes_there = sweep.lanes_there + lanes(after) - lanes(before.as_ref());
            sweep.is_in_round &= sweep.lanes_there > 0;
        }
    }

    /// The lanes a sweep can count on.
    pub(super) fn lanes_there(&self, sweep: &Sweep) -> u64 {
        let counted = self.workers.keys().filter_map(|&id| self.counted_on(id));
        counted.map(|worker| sweep.lanes_of(worker)).sum()
    }

    fn counted_on(&self, id: WorkerId) -> Option<&WorkerDescription> {
        let worker = self.workers.get(&id)?;
        (worker.connected && !self.quarantined.contains_key(&id)).then_some(&worker.description)
    }

    /// What a sweep that has something to be granted waits for, where nobody is there who could take it.
    pub(super) fn waits_for(&self, sweep: &Sweep) -> Option<String> {
        let is_running = sweep.row.state == SweepState::Running;
        if is_running && sweep.pending.is_empty() && sweep.turn.open() == 0 {
            return Some(
                "all that is left of it is in training for another sweep, and is taken over from there".to_owned(),
            );
        }
        if !sweep.can_grant() || sweep.lanes_there > 0 {
            return None;
        }
        let connected: Vec<_> = self.workers.values().filter(|worker| worker.connected).collect();
        let is_fit = connected.iter().any(|worker| sweep.lanes_of(&worker.description) > 0);
        let require = &sweep.spec.terms.require;
        let (wanted, that) =
            if require.is_none() { (String::new(), "a lane") } else { (format!(" with {require}"), "that") };
        let there = match connected.len() {
            0 => "none is connected".to_owned(),
            _ if is_fit => "all that are connected are in quarantine".to_owned(),
            1 => format!("the one that is connected has not got {that}"),
            several => format!("none of the {several} that are connected has got {that}"),
        };
        Some(format!("it waits for a worker{wanted}: {there}"))
    }
}

fn take_into_round(sweeps: &mut BTreeMap<SweepId, Sweep>, id: SweepId, now: Now) {
    let Some(mut turn) = sweeps.get(&id).map(|sweep| sweep.turn) else { return };
    turn.join(sweeps.values().filter(|other| other.is_in_round).map(|other| &other.turn), now.tick);
    if let Some(sweep) = sweeps.get_mut(&id) {
        (sweep.turn, sweep.is_in_round) = (turn, true);
    }
}

impl Sweep {
    /// Whether something waits to be granted, and may be.
    pub(crate) fn can_grant(&self) -> bool {
        self.row.state == SweepState::Running && !self.pending.is_empty()
    }

    /// The lanes of a worker that are of use to this sweep.
    fn lanes_of(&self, worker: &WorkerDescription) -> u64 {
        if self.spec.terms.require.is_met_by(worker) { worker.lanes.into() } else { 0 }
    }

    /// How many trajectories a worker may take so that all are busy equally long: its part, by its lanes, of all that is
    /// not done, less what it has already.
    fn share_of(&self, worker: &Worker) -> u32 {
        let left = u128::from(self.pending.len()) + u128::from(self.turn.open());
        let part = (left * u128::from(worker.description.lanes)).div_ceil(u128::from(self.lanes_there.max(1)));
        u32::try_from(part).unwrap_or(u32::MAX).saturating_sub(worker.open).max(1)
    }

    /// Takes the next bundle: up to `lanes` pending trajectories of one shape, and of those that nothing has befallen no
    /// more than `share`; none of them in `without`.
    pub(super) fn take_bundle(
        &mut self,
        lanes: u32,
        share: u32,
        without: &[TrajectoryIndex],
    ) -> Vec<(TrajectoryIndex, Trajectory)> {
        let left_out: Vec<_> =
            without.iter().copied().filter(|index| self.pending.remove(index.0..index.0 + 1)).collect();
        let bundle = self.pending.first().map(|run| {
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
            let most = end.min(first.saturating_add(most.into()));
            let others = (first + 1..most).take_while(|&index| self.company(index) == company);
            first..first + 1 + others.count() as u64
        });
        if let Some(run) = &bundle {
            self.pending.remove(run.clone());
        }
        left_out.into_iter().for_each(|index| self.pending.insert(index));
        bundle.into_iter().flatten().map(TrajectoryIndex).map(|index| (index, self.trajectory(index))).collect()
    }

    fn company(&self, index: u64) -> Company {
        match self.tries.get(&TrajectoryIndex(index)) {
            Some(&Tries { failed, deaths, .. }) if failed > 0 || deaths >= DEATHS_ALONE => Company::None,
            Some(&Tries { taken_back: Some(attempt), .. }) => Company::Of(attempt),
            _ => Company::Any,
        }
    }
}
