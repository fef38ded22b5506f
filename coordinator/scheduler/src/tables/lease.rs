//! The leases: the trajectories that workers hold, each under one attempt number.

use std::collections::{BTreeMap, BTreeSet};

use biosweep_common::configuration::trajectory_point;
use biosweep_common::grid::Trajectory;
use biosweep_common::protocol::messages::{Grant, Lane};
use biosweep_common::results::curve::CurvePoint;
use biosweep_common::results::views::LaneView;
use biosweep_common::spec::SweepSpec;
use biosweep_common::vocabulary::ids::{Attempt, SweepId, TrajectoryIndex, WorkerId};
use biosweep_common::vocabulary::time::Tick;

/// All open leases, by attempt, worker and sweep.
#[derive(Debug, Clone, Default)]
pub(crate) struct LeaseTable {
    leases: BTreeMap<Attempt, Lease>,
    by_worker: BTreeMap<WorkerId, Holding>,
    by_sweep: BTreeMap<SweepId, BTreeSet<Attempt>>,
}

/// The leases of one worker.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Holding {
    attempts: BTreeSet<Attempt>,
    /// Number of open lanes of these leases.
    lanes: u32,
}

/// A granted bundle. It has at least one open lane.
#[derive(Debug, Clone)]
pub(crate) struct Lease {
    /// The sweep of the trajectories.
    pub(crate) sweep: SweepId,
    /// The worker that holds the lease.
    pub(crate) worker: WorkerId,
    /// The trajectories that have not ended.
    pub(crate) open: BTreeMap<TrajectoryIndex, OpenLane>,
}

/// A trajectory in training, with the latest progress from its worker.
#[derive(Debug, Clone)]
pub(crate) struct OpenLane {
    /// The trajectory.
    pub(crate) trajectory: Trajectory,
    /// The time of the grant, or of the coordinator's start if the lease is older.
    pub(crate) since: Tick,
    /// Updates done.
    pub(crate) updates: u64,
    /// The latest evaluation.
    pub(crate) latest: Option<CurvePoint>,
    /// The trajectories of other sweeps and blocks that await the results of this one.
    pub(crate) awaited_by: Vec<(SweepId, TrajectoryIndex)>,
}

/// A lane that was removed from the table.
#[derive(Debug)]
pub(crate) struct ClosedLane {
    /// The sweep.
    pub(crate) sweep: SweepId,
    /// The worker that held the lane.
    pub(crate) worker: WorkerId,
    /// The lane.
    pub(crate) lane: OpenLane,
}

impl LeaseTable {
    /// Adds a lease.
    ///
    /// # Panics
    /// If the attempt number is already used, or the lease has no lane.
    pub(crate) fn insert(&mut self, attempt: Attempt, lease: Lease) {
        assert!(!lease.open.is_empty(), "the lease under attempt {attempt} has no lane");
        let holding = self.by_worker.entry(lease.worker).or_default();
        holding.attempts.insert(attempt);
        holding.lanes += lease.open.len() as u32;
        self.by_sweep.entry(lease.sweep).or_default().insert(attempt);
        let before = self.leases.insert(attempt, lease);
        assert!(before.is_none(), "attempt {attempt} is granted twice");
    }

    /// Closes a lane. The lease ends with its last lane.
    ///
    /// # Panics
    /// If the attempt has no such lane.
    pub(crate) fn close(&mut self, attempt: Attempt, trajectory: TrajectoryIndex) -> ClosedLane {
        let closed = self.leases.get_mut(&attempt).and_then(|lease| {
            let lane = lease.open.remove(&trajectory)?;
            Some((ClosedLane { sweep: lease.sweep, worker: lease.worker, lane }, lease.open.is_empty()))
        });
        let Some((closed, is_last)) = closed else {
            panic!("trajectory {trajectory} has no lane under attempt {attempt}");
        };
        if is_last {
            self.leases.remove(&attempt);
        }
        let holding = self.by_worker.get_mut(&closed.worker).expect("a worker with a lease is listed");
        holding.lanes -= 1;
        if is_last {
            holding.attempts.remove(&attempt);
            if holding.attempts.is_empty() {
                self.by_worker.remove(&closed.worker);
            }
            let attempts = self.by_sweep.get_mut(&closed.sweep).expect("a sweep with a lease is listed");
            attempts.remove(&attempt);
            if attempts.is_empty() {
                self.by_sweep.remove(&closed.sweep);
            }
        }
        closed
    }

    /// The lease under an attempt.
    pub(crate) fn get(&self, attempt: Attempt) -> Option<&Lease> {
        self.leases.get(&attempt)
    }

    /// The lane that a worker holds under an attempt, with its sweep; `None` if the worker holds no such lane.
    pub(crate) fn lane_of(
        &mut self,
        worker: WorkerId,
        attempt: Attempt,
        trajectory: TrajectoryIndex,
    ) -> Option<(SweepId, &mut OpenLane)> {
        let lease = self.leases.get_mut(&attempt).filter(|lease| lease.worker == worker)?;
        Some((lease.sweep, lease.open.get_mut(&trajectory)?))
    }

    /// The open lanes under an attempt.
    pub(crate) fn lanes_under(&mut self, attempt: Attempt) -> impl Iterator<Item = &mut OpenLane> {
        self.leases.get_mut(&attempt).into_iter().flat_map(|lease| lease.open.values_mut())
    }

    /// The number of open lanes of a worker.
    pub(crate) fn lanes_held_by(&self, worker: WorkerId) -> u32 {
        self.by_worker.get(&worker).map_or(0, |holding| holding.lanes)
    }

    /// All leases.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Attempt, &Lease)> {
        self.leases.iter().map(|(&attempt, lease)| (attempt, lease))
    }

    /// The leases of a worker.
    pub(crate) fn of_worker(&self, worker: WorkerId) -> impl Iterator<Item = (Attempt, &Lease)> {
        self.by_worker.get(&worker).into_iter().flat_map(|holding| self.under(&holding.attempts))
    }

    /// The leases of a sweep.
    pub(crate) fn of_sweep(&self, sweep: SweepId) -> impl Iterator<Item = (Attempt, &Lease)> {
        self.by_sweep.get(&sweep).into_iter().flat_map(|attempts| self.under(attempts))
    }

    fn under<'a>(&'a self, attempts: &'a BTreeSet<Attempt>) -> impl Iterator<Item = (Attempt, &'a Lease)> {
        attempts.iter().map(|attempt| (*attempt, &self.leases[attempt]))
    }

    /// Checks that the indexes match the leases.
    ///
    /// # Errors
    /// A description of the first difference.
    pub(crate) fn check(&self) -> Result<(), String> {
        let (mut by_worker, mut by_sweep) = (BTreeMap::<_, Holding>::new(), BTreeMap::<_, BTreeSet<_>>::new());
        for (&attempt, lease) in &self.leases {
            let holding = by_worker.entry(lease.worker).or_default();
            holding.attempts.insert(attempt);
            holding.lanes += lease.open.len() as u32;
            by_sweep.entry(lease.sweep).or_default().insert(attempt);
            if lease.open.is_empty() {
                return Err(format!("the lease under attempt {attempt} has no lane"));
            }
        }
        if by_worker != self.by_worker {
            return Err(format!("the leases by worker are {by_worker:?}, but the index has {:?}", self.by_worker));
        }
        if by_sweep != self.by_sweep {
            return Err(format!("the leases by sweep are {by_sweep:?}, but the index has {:?}", self.by_sweep));
        }
        Ok(())
    }
}

impl OpenLane {
    /// A lane without progress.
    pub(crate) fn new(trajectory: Trajectory, since: Tick) -> Self {
        Self { trajectory, since, updates: 0, latest: None, awaited_by: Vec::new() }
    }

    /// The number of updates after which the trajectory ends at the latest.
    pub(crate) fn updates_max(&self) -> u64 {
        self.trajectory.stopping_rules.iter().map(|rule| rule.max_updates).max().unwrap_or(0)
    }

    /// The number of evaluations that the trajectory has at most: those at multiples of `eval_every`, those at the ends of its trials,
    /// and one at which the loss diverged.
    pub(crate) fn evaluations_max(&self) -> u64 {
        self.updates_max() / self.trajectory.shape.eval_every.max(1) + self.trials() + 1
    }

    /// The number of trials of the trajectory.
    pub(crate) fn trials(&self) -> u64 {
        self.trajectory.stopping_rules.len() as u64
    }
}

impl Lease {
    /// The trajectories that have not ended.
    pub(crate) fn trajectories(&self) -> Vec<TrajectoryIndex> {
        self.open.keys().copied().collect()
    }

    /// The grant message to the worker.
    pub(crate) fn grant(&self, attempt: Attempt, spec: &SweepSpec) -> Grant {
        let first = self.open.values().next().expect("a lease has a lane");
        let lane = |(&trajectory, lane): (&TrajectoryIndex, &OpenLane)| Lane {
            trajectory,
            hyperparameters: lane.trajectory.hyperparameters,
            stopping_rules: lane.trajectory.stopping_rules.clone(),
            traceparent: None,
        };
        Grant {
            sweep: self.sweep,
            attempt,
            shape: first.trajectory.shape.clone(),
            measures: spec.measures.clone(),
            checkpoint_every_ms: (spec.execution.checkpoint_every_s * 1e3).ceil() as u64,
            lanes: self.open.iter().map(lane).collect(),
        }
    }

    /// The views of the open lanes.
    pub(crate) fn views(&self, attempt: Attempt) -> impl Iterator<Item = LaneView> {
        self.open.iter().map(move |(&index, lane)| LaneView {
            sweep: self.sweep,
            trajectory: index,
            attempt,
            point: trajectory_point(&lane.trajectory.shape, lane.trajectory.hyperparameters),
            latest: lane.latest,
            updates: lane.updates,
            max_updates: lane.updates_max(),
        })
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::testing::{spec, worker};

    fn lease(sweep: u128, holder: u128, trajectories: &[u64]) -> Lease {
        let spec = spec();
        let lane = |&index: &u64| {
            let index = TrajectoryIndex(index);
            (index, OpenLane::new(spec.grid.trajectory(index).expect("the index is in the grid"), Tick(0)))
        };
        let open = trajectories.iter().map(lane).collect();
        Lease { sweep: SweepId(Uuid::from_u128(sweep)), worker: worker(holder), open }
    }

    /// Two leases of worker 7 and one of worker 8.
    fn table() -> LeaseTable {
        let mut table = LeaseTable::default();
        table.insert(Attempt(1), lease(1, 7, &[0, 1]));
        table.insert(Attempt(2), lease(2, 7, &[3]));
        table.insert(Attempt(3), lease(1, 8, &[2]));
        table
    }

    #[test]
    fn a_lease_is_listed_by_worker_and_sweep_until_its_last_lane_is_closed() {
        let mut table = table();
        let attempts = |leases: &mut dyn Iterator<Item = (Attempt, &Lease)>| -> Vec<u64> {
            leases.map(|(attempt, _)| attempt.0).collect()
        };
        assert_eq!(attempts(&mut table.of_worker(worker(7))), [1, 2]);
        assert_eq!(attempts(&mut table.of_sweep(SweepId(Uuid::from_u128(1)))), [1, 3]);
        assert_eq!((table.lanes_held_by(worker(7)), table.lanes_held_by(worker(9))), (3, 0));
        assert!(table.lane_of(worker(8), Attempt(1), TrajectoryIndex(0)).is_none(), "another worker holds it");

        assert_eq!(table.close(Attempt(1), TrajectoryIndex(0)).worker, worker(7));
        assert_eq!((attempts(&mut table.of_worker(worker(7))), table.lanes_held_by(worker(7))), (vec![1, 2], 2));
        table.close(Attempt(1), TrajectoryIndex(1));
        assert_eq!((attempts(&mut table.of_worker(worker(7))), table.lanes_held_by(worker(7))), (vec![2], 1));
        assert_eq!(attempts(&mut table.of_sweep(SweepId(Uuid::from_u128(1)))), [3]);
        table.check().expect("the table is consistent");
        table.close(Attempt(2), TrajectoryIndex(3));
        table.close(Attempt(3), TrajectoryIndex(2));
        assert!(table.by_worker.is_empty() && table.by_sweep.is_empty(), "nothing is left behind");
    }

    #[test]
    #[should_panic(expected = "trajectory 5 has no lane under attempt 1")]
    fn closing_a_lane_that_is_not_there_panics_with_both_numbers() {
        table().close(Attempt(1), TrajectoryIndex(5));
    }

    #[test]
    #[should_panic(expected = "attempt 3 is granted twice")]
    fn granting_one_attempt_twice_panics() {
        table().insert(Attempt(3), lease(1, 7, &[4]));
    }

    #[test]
    fn an_index_that_contradicts_the_leases_is_noticed() {
        let broken = |breaks: fn(&mut LeaseTable)| {
            let mut table = table();
            breaks(&mut table);
            table.check().expect_err("the table is inconsistent")
        };
        assert!(broken(|table| table.by_worker.clear()).contains("the leases by worker"));
        assert!(broken(|table| table.by_sweep.clear()).contains("the leases by sweep"));
        assert!(
            broken(|table| table.by_worker.values_mut().for_each(|holding| holding.lanes += 1)).contains("by worker")
        );
        assert!(broken(|table| table.leases.values_mut().for_each(|lease| lease.open.clear())).contains("has no lane"));
    }
}
