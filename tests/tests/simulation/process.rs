//! A coordinator and a worker of the simulated world.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use biosweep_common::capability::Capabilities;
use biosweep_common::curve::CurvePoint;
use biosweep_common::grid::Trajectory;
use biosweep_common::ids::{SweepId, TrajectoryIndex, WorkerId};
use biosweep_common::outcome::Outcome;
use biosweep_common::protocol::messages::{Grant, Held, WorkerDescription};
use biosweep_common::protocol::session::{LaneEnd, Owed, Session};
use biosweep_common::spec::SweepSpec;
use biosweep_scheduler::batcher::{Batcher, StreamId};
use biosweep_scheduler::record::Record;

/// A coordinator that is alive: what its driver holds.
#[derive(Debug)]
pub(super) struct Coordinator {
    pub(super) batcher: Batcher<()>,
    /// The present stream of each worker.
    pub(super) streams: BTreeMap<WorkerId, StreamId>,
    /// The transaction on its way to the disk, and whether the store has it already.
    pub(super) writing: Option<(Arc<Vec<Record>>, bool)>,
    /// Whether the loop is going to look after its transactions.
    pub(super) is_due: bool,
}

impl Coordinator {
    /// Whether everything that is decided is committed.
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
    /// Told apart from the process that was here before.
    pub(super) life: u64,
    /// It does nothing before then.
    pub(super) frozen_until: u64,
}

/// A trajectory in a worker's trainer.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) held: Held,
    trajectory: Trajectory,
    pub(super) updates: u64,
    evaluations: Vec<CurvePoint>,
    pub(super) halted: Option<bool>,
    pub(super) over: bool,
}

/// Updates between two evaluations; the specs of the world say the same.
const EVAL_EVERY: u64 = 10;
/// What diverges does so after this evaluation.
const LAST_SOUND: u64 = 20;

/// Whether the loss ceases to be finite, wherever and for whomever it is trained: a fact of the world.
fn diverges(trajectory: &Trajectory) -> bool {
    (trajectory.hyperparameters.seed + u64::from(trajectory.shape.depth)) % 7 == 5
}

/// What is found in every evaluation of it, wherever and for whomever it is trained, like the numbers of a real one.
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

    /// Takes a bundle, each lane from its checkpoint.
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
            let trajectory = trajectory.expect("grants are of the grid");
            let evaluations = (1..=updates / EVAL_EVERY).map(|n| evaluation(&trajectory, n * EVAL_EVERY)).collect();
            Lane { held, trajectory, updates, evaluations, halted: None, over: false }
        };
        self.lanes = grant.lanes.iter().map(lane).collect();
    }
}

impl Lane {
    /// Trains to the next evaluation; the evaluation, and the end where it is one.
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

    /// Ends as it is.
    pub(super) fn end(&mut self, outcome: Outcome, cause: Option<String>) -> LaneEnd {
        self.over = true;
        let curve = match outcome {
            Outcome::Completed | Outcome::Diverged => self.evaluations.clone(),
            _ => Vec::new(),
        };
        LaneEnd { outcome, cause, curve, diagnostics: Vec::new(), updates: self.updates, seconds: 1.0 }
    }
}
