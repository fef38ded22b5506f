//! What always holds of the scheduler's state, as plain functions: tried after every event in debug builds, and in every
//! simulation.

use std::collections::{BTreeMap, BTreeSet};

use biosweep_common::ids::WorkerId;

use super::scheduler::Core;

impl Core {
    /// Tries every invariant.
    ///
    /// # Errors
    /// The first that is broken, in words.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.every_trajectory_is_in_one_place()?;
        self.no_worker_is_offered_more_than_its_lanes()?;
        self.every_sweep_here_has_work_left()
    }

    /// A trajectory is pending, or leased under one attempt, or done; no two of these.
    fn every_trajectory_is_in_one_place(&self) -> Result<(), String> {
        let mut leased = BTreeSet::new();
        for (attempt, lease) in &self.leases {
            let Some(sweep) = self.sweeps.get(&lease.sweep) else {
                return Err(format!("attempt {attempt} is of sweep {}, which is not here", lease.sweep));
            };
            for &trajectory in lease.open.keys() {
                if !leased.insert((lease.sweep, trajectory)) {
                    return Err(format!("trajectory {trajectory} is leased twice, last under attempt {attempt}"));
                }
                if sweep.pending.contains(trajectory.0) {
                    return Err(format!("trajectory {trajectory} is pending and leased under attempt {attempt}"));
                }
            }
        }
        Ok(())
    }

    /// What a worker holds is counted, and what it may be granted besides is no more than it can train at once.
    fn no_worker_is_offered_more_than_its_lanes(&self) -> Result<(), String> {
        let mut held: BTreeMap<WorkerId, u32> = BTreeMap::new();
        for lease in self.leases.values() {
            *held.entry(lease.worker).or_default() += lease.open.len() as u32;
        }
        if let Some(worker) = held.keys().find(|worker| !self.workers.contains_key(worker)) {
            return Err(format!("worker {worker} holds leases and is not known"));
        }
        for (id, worker) in &self.workers {
            let open = held.get(id).copied().unwrap_or(0);
            if open != worker.open {
                return Err(format!("worker {id} holds {open} trajectories and is thought to hold {}", worker.open));
            }
            let (idle, lanes) = (worker.idle_lanes, worker.description.lanes);
            if idle > 0 && open + idle > lanes {
                return Err(format!("worker {id} holds {open} trajectories on {lanes} lanes and is offered {idle}"));
            }
        }
        Ok(())
    }

    /// A sweep whose every trial has a result has left; what is left of one is pending or leased.
    fn every_sweep_here_has_work_left(&self) -> Result<(), String> {
        for (id, sweep) in &self.sweeps {
            let leased = self.leases.values().any(|lease| lease.sweep == *id);
            if sweep.row.state.has_ended() || sweep.is_finished() || (sweep.pending.is_empty() && !leased) {
                return Err(format!("sweep {id} is {} and still here", sweep.row.state.name()));
            }
        }
        Ok(())
    }
}
