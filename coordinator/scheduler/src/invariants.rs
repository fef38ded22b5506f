//! What always holds of the scheduler's state, as plain functions: tried after every event in debug builds, and in every
//! simulation.

use std::collections::BTreeSet;

use biosweep_common::ids::{SweepId, TrajectoryIndex, WorkerId};
use biosweep_common::outcome::SweepState;
use biosweep_common::protocol::messages::Held;

use crate::scheduler::Scheduler;

impl Scheduler {
    /// Checks every invariant.
    ///
    /// # Errors
    /// The first that is broken, in words.
    pub fn check(&self) -> Result<(), String> {
        self.every_trajectory_is_in_one_place()?;
        self.every_lease_has_its_worker()?;
        self.leases.check()?;
        self.workers.check(|id| self.leases.lanes_held_by(id))?;
        self.what_every_sweep_has_of_the_workers_is_counted()?;
        self.who_waits_waits_for_a_reason()?;
        self.what_is_held_against_workers_can_be_excused()?;
        self.who_takes_over_from_whom_is_here()?;
        self.every_sweep_here_has_work_left()?;
        self.every_trial_is_accounted_for()?;
        self.no_failure_is_retried_too_often()
    }

    /// A trajectory is pending, or leased under one attempt, or awaited from such a lease, or done; no two of these.
    fn every_trajectory_is_in_one_place(&self) -> Result<(), String> {
        let (mut leased, mut to_come) = (BTreeSet::new(), BTreeSet::new());
        for (attempt, lease) in self.leases.iter() {
            let Some(sweep) = self.sweeps.get(&lease.sweep) else {
                return Err(format!("attempt {attempt} is of sweep {}, which is not here", lease.sweep));
            };
            to_come.extend(lease.open.values().flat_map(|lane| lane.awaited_by.iter().copied()));
            for &trajectory in lease.open.keys() {
                if !leased.insert((lease.sweep, trajectory)) {
                    return Err(format!("trajectory {trajectory} is leased twice, last under attempt {attempt}"));
                }
                if sweep.pending.contains(trajectory) {
                    return Err(format!("trajectory {trajectory} is pending and leased under attempt {attempt}"));
                }
            }
        }
        let sweeps = self.sweeps.iter();
        let awaited = sweeps.flat_map(|(&id, sweep)| sweep.awaited.iter().map(move |&index| (id, sweep, index)));
        for (id, sweep, index) in awaited {
            if sweep.pending.contains(index) || leased.contains(&(id, index)) {
                return Err(format!(
                    "trajectory {index} of {id} is awaited from elsewhere, and pending or leased here"
                ));
            }
            if !to_come.contains(&(id, index)) {
                return Err(format!("trajectory {index} of {id} is awaited and nobody trains it"));
            }
        }
        Ok(())
    }

    /// A worker that holds a lease is known.
    fn every_lease_has_its_worker(&self) -> Result<(), String> {
        match self.leases.iter().find(|(_, lease)| self.workers.get(lease.worker).is_none()) {
            Some((attempt, lease)) => {
                Err(format!("worker {} holds a lease under attempt {attempt} and is not known", lease.worker))
            }
            None => Ok(()),
        }
    }

    /// A sweep knows how many lanes it has and could have, and which of its runs hold something.
    fn what_every_sweep_has_of_the_workers_is_counted(&self) -> Result<(), String> {
        for (id, sweep) in &self.sweeps {
            let there = self.lanes_there(sweep);
            if sweep.lanes_there != there {
                return Err(format!("sweep {id} can count on {there} lanes and thinks {}", sweep.lanes_there));
            }
            let open: u64 = self.leases.of_sweep(*id).map(|(_, lease)| lease.open.len() as u64).sum();
            if sweep.fair_share.open() != open {
                return Err(format!("sweep {id} has {open} lanes and thinks {}", sweep.fair_share.open()));
            }
            sweep.pending.check().map_err(|broken| format!("sweep {id}: {broken}"))?;
        }
        Ok(())
    }

    /// While nobody is to be looked at, there is nothing for those who wait.
    fn who_waits_waits_for_a_reason(&self) -> Result<(), String> {
        if self.draining || self.check_all {
            return Ok(());
        }
        let classes = self.workers.classes.iter();
        for (capabilities, class) in classes.filter(|(capabilities, _)| !self.workers.to_check.contains(*capabilities))
        {
            if let Some(id) = self.next_of(capabilities) {
                return Err(format!("worker {id} waits in vain"));
            }
            for &id in &class.refused {
                let sweeps = self.sweeps.values().filter(|sweep| sweep.has_something_for(capabilities));
                for sweep in sweeps {
                    let first = sweep.pending.first(|index| self.is_better_tried_elsewhere(id, sweep, index));
                    if let Some(run) = first {
                        return Err(format!("worker {id} was refused {run:?} of sweep {}", sweep.id()));
                    }
                }
            }
        }
        Ok(())
    }

    /// What is held against a worker has failed on it and is not done: whatever becomes of it will tell.
    fn what_is_held_against_workers_can_be_excused(&self) -> Result<(), String> {
        for (id, worker) in self.workers.iter() {
            for &(sweep, trajectory) in &worker.failing.unexplained {
                let failed_on = self.sweeps.get(&sweep).map(|sweep| &sweep.failed_on);
                if failed_on.is_none_or(|failed_on| !failed_on.on(trajectory).contains(&id)) {
                    return Err(format!("trajectory {trajectory} of {sweep} is held against worker {id}, and is done"));
                }
            }
        }
        Ok(())
    }

    /// A sweep that has left neither waits for what others find nor is waited for.
    fn who_takes_over_from_whom_is_here(&self) -> Result<(), String> {
        let named = self.dependents.iter().flat_map(|(source, dependents)| dependents.iter().chain([source]));
        match named.into_iter().find(|id| !self.sweeps.contains_key(id)) {
            Some(id) => Err(format!("sweep {id} is thought to share its results and is not here")),
            None if self.dependents.values().any(BTreeSet::is_empty) => {
                Err("nobody is listed as a dependent".to_owned())
            }
            None => Ok(()),
        }
    }

    /// A sweep whose every trial has a result has left; what is left of one is pending, leased or awaited.
    fn every_sweep_here_has_work_left(&self) -> Result<(), String> {
        for (id, sweep) in &self.sweeps {
            let leased = self.leases.of_sweep(*id).next().is_some();
            if sweep.row.state.has_ended()
                || sweep.is_finished()
                || (sweep.pending.is_empty() && sweep.awaited.is_empty() && !leased)
            {
                return Err(format!("sweep {id} is {} and still here", sweep.row.state.name()));
            }
        }
        Ok(())
    }
}

/// Trajectories of a sweep whose trials are counted one by one, at most.
const COUNTED: u64 = 1_000;

impl Scheduler {
    /// A trial has its one result, or its trajectory waits, is in training, or is awaited: all of them together are the
    /// sweep. What is greater is taken to be alike.
    fn every_trial_is_accounted_for(&self) -> Result<(), String> {
        for (id, sweep) in self.sweeps.iter().filter(|(_, sweep)| sweep.row.submission.trajectories <= COUNTED) {
            let leased = self.leases.of_sweep(*id).flat_map(|(_, lease)| lease.open.keys());
            let indices = (0..sweep.spec.grid.trajectories()).map(TrajectoryIndex);
            let pending = indices.filter(|index| sweep.pending.contains(*index));
            let lacking = pending.chain(sweep.awaited.iter().copied()).chain(leased.copied());
            let lacking: u64 = lacking.filter_map(|index| sweep.spec.grid.trials_of(index)).sum();
            let row = &sweep.row;
            let ended = row.completed + row.diverged + row.failed;
            if ended + lacking != row.submission.trials {
                return Err(format!(
                    "sweep {id} has {} trials, of which {ended} have results and {lacking} have none",
                    row.submission.trials
                ));
            }
        }
        Ok(())
    }

    /// Of what waits or is in training nothing has failed more often than the sweep allows.
    fn no_failure_is_retried_too_often(&self) -> Result<(), String> {
        for (id, sweep) in &self.sweeps {
            let most = sweep.spec.execution.retries_max;
            if let Some((index, counters)) = sweep.counters.iter().find(|(_, counters)| counters.failed > most) {
                return Err(format!(
                    "trajectory {index} of {id} failed {} times, and {most} are retried",
                    counters.failed
                ));
            }
        }
        Ok(())
    }

    /// What is tried when a report is accepted: it comes from the worker that holds the trajectory, under the attempt that
    /// does.
    ///
    /// # Errors
    /// What is wrong with the report, in words.
    pub(crate) fn check_end(&self, id: WorkerId, held: Held) -> Result<(), String> {
        match self.leases.get(held.attempt) {
            Some(lease) if lease.worker != id => Err(format!("worker {id} reports what {} holds", lease.worker)),
            Some(lease) if lease.sweep == held.sweep && lease.open.contains_key(&held.trajectory) => Ok(()),
            _ => {
                Err(format!("trajectory {} is reported under attempt {}, which is over", held.trajectory, held.attempt))
            }
        }
    }
}

impl Scheduler {
    /// What is tried when a bundle is granted: the worker can train what it now holds, and the sweep is running.
    ///
    /// # Errors
    /// What is wrong with the grant, in words.
    pub(crate) fn check_grant(&self, id: WorkerId, sweep: SweepId) -> Result<(), String> {
        let worker = self.workers.get(id).ok_or_else(|| format!("worker {id} is granted a bundle and is not known"))?;
        let (held, lanes) = (self.leases.lanes_held_by(id), worker.description.lanes);
        if held > lanes {
            return Err(format!("worker {id} holds {held} trajectories on {lanes} lanes"));
        }
        if self.workers.quarantine_of(id).is_some() {
            return Err(format!("worker {id} is in quarantine and is granted a bundle"));
        }
        match self.sweeps.get(&sweep) {
            Some(sweep) if sweep.row.state == SweepState::Running => Ok(()),
            _ => Err(format!("sweep {sweep} is not running and a bundle of it is granted")),
        }
    }
}
