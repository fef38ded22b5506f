//! The simulated processes of a coordinator and a worker.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use biosweep_common::grid::Trajectory;
use biosweep_common::protocol::messages::{Grant, Held, WorkerDescription};
use biosweep_common::protocol::session::{LaneEnd, Owed, Session};
use biosweep_common::results::curve::CurvePoint;
use biosweep_common::results::outcome::Outcome;
use biosweep_common::spec::SweepSpec;
use biosweep_common::vocabulary::ids::{SweepId, TrajectoryIndex, WorkerId};
use biosweep_common::workers::capability::Capabilities;
use biosweep_scheduler::batcher::{Batcher, StreamId};
use biosweep_scheduler::record::Record;

/// A running coordinator: the state of its driver.
#[derive(Debug)]
pub(super) struct Coordinator {
    /// Its number: a coordinator that takes over has a greater one.
    pub(super) epoch: u64,
    pub(super) batcher: Batcher<()>,
    /// The current stream of each worker.
    pub(super) streams: BTreeMap<WorkerId, StreamId>,
    /// The transaction that is being written, and whether the store has committed it.
    pub(super) writing: Option<(Arc<Vec<Record>>, bool)>,
    /// Whether a commit event is scheduled.
    pub(super) is_due: bool,
}

impl Coordinator {
    /// Whether all decisions are committed.
    pub(super) const fn is_settled(&self) -> bool {
        self.writing.is_none() && !self.is_due
    }
}

/// A worker's process.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) id: WorkerId,
    pub(super) session: Session,
    pub(super) lanes: Vec<Lane>,
    pub(super) stream: Option<StreamId>,
    /// The number of this process. It distinguishes the process from earlier ones in its slot.
    pub(super) life: u64,
    /// The time until which the process is suspended.
    pub(super) frozen_until: u64,
}

/// A trajectory that a worker trains.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) held: Held,
    trajectory: Trajectory,
    pub(super) updates: u64,
    evaluations: Vec<CurvePoint>,
    pub(super) halted: Option<bool>,
    pub(super) over: bool,
}

/// Updates between two evaluations, as in the specs of the world.
const EVAL_EVERY: u64 = 10;
/// The last evaluation before a divergence, in updates.
const LAST_SOUND: u64 = 20;

/// Whether the trajectory diverges. This depends only on its settings, not on the worker or the attempt.
fn diverges(trajectory: &Trajectory) -> bool {
    (trajectory.hyperparameters.seed + u64::from(trajectory.shape.depth)) % 7 == 5
}

/// The evaluation of a trajectory. It depends only on the settings, as in real training.
fn evaluation(trajectory: &Trajectory, update: u64) -> CurvePoint {
    let Trajectory { shape, hyperparameters, .. } = trajectory;
    let kind = u64::from(shape.depth) << 32 | (shape.rule as u64) << 16 | shape.network as u64;
    let mut mixed = kind ^ (hyperparameters.seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ update;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let accuracy = (mixed >> 40) as f64 / f64::from(1 << 24);
    CurvePoint { update, train_loss: 1.0, validation_accuracy: accuracy, test_accuracy: Some(accuracy / 2.0) }
}

impl Worker {
    pub(super) fn new(id: WorkerId, lanes: u32, labels: BTreeSet<String>, life: u64, owed: Vec<Owed>) -> Self {
        let description = WorkerDescription {
            name: format!("worker {}", id.0.as_u128() % 1_000),
            capabilities: Capabilities { device: "cpu".to_owned(), labels, ..Capabilities::default() },
            lanes,
            ..WorkerDescription::default()
        };
        let session = Session::new(id, description, owed);
        Self { id, session, lanes: Vec::new(), stream: None, life, frozen_until: 0 }
    }

    /// Starts to train a bundle. Each lane resumes from its checkpoint.
    pub(super) fn train(
        &mut self,
        grant: &Grant,
        specs: &BTreeMap<SweepId, Arc<SweepSpec>>,
        checkpoints: &BTreeMap<(SweepId, TrajectoryIndex), u64>,
    ) {
        let lane = |lane: &biosweep_common::protocol::messages::Lane| {
            let held = Held { sweep: grant.sweep, attempt: grant.attempt, trajectory: lane.trajectory };
            let trajectory = specs.get(&grant.sweep).and_then(|spec| spec.grid.trajectory(lane.trajectory));
            let updates = checkpoints.get(&(held.sweep, held.trajectory)).copied().unwrap_or(0);
            let trajectory = trajectory.expect("the granted trajectory is in the grid");
            let evaluations = (1..=updates / EVAL_EVERY).map(|n| evaluation(&trajectory, n * EVAL_EVERY)).collect();
            Lane { held, trajectory, updates, evaluations, halted: None, over: false }
        };
        self.lanes = grant.lanes.iter().map(lane).collect();
    }
}

impl Lane {
    /// Trains to the next evaluation; returns the evaluation, and the end of the lane if it ends.
    pub(super) fn advance(&mut self) -> (CurvePoint, Option<LaneEnd>) {
        self.updates += EVAL_EVERY;
        let point = evaluation(&self.trajectory, self.updates);
        self.evaluations.push(point);
        let last = self.trajectory.stopping_rules.iter().map(|rule| rule.max_updates).max().unwrap_or(0);
        let end = if diverges(&self.trajectory) && self.updates >= LAST_SOUND && last > LAST_SOUND {
            Some(self.end(Outcome::Diverged, None))
        } else if self.updates >= last {
            Some(self.end(Outcome::Completed, None))
        } else {
            None
        };
        (point, end)
    }

    /// Ends the lane with this outcome.
    pub(super) fn end(&mut self, outcome: Outcome, cause: Option<String>) -> LaneEnd {
        self.over = true;
        let curve = match outcome {
            Outcome::Completed | Outcome::Diverged => self.evaluations.clone(),
            _ => Vec::new(),
        };
        LaneEnd {
            outcome,
            cause,
            curve,
            diagnostics: Vec::new(),
            updates: self.updates,
            seconds: 1.0,
            dataset_size: None,
        }
    }
}
