//! The invariants of the scheduler's state, as plain functions. Debug builds and the simulation check them after every event.

use std::collections::BTreeSet;

use biosweep_common::protocol::messages::Held;
use biosweep_common::results::outcome::SweepState;
use biosweep_common::vocabulary::ids::{SweepId, TrajectoryIndex, WorkerId};

use crate::scheduler::Scheduler;

impl Scheduler {
    /// Checks every invariant.
    ///
    /// # Errors
    /// A description of the first broken invariant.
    pub fn check(&self) -> Result<(), String> {
        self.every_trajectory_has_one_state()?;
        self.every_lease_has_its_worker()?;
        self.leases.check()?;
        self.workers.check(|id| self.leases.lanes_held_by(id))?;
        self.every_sweep_counts_its_lanes()?;
        self.no_worker_waits_although_there_is_work()?;
        self.every_unexplained_failure_is_of_an_open_trajectory()?;
        self.every_source_and_dependent_is_in_the_table()?;
        self.every_sweep_in_the_table_has_work_left()?;
        self.every_trial_is_counted_once()?;
        self.no_failure_is_retried_too_often()
    }

    /// Every trajectory is in exactly one state: pending, leased under one attempt, awaited from a lease, or done.
    fn every_trajectory_has_one_state(&self) -> Result<(), String> {
        let (mut leased, mut expected) = (BTreeSet::new(), BTreeSet::new());
        for (attempt, lease) in self.leases.iter() {
            let Some(sweep) = self.sweeps.get(&lease.sweep) else {
                return Err(format!("attempt {attempt} is of sweep {}, which is not in the table", lease.sweep));
            };
            expected.extend(lease.open.values().flat_map(|lane| lane.awaited_by.iter().copied()));
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
                    "trajectory {index} of {id} is awaited from another lease, and also pending or leased"
                ));
            }
            if !expected.contains(&(id, index)) {
                return Err(format!("trajectory {index} of {id} is awaited and no worker trains it"));
            }
        }
        Ok(())
    }

    /// Every worker that holds a lease is known.
    fn every_lease_has_its_worker(&self) -> Result<(), String> {
        match self.leases.iter().find(|(_, lease)| self.workers.get(lease.worker).is_none()) {
            Some((attempt, lease)) => {
                Err(format!("worker {} holds a lease under attempt {attempt} and is not known", lease.worker))
            }
            None => Ok(()),
        }
    }

    /// Every sweep counts its usable lanes and its leased lanes, and lists its pending runs.
    fn every_sweep_counts_its_lanes(&self) -> Result<(), String> {
        for (id, sweep) in &self.sweeps {
            let usable = self.usable_lanes(sweep);
            if sweep.usable_lanes != usable {
                return Err(format!("sweep {id} has {usable} usable lanes and counts {}", sweep.usable_lanes));
            }
            let open: u64 = self.leases.of_sweep(*id).map(|(_, lease)| lease.open.len() as u64).sum();
            if sweep.fair_share.open() != open {
                return Err(format!("sweep {id} has {open} leased lanes and counts {}", sweep.fair_share.open()));
            }
            sweep.pending.check().map_err(|broken| format!("sweep {id}: {broken}"))?;
        }
        Ok(())
    }

    /// No worker waits although there is work for it, unless its class is still to be checked.
    fn no_worker_waits_although_there_is_work(&self) -> Result<(), String> {
        if self.draining || self.check_all {
            return Ok(());
        }
        let classes = self.workers.classes.iter();
        for (capabilities, class) in classes.filter(|(capabilities, _)| !self.workers.to_check.contains(*capabilities))
        {
            if let Some(id) = self.next_waiting_worker(capabilities) {
                return Err(format!("worker {id} waits although there is work for it"));
            }
            for &id in &class.refused {
                let sweeps = self.sweeps.values().filter(|sweep| sweep.has_work_for(capabilities));
                for sweep in sweeps {
                    let first = sweep.pending.first(|index| self.should_run_elsewhere(id, sweep, index));
                    if let Some(run) = first {
                        return Err(format!(
                            "worker {id} was refused although it may train {run:?} of sweep {}",
                            sweep.id()
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    /// Every unexplained failure of a worker is of a trajectory that is not done, so a later attempt will explain it.
    fn every_unexplained_failure_is_of_an_open_trajectory(&self) -> Result<(), String> {
        for (id, worker) in self.workers.iter() {
            for &(sweep, trajectory) in &worker.failing.unexplained {
                let failed_on = self.sweeps.get(&sweep).map(|sweep| &sweep.failed_on);
                if failed_on.is_none_or(|failed_on| !failed_on.on(trajectory).contains(&id)) {
                    return Err(format!(
                        "trajectory {trajectory} of {sweep} is an unexplained failure of worker {id}, but is done"
                    ));
                }
            }
        }
        Ok(())
    }

    /// Every sweep in the table of dependents has not ended.
    fn every_source_and_dependent_is_in_the_table(&self) -> Result<(), String> {
        let named = self.dependents.iter().flat_map(|(source, dependents)| dependents.iter().chain([source]));
        match named.into_iter().find(|id| !self.sweeps.contains_key(id)) {
            Some(id) => Err(format!("sweep {id} is listed as a source or dependent and is not in the table")),
            None if self.dependents.values().any(BTreeSet::is_empty) => {
                Err("a source is listed without a dependent".to_owned())
            }
            None => Ok(()),
        }
    }

    /// Every sweep in the table has a trajectory that is pending, leased or awaited.
    fn every_sweep_in_the_table_has_work_left(&self) -> Result<(), String> {
        for (id, sweep) in &self.sweeps {
            let leased = self.leases.of_sweep(*id).next().is_some();
            if sweep.row.state.has_ended()
                || sweep.is_finished()
                || (sweep.pending.is_empty() && sweep.awaited.is_empty() && !leased)
            {
                return Err(format!(
                    "sweep {id} is {} and has no work left, but is in the table",
                    sweep.row.state.name()
                ));
            }
        }
        Ok(())
    }
}

/// Trajectories of the largest sweep whose trials are counted. Counting a larger one would be too slow.
const COUNTED: u64 = 1_000;

impl Scheduler {
    /// Every trial either has a result, or its trajectory is pending, leased or awaited. Large sweeps are not checked.
    fn every_trial_is_counted_once(&self) -> Result<(), String> {
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

    /// No trajectory without a result has failed more often than the sweep allows.
    fn no_failure_is_retried_too_often(&self) -> Result<(), String> {
        for (id, sweep) in &self.sweeps {
            let most = sweep.spec.execution.retries_max;
            if let Some((index, counters)) = sweep.counters.iter().find(|(_, counters)| counters.failed > most) {
                return Err(format!(
                    "trajectory {index} of {id} failed {} times, but the limit of retries is {most}",
                    counters.failed
                ));
            }
        }
        Ok(())
    }

    /// Checks an accepted report: its worker holds the trajectory under its attempt.
    ///
    /// # Errors
    /// A description of the error in the report.
    pub(crate) fn check_end(&self, id: WorkerId, held: Held) -> Result<(), String> {
        match self.leases.get(held.attempt) {
            Some(lease) if lease.worker != id => {
                Err(format!("worker {id} reports a trajectory of worker {}", lease.worker))
            }
            Some(lease) if lease.sweep == held.sweep && lease.open.contains_key(&held.trajectory) => Ok(()),
            _ => Err(format!(
                "trajectory {} is reported under attempt {}, which has ended",
                held.trajectory, held.attempt
            )),
        }
    }
}

impl Scheduler {
    /// Checks a grant: the worker has enough lanes and is not in quarantine, and the sweep is running.
    ///
    /// # Errors
    /// A description of the error in the grant.
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
