//! What coordinator and worker say to each other, as domain types.

use crate::capability::Capabilities;
use crate::configuration::{Hyperparameters, Shape, StoppingRule};
use crate::curve::CurvePoint;
use crate::diagnostics::{DiagnosticPoint, Measure};
use crate::ids::{Attempt, StoreId, SweepId, TrajectoryIndex, WorkerId};
use crate::outcome::Outcome;

/// What a worker says.
#[derive(Debug, Clone, PartialEq)]
pub enum ToCoordinator {
    /// First on every stream.
    Hello(Hello),
    /// It can take a bundle of up to so many lanes.
    Poll {
        /// Trajectories it can train at once.
        lanes: u32,
    },
    /// It lives.
    Heartbeat {
        /// How far each trajectory in training has come.
        progress: Vec<Progress>,
    },
    /// An evaluation, as it happens.
    Evaluated {
        /// The lease.
        attempt: Attempt,
        /// The trajectory.
        trajectory: TrajectoryIndex,
        /// What was found.
        point: CurvePoint,
    },
    /// A trajectory has ended; repeated on every new stream until acknowledged.
    AttemptEnded(Box<Report>),
    /// It leaves for good and holds nothing that is not acknowledged.
    Goodbye,
}

/// A worker presenting itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// Its identity, one for its whole life.
    pub worker: WorkerId,
    /// What people should know of it.
    pub description: WorkerDescription,
    /// The version of its engine's numbers.
    pub numerics_version: u32,
    /// What it is still training, and what it has finished without acknowledgement.
    pub held: Vec<Held>,
}

/// What a worker is, for people and for the choice of its work.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkerDescription {
    /// Its name, such as host/pid.
    pub name: String,
    /// What it has that a sweep may require.
    pub capabilities: Capabilities,
    /// Trajectories it can train at once.
    pub lanes: u32,
    /// The version of its program.
    pub version: String,
}

/// A trajectory in a worker's hands, and the lease it came under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Held {
    /// The sweep.
    pub sweep: SweepId,
    /// The lease.
    pub attempt: Attempt,
    /// The trajectory.
    pub trajectory: TrajectoryIndex,
}

/// How far a trajectory in training has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The lease.
    pub attempt: Attempt,
    /// The trajectory.
    pub trajectory: TrajectoryIndex,
    /// Updates done.
    pub updates: u64,
}

/// How an attempt at one trajectory ended, and what it brought.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Whose end it is.
    pub held: Held,
    /// How it ended.
    pub outcome: Outcome,
    /// What went wrong, where something did.
    pub cause: Option<String>,
    /// Its evaluations; the scores of its trials follow from them.
    pub curve: Vec<CurvePoint>,
    /// What was measured of its layers, where the grant asked for it.
    pub diagnostics: Vec<DiagnosticPoint>,
    /// Updates done.
    pub updates: u64,
    /// Wall-clock seconds it took.
    pub seconds: f64,
}

/// What a coordinator says to a worker.
#[derive(Debug, Clone, PartialEq)]
pub enum ToWorker {
    /// The answer to a hello.
    Welcome {
        /// Milliseconds between two heartbeats.
        heartbeat_ms: u64,
        /// Where the coordinator keeps what it grants and what it is told; `None` where it does not say.
        store: Option<StoreId>,
    },
    /// A lease on a bundle.
    Grant(Box<Grant>),
    /// The ends of these trajectories are recorded; the worker may forget them.
    Acknowledged {
        /// The lease.
        attempt: Attempt,
        /// The trajectories.
        trajectories: Vec<TrajectoryIndex>,
        /// Whether they count, or came too late and are kept as evidence only.
        accepted: bool,
    },
    /// The worker no longer holds these trajectories.
    Stop {
        /// The lease.
        attempt: Attempt,
        /// The trajectories.
        trajectories: Vec<TrajectoryIndex>,
        /// Why, for people.
        reason: String,
    },
    /// The worker keeps the state of these trajectories and hands them back.
    HandBack {
        /// The lease.
        attempt: Attempt,
        /// The trajectories.
        trajectories: Vec<TrajectoryIndex>,
        /// Why, for people.
        reason: String,
    },
    /// The worker takes nothing more, hands back what it trains, and leaves.
    Drain {
        /// Why, for people.
        reason: String,
    },
}

/// A lease on a bundle: trajectories of one shape under one fencing number.
#[derive(Debug, Clone, PartialEq)]
pub struct Grant {
    /// The sweep.
    pub sweep: SweepId,
    /// The fencing number.
    pub attempt: Attempt,
    /// What all lanes share.
    pub shape: Shape,
    /// What to measure of each layer at evaluations.
    pub measures: Vec<Measure>,
    /// Milliseconds between two checkpoints of a lane.
    pub checkpoint_every_ms: u64,
    /// The trajectories.
    pub lanes: Vec<Lane>,
}

/// One trajectory to train.
#[derive(Debug, Clone, PartialEq)]
pub struct Lane {
    /// Which one.
    pub trajectory: TrajectoryIndex,
    /// By what numbers.
    pub hyperparameters: Hyperparameters,
    /// When each of its trials ends, in their order.
    pub stopping_rules: Vec<StoppingRule>,
}
