//! The messages of a worker's stream, as domain types.

use std::sync::Arc;

use crate::configuration::{Hyperparameters, Shape, StoppingRule};
use crate::results::curve::CurvePoint;
use crate::results::outcome::Outcome;
use crate::vocabulary::dataset::DatasetSize;
use crate::vocabulary::diagnostics::{DiagnosticPoint, Measure};
use crate::vocabulary::ids::{Attempt, StoreId, SweepId, TrajectoryIndex, WorkerId};
use crate::vocabulary::trace::Traceparent;
use crate::workers::capability::Capabilities;
use crate::workers::environment::NumericEnvironment;

/// A message from a worker to the coordinator.
#[derive(Debug, Clone, PartialEq)]
pub enum ToCoordinator {
    /// The first message on every stream.
    Hello(Hello),
    /// Asks for a bundle with up to this many lanes.
    Poll {
        /// Trajectories it can train at once.
        lanes: u32,
    },
    /// Shows that the worker lives.
    Heartbeat {
        /// The progress of each trajectory in training.
        progress: Vec<Progress>,
    },
    /// An evaluation, sent when it happens.
    Evaluated {
        /// The lease.
        attempt: Attempt,
        /// The trajectory.
        trajectory: TrajectoryIndex,
        /// The evaluation.
        point: CurvePoint,
    },
    /// A trajectory has ended. The message is repeated on every new stream until it is acknowledged.
    AttemptEnded(Box<Report>),
    /// The worker leaves and holds nothing that is not acknowledged.
    Goodbye,
}

impl ToCoordinator {
    /// Approximate bytes of the message in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let content = match self {
            Self::Hello(hello) => hello.bytes(),
            Self::Heartbeat { progress } => size_of_val(progress.as_slice()),
            Self::AttemptEnded(report) => size_of::<Report>() + report.bytes(),
            Self::Poll { .. } | Self::Evaluated { .. } | Self::Goodbye => 0,
        };
        size_of::<Self>() + content
    }
}

/// The introduction of a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The id of the worker process.
    pub worker: WorkerId,
    /// The description for users and for the assignment of bundles.
    pub description: WorkerDescription,
    /// The numerics version of the worker's engine.
    pub numerics_version: u32,
    /// Trajectories in training, and finished ones without acknowledgement.
    pub held: Vec<Held>,
}

impl Hello {
    /// Approximate bytes of what it holds in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of_val(self.held.as_slice())
    }
}

/// The description of a worker.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkerDescription {
    /// The name, such as host/pid.
    pub name: String,
    /// The capabilities that a sweep may require.
    pub capabilities: Capabilities,
    /// Number of trajectories it can train at once.
    pub lanes: u32,
    /// The version of the program.
    pub version: String,
    /// The numeric environment of its results.
    pub environment: Arc<NumericEnvironment>,
}

/// A trajectory that a worker holds, with its lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Held {
    /// The sweep.
    pub sweep: SweepId,
    /// The lease.
    pub attempt: Attempt,
    /// The trajectory.
    pub trajectory: TrajectoryIndex,
}

/// The progress of a trajectory in training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The lease.
    pub attempt: Attempt,
    /// The trajectory.
    pub trajectory: TrajectoryIndex,
    /// Updates done.
    pub updates: u64,
}

/// The end of an attempt at one trajectory, with its results.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The trajectory and its lease.
    pub held: Held,
    /// The outcome.
    pub outcome: Outcome,
    /// The cause of a failure, if any.
    pub cause: Option<String>,
    /// The learning curve, from which the scores of its trials follow.
    pub curve: Vec<CurvePoint>,
    /// The diagnostics, if the grant asked for them.
    pub diagnostics: Vec<DiagnosticPoint>,
    /// Updates done.
    pub updates: u64,
    /// Wall-clock seconds of the attempt.
    pub seconds: f64,
    /// The counts of its dataset; `None` if the dataset was not loaded.
    pub dataset_size: Option<DatasetSize>,
    /// The span of its training, or that of its grant if the worker sends no traces. The worker's border sets it.
    pub traceparent: Option<Traceparent>,
}

/// A message from the coordinator to a worker.
#[derive(Debug, Clone, PartialEq)]
pub enum ToWorker {
    /// The answer to a hello.
    Welcome {
        /// Milliseconds between two heartbeats.
        heartbeat_ms: u64,
        /// The store of the coordinator; `None` if it does not say.
        store: Option<StoreId>,
        /// The number of the coordinator among those that have led the store.
        epoch: u64,
    },
    /// A lease on a bundle.
    Grant(Box<Grant>),
    /// The ends of these trajectories are recorded, so the worker may delete its reports.
    Acknowledged {
        /// The lease.
        attempt: Attempt,
        /// The trajectories.
        trajectories: Vec<TrajectoryIndex>,
        /// Whether the reports count. Late reports are kept as evidence only.
        accepted: bool,
    },
    /// The worker must stop training these trajectories; it no longer holds them.
    Stop {
        /// The lease.
        attempt: Attempt,
        /// The trajectories.
        trajectories: Vec<TrajectoryIndex>,
        /// The reason, for users.
        reason: String,
    },
    /// The worker must checkpoint these trajectories and return them.
    HandBack {
        /// The lease.
        attempt: Attempt,
        /// The trajectories.
        trajectories: Vec<TrajectoryIndex>,
        /// The reason, for users.
        reason: String,
    },
    /// The worker must return what it trains, take nothing more and leave.
    Drain {
        /// The reason, for users.
        reason: String,
    },
}

/// Approximate bytes of a block of memory beside its content.
const ALLOCATION_BYTES: usize = 32;

impl ToWorker {
    /// Approximate bytes of the message in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let content = match self {
            Self::Welcome { .. } => 0,
            Self::Grant(grant) => grant.lanes.iter().map(Lane::bytes).sum(),
            Self::Acknowledged { trajectories, .. } => size_of_val(trajectories.as_slice()) + ALLOCATION_BYTES,
            Self::Stop { trajectories, reason, .. } | Self::HandBack { trajectories, reason, .. } => {
                size_of_val(trajectories.as_slice()) + reason.len() + 2 * ALLOCATION_BYTES
            }
            Self::Drain { reason } => reason.len() + ALLOCATION_BYTES,
        };
        size_of::<Self>() + content
    }
}

/// A lease on a bundle: trajectories of one shape under one fencing number.
#[derive(Debug, Clone, PartialEq)]
pub struct Grant {
    /// The sweep.
    pub sweep: SweepId,
    /// The fencing number.
    pub attempt: Attempt,
    /// The settings shared by all lanes.
    pub shape: Shape,
    /// The measures to take for each layer at evaluations.
    pub measures: Vec<Measure>,
    /// Milliseconds between two checkpoints of a lane.
    pub checkpoint_every_ms: u64,
    /// The trajectories.
    pub lanes: Vec<Lane>,
}

/// One trajectory to train.
#[derive(Debug, Clone, PartialEq)]
pub struct Lane {
    /// The trajectory.
    pub trajectory: TrajectoryIndex,
    /// Its numeric settings.
    pub hyperparameters: Hyperparameters,
    /// The stopping rules of its trials, in order.
    pub stopping_rules: Vec<StoppingRule>,
    /// The span of its grant; `None` if the coordinator sends no traces. The coordinator's border sets it.
    pub traceparent: Option<Traceparent>,
}

impl Lane {
    fn bytes(&self) -> usize {
        size_of::<Self>() + size_of_val(self.stopping_rules.as_slice()) + ALLOCATION_BYTES
    }
}
