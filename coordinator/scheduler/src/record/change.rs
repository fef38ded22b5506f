//! Changes to be stored.

use std::sync::Arc;

use biosweep_common::configuration::TrialKey;
use biosweep_common::protocol::messages::Held;
use biosweep_common::results::curve::{CurvePoint, Score};
use biosweep_common::results::outcome::{Outcome, SweepState, TrialStatus};
use biosweep_common::vocabulary::dataset::DatasetSize;
use biosweep_common::vocabulary::diagnostics::DiagnosticPoint;
use biosweep_common::vocabulary::ids::{Attempt, SweepId, TrajectoryIndex, TrialIndex, TrialRef, WorkerId};
use biosweep_common::vocabulary::time::WallTime;
use biosweep_common::workers::environment::NumericEnvironment;

use super::access::AccessChange;
use super::submission::{Extension, Submission};

/// A change to be stored.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// A sweep was submitted, and is running.
    Submitted(Submission),
    /// The state of a sweep changed.
    StateChanged {
        /// The sweep.
        sweep: SweepId,
        /// The new state.
        state: SweepState,
        /// The reason, if users need one.
        reason: Option<String>,
        /// Time of the change.
        at: WallTime,
    },
    /// A range of trajectories was leased to a worker.
    Leased(LeaseRow),
    /// One trajectory of a lease ended.
    Ended(Box<Ending>),
    /// Trials were added to a sweep.
    Extended {
        /// The sweep.
        sweep: SweepId,
        /// The extension.
        extension: Extension,
        /// Number of all its trials.
        trials: u64,
        /// Number of all its trajectories.
        trajectories: u64,
    },
    /// Trajectories took over results of this sweep or another one, without an attempt.
    Reused {
        /// The sweep.
        sweep: SweepId,
        /// The trajectories.
        trajectories: Arc<[ReusedRow]>,
    },
    /// Failed trajectories are retried. Their results are removed, and their failures no longer count.
    Retried {
        /// The sweep.
        sweep: SweepId,
        /// The trajectories.
        trajectories: Vec<RetriedRow>,
    },
    /// The note of a sweep was written or removed.
    Noted {
        /// The sweep.
        sweep: SweepId,
        /// The new note; `None` if it was removed.
        note: Option<String>,
    },
    /// A token or the enrolment of a worker changed.
    Access(AccessChange),
    /// A sweep that had ended was deleted, with all its data. Results that other sweeps took over stay; of the trajectories with
    /// the same curve, the first one keeps it.
    Deleted(SweepId),
    /// A worker is in quarantine until it is released.
    Quarantined(QuarantineRow),
    /// A worker was released from quarantine.
    Released(WorkerId),
    /// A report of an attempt without a lease. It is stored once, as evidence, and never counted. A report of a sweep that is not
    /// in this store is not stored.
    Late {
        /// The sweep.
        sweep: SweepId,
        /// The trajectory.
        trajectory: TrajectoryIndex,
        /// The reported attempt.
        attempt: Attempt,
        /// The worker that reported it.
        worker: WorkerId,
        /// The reported outcome.
        outcome: Outcome,
        /// The reported curve.
        curve: Vec<CurvePoint>,
        /// Time of the report.
        at: WallTime,
    },
}

impl Record {
    /// Whether the record is evidence only, so that nothing depends on it.
    pub const fn is_evidence(&self) -> bool {
        matches!(self, Self::Late { .. })
    }
}

/// A trajectory that takes over results.
#[derive(Debug, Clone, PartialEq)]
pub struct ReusedRow {
    /// The trajectory.
    pub trajectory: TrajectoryIndex,
    /// The sweep that trained it.
    pub source: SweepId,
    /// Its index in that sweep, whose curve is also its curve.
    pub source_trajectory: TrajectoryIndex,
    /// The completed results of all its trials, each with its source trial.
    pub results: Vec<TrialResult>,
}

/// A trajectory that is retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetriedRow {
    /// The trajectory.
    pub trajectory: TrajectoryIndex,
    /// The first of its trials.
    pub first_trial: TrialIndex,
    /// Number of its trials.
    pub trials: u64,
}

/// A worker in quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantineRow {
    /// The worker.
    pub worker: WorkerId,
    /// Its name.
    pub worker_name: String,
    /// The reason.
    pub reason: String,
    /// Start of the quarantine.
    pub at: WallTime,
}

/// A granted lease: a range of trajectories with one fencing number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRow {
    /// Its fencing number.
    pub attempt: Attempt,
    /// The sweep.
    pub sweep: SweepId,
    /// The first trajectory of the range.
    pub first: TrajectoryIndex,
    /// Number of trajectories in the range.
    pub count: u64,
    /// The worker.
    pub worker: WorkerId,
    /// The name of the worker.
    pub worker_name: String,
    /// The numeric environment of that worker.
    pub environment: Arc<NumericEnvironment>,
    /// Time of the grant.
    pub at: WallTime,
}

/// The accepted end of an attempt at one trajectory.
#[derive(Debug, Clone, PartialEq)]
pub struct Ending {
    /// The sweep.
    pub sweep: SweepId,
    /// The trajectory.
    pub trajectory: TrajectoryIndex,
    /// The ended attempt.
    pub attempt: Attempt,
    /// The outcome.
    pub outcome: Outcome,
    /// The cause of a failure.
    pub cause: Option<String>,
    /// Number of updates, as last reported.
    pub updates: u64,
    /// Time of the end.
    pub at: WallTime,
    /// The results of all its trials if the trajectory is done (completed, diverged, or failed too often); empty if it will run
    /// again or was cancelled.
    pub results: Vec<TrialResult>,
    /// The learning curve of a trajectory that is done.
    pub curve: Vec<CurvePoint>,
    /// The diagnostics, stored with the curve.
    pub diagnostics: Vec<DiagnosticPoint>,
    /// The custom data that it was trained on. Other datasets have counts that are known without any record.
    pub dataset: Option<DatasetRow>,
}

/// Custom data that a worker has loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetRow {
    /// The digest of its content, as in [`DatasetRef::digest`](biosweep_common::vocabulary::dataset::DatasetRef::digest).
    pub digest: String,
    /// Its counts.
    pub size: DatasetSize,
}

impl Ending {
    /// The end of an attempt that leaves its trajectory without a result.
    #[must_use]
    pub fn without_result(held: Held, outcome: Outcome, at: WallTime) -> Self {
        let Held { sweep, attempt, trajectory } = held;
        let (cause, updates) = (None, 0);
        let (results, curve, diagnostics) = (Vec::new(), Vec::new(), Vec::new());
        let dataset = None;
        Self { sweep, trajectory, attempt, outcome, cause, updates, at, results, curve, diagnostics, dataset }
    }
}

/// The accepted result of a trial. A trial has one.
#[derive(Debug, Clone, PartialEq)]
pub struct TrialResult {
    /// The trial.
    pub trial: TrialIndex,
    /// The key of the trial.
    pub key: TrialKey,
    /// The status.
    pub status: TrialStatus,
    /// The score of a completed trial.
    pub score: Option<Score>,
    /// Number of updates at its end.
    pub updates: u64,
    /// Number of attempts, the accepted one included.
    pub attempts: u32,
    /// The name of the worker that completed it.
    pub worker_name: String,
    /// Duration of the accepted attempt in seconds.
    pub seconds: f64,
    /// The source trial of a reused result; `None` if the trial was trained.
    pub reused_from: Option<TrialRef>,
    /// The numeric environment in which it was trained; `None` if no worker is known that trained it.
    pub environment: Option<Arc<NumericEnvironment>>,
}
