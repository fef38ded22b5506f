//! A lease: trajectories in one worker's hands under one fencing number.

use std::collections::BTreeMap;

use biosweep_common::configuration::trajectory_point;
use biosweep_common::curve::CurvePoint;
use biosweep_common::grid::Trajectory;
use biosweep_common::ids::{Attempt, SweepId, TrajectoryIndex, WorkerId};
use biosweep_common::protocol::messages::{Grant, Lane};
use biosweep_common::spec::SweepSpec;
use biosweep_common::time::Tick;
use biosweep_common::views::LaneView;

/// A granted bundle.
#[derive(Debug, Clone)]
pub struct Lease {
    /// The sweep.
    pub sweep: SweepId,
    /// Who holds it.
    pub worker: WorkerId,
    /// The trajectories whose end has not been accepted.
    pub open: BTreeMap<TrajectoryIndex, OpenLane>,
}

/// A trajectory in training, as last heard of.
#[derive(Debug, Clone)]
pub struct OpenLane {
    /// What is trained.
    pub trajectory: Trajectory,
    /// When it was granted, or taken up at a start.
    pub(super) since: Tick,
    /// Updates done.
    pub updates: u64,
    /// The latest evaluation.
    pub latest: Option<CurvePoint>,
    /// Who waits for its end instead of training the same.
    pub(super) awaited_by: Vec<(SweepId, TrajectoryIndex)>,
}

impl OpenLane {
    /// A trajectory of which nothing has been heard.
    pub fn new(trajectory: Trajectory, since: Tick) -> Self {
        Self { trajectory, since, updates: 0, latest: None, awaited_by: Vec::new() }
    }

    /// Updates after which it ends in any case.
    pub fn updates_max(&self) -> u64 {
        self.trajectory.stopping_rules.iter().map(|rule| rule.max_updates).max().unwrap_or(0)
    }

    /// Its trials.
    pub fn trials(&self) -> u64 {
        self.trajectory.stopping_rules.len() as u64
    }
}

impl Lease {
    /// What the worker is told; `None` where nothing is open.
    pub fn grant(&self, attempt: Attempt, spec: &SweepSpec) -> Option<Grant> {
        let shape = self.open.values().next()?.trajectory.shape.clone();
        let lane = |(&trajectory, lane): (&TrajectoryIndex, &OpenLane)| Lane {
            trajectory,
            hyperparameters: lane.trajectory.hyperparameters,
            stopping_rules: lane.trajectory.stopping_rules.clone(),
        };
        Some(Grant {
            sweep: self.sweep,
            attempt,
            shape,
            measures: spec.measures.clone(),
            checkpoint_every_ms: (spec.execution.checkpoint_every_s * 1e3).ceil() as u64,
            lanes: self.open.iter().map(lane).collect(),
        })
    }

    /// Its lanes as people see them.
    pub fn views(&self, attempt: Attempt) -> impl Iterator<Item = LaneView> {
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
