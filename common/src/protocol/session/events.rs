//! The events of a worker, and the actions that follow.

use crate::protocol::messages::{Grant, Held, Report, ToCoordinator, ToWorker};
use crate::results::curve::CurvePoint;
use crate::results::outcome::Outcome;
use crate::vocabulary::dataset::DatasetSize;
use crate::vocabulary::diagnostics::DiagnosticPoint;
use crate::vocabulary::ids::StoreId;

/// An event of the worker.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A stream to the coordinator is open.
    Connected,
    /// A message from the coordinator was received.
    Received(ToWorker),
    /// The trainer evaluated a lane of the bundle.
    Evaluated {
        /// The index of the lane in the bundle.
        lane: usize,
        /// The evaluation.
        point: CurvePoint,
    },
    /// The trainer has finished a lane of the bundle.
    LaneEnded {
        /// The index of the lane in the bundle.
        lane: usize,
        /// The end of the lane.
        end: LaneEnd,
    },
    /// The trainer has finished the bundle and can take another.
    BundleDone,
    /// A heartbeat is due, with the updates done in each lane of the bundle.
    HeartbeatDue(Vec<u64>),
    /// The worker has to leave.
    Leave,
}

/// The end of a lane.
#[derive(Debug, Clone, PartialEq)]
pub struct LaneEnd {
    /// The outcome: completed, diverged, failed, or preempted if the worker had to stop.
    pub outcome: Outcome,
    /// The cause of a failure, if any.
    pub cause: Option<String>,
    /// The learning curve.
    pub curve: Vec<CurvePoint>,
    /// The diagnostics.
    pub diagnostics: Vec<DiagnosticPoint>,
    /// Updates done.
    pub updates: u64,
    /// Wall-clock seconds of the lane.
    pub seconds: f64,
    /// The counts of its dataset; `None` if the dataset was not loaded.
    pub dataset_size: Option<DatasetSize>,
}

/// An action for the worker.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Send this message if the stream is open.
    Send(ToCoordinator),
    /// Train this bundle.
    Train(Box<Grant>),
    /// Stop training this lane of the bundle.
    Halt {
        /// The index of the lane in the bundle.
        lane: usize,
        /// Whether to keep its state for the next worker.
        keep: bool,
    },
    /// Store this report on disk, where it outlives the process.
    Keep(Box<Owed>),
    /// The report is acknowledged: delete it.
    Forget {
        /// The store that the report was for.
        store: Option<StoreId>,
        /// The trajectory and its lease.
        held: Held,
    },
    /// The trajectory has its final result: delete its checkpoints.
    Discard(Held),
    /// Send heartbeats at this interval.
    Beat {
        /// Milliseconds between two heartbeats.
        every_ms: u64,
    },
    /// Close the connection and connect again: the coordinator no longer leads its store.
    Reconnect,
    /// Leave: the worker holds nothing.
    Exit,
}

/// A report without acknowledgement, and the store it is for.
#[derive(Debug, Clone, PartialEq)]
pub struct Owed {
    /// The store of the coordinator that granted the lease; `None` if unknown.
    pub store: Option<StoreId>,
    /// The report.
    pub report: Report,
}

impl LaneEnd {
    /// The end of a lane that was not started.
    #[must_use]
    pub fn untouched() -> Self {
        Self {
            outcome: Outcome::Preempted,
            cause: None,
            curve: Vec::new(),
            diagnostics: Vec::new(),
            updates: 0,
            seconds: 0.0,
            dataset_size: None,
        }
    }
}
