//! Stored rows, and the state from which a scheduler continues.

use std::sync::Arc;

use biosweep_common::results::curve::CurvePoint;
use biosweep_common::results::outcome::{Outcome, SweepState, TrialStatus};
use biosweep_common::vocabulary::diagnostics::DiagnosticPoint;
use biosweep_common::vocabulary::ids::{Attempt, StoreId, TrajectoryIndex, TrialIndex, WorkerId};
use biosweep_common::vocabulary::time::WallTime;
use biosweep_common::workers::environment::NumericEnvironment;

use super::change::{LeaseRow, QuarantineRow, TrialResult};
use super::submission::{Extension, Submission};

/// A stored sweep, with its counts.
#[derive(Debug, Clone, PartialEq)]
pub struct SweepRow {
    /// The submission. Its numbers of trials and trajectories include the extensions.
    pub submission: Submission,
    /// The extensions, oldest first.
    pub extensions: Vec<Extension>,
    /// The state.
    pub state: SweepState,
    /// Time of the last change of the state.
    pub state_at: WallTime,
    /// The reason for the state, if users need one.
    pub reason: Option<String>,
    /// The note that a user wrote to it.
    pub note: Option<String>,
    /// Number of completed trials.
    pub completed: u64,
    /// Number of diverged trials.
    pub diverged: u64,
    /// Number of failed trials.
    pub failed: u64,
    /// Number of completed trials with a reused result.
    pub reused: u64,
}

/// A trained trajectory whose results others may take over. It has not failed, and has not taken over results itself.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceRow {
    /// The trajectory.
    pub trajectory: TrajectoryIndex,
    /// The name of the worker that trained it.
    pub worker_name: String,
    /// The numeric environment of that worker.
    pub environment: Option<Arc<NumericEnvironment>>,
    /// The evaluations.
    pub points: Vec<CurvePoint>,
}

/// How a trial ended: the part of its result that is counted and averaged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OutcomeRow {
    /// The trial.
    pub trial: TrialIndex,
    /// The status.
    pub status: TrialStatus,
    /// The accuracies on validation and test images, as fractions; only if completed.
    pub accuracies: Option<(f64, f64)>,
    /// Number of updates at its end.
    pub updates: u64,
}

impl From<&TrialResult> for OutcomeRow {
    fn from(result: &TrialResult) -> Self {
        let &TrialResult { trial, status, score, updates, .. } = result;
        let accuracies = score.map(|score| (score.validation_accuracy, score.test_accuracy));
        Self { trial, status, accuracies, updates }
    }
}

/// A stored learning curve.
#[derive(Debug, Clone, PartialEq)]
pub struct CurveRow {
    /// The trajectory.
    pub trajectory: TrajectoryIndex,
    /// The evaluations.
    pub points: Vec<CurvePoint>,
    /// The diagnostics at these evaluations.
    pub diagnostics: Vec<DiagnosticPoint>,
}

/// One ended attempt at one trajectory.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptRow {
    /// The trajectory.
    pub trajectory: TrajectoryIndex,
    /// The fencing number.
    pub attempt: Attempt,
    /// The name of the worker.
    pub worker_name: String,
    /// The outcome.
    pub outcome: Outcome,
    /// The cause of a failure.
    pub cause: Option<String>,
    /// Time of the end.
    pub at: WallTime,
}

/// The state from which a scheduler continues.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Restored {
    /// The running and paused sweeps, oldest first.
    pub sweeps: Vec<RestoredSweep>,
    /// Workers in quarantine, by id.
    pub quarantined: Vec<QuarantineRow>,
    /// The greatest fencing number of all leases so far; 0 if there was none.
    pub last_attempt: u64,
    /// The id of the store; `None` for a store in memory.
    pub store: Option<StoreId>,
}

/// A stored sweep with the state of its trajectories.
#[derive(Debug, Clone, PartialEq)]
pub struct RestoredSweep {
    /// The sweep, with its counts.
    pub row: SweepRow,
    /// The trajectories that are done, as ascending disjoint ranges (first, count). Adjacent ranges are merged.
    pub done: Vec<(u64, u64)>,
    /// The open leases, by attempt, each with its open trajectories.
    pub open: Vec<(LeaseRow, Vec<TrajectoryIndex>)>,
    /// Numbers of ended attempts of the trajectories that are not done: (trajectory, all attempts, attempts that failed since the
    /// last retry). Open attempts are in `open` only.
    pub attempts: Vec<(TrajectoryIndex, u32, u32)>,
    /// The failed attempts of all trajectories, in the order of their records, without those before the last retry of their
    /// trajectory.
    pub failures: Vec<FailureRow>,
    /// The attempts whose worker was lost, of trajectories that are not done, in the order of their records: (trajectory,
    /// updates); without those before the last retry of their trajectory.
    pub deaths: Vec<(TrajectoryIndex, u64)>,
    /// Number of trajectories that completed or diverged since the sweep last began to run.
    pub ended: u64,
}

/// One failed attempt at one trajectory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureRow {
    /// The trajectory.
    pub trajectory: TrajectoryIndex,
    /// The worker.
    pub worker: WorkerId,
    /// The cause.
    pub cause: String,
    /// Whether the failure still counts for the sweep.
    pub status: FailureStatus,
}

/// What the owner of a sweep has done since a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureStatus {
    /// The owner has resumed the sweep.
    Seen,
    /// The finished sweep runs again.
    Past,
    /// Neither.
    Fresh,
}

impl FailureStatus {
    /// The status of a failure with the number `entry`, for a sweep that was last resumed after `resumed_after` and last began to
    /// run after `began_after`.
    pub const fn of(entry: u64, resumed_after: u64, began_after: u64) -> Self {
        if entry <= resumed_after {
            Self::Seen
        } else if entry <= began_after {
            Self::Past
        } else {
            Self::Fresh
        }
    }
}
