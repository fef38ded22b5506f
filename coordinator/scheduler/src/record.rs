//! The records that a store keeps, and the rows that it returns, as types of the scheduler.

use std::sync::Arc;

use biosweep_common::configuration::{NUMERICS_VERSION, TrialKey};
use biosweep_common::protocol::messages::Held;
use biosweep_common::results::curve::{CurvePoint, Score};
use biosweep_common::results::outcome::{Outcome, SweepState, TrialStatus};
use biosweep_common::spec::{SpecText, SweepSpec};
use biosweep_common::vocabulary::diagnostics::DiagnosticPoint;
use biosweep_common::vocabulary::ids::{Attempt, StoreId, SweepId, TrajectoryIndex, TrialIndex, TrialRef, WorkerId};
use biosweep_common::vocabulary::time::WallTime;
use biosweep_common::workers::environment::NumericEnvironment;

/// A submitted sweep.
#[derive(Debug, Clone, PartialEq)]
pub struct Submission {
    /// Its id.
    pub id: SweepId,
    /// The name in its spec.
    pub name: String,
    /// The text of the spec.
    pub spec: SpecText,
    /// The digest of the spec's meaning: equal for equal grids, however their specs are written.
    pub digest: String,
    /// Number of trials in its grid.
    pub trials: u64,
    /// Number of trajectories in its grid.
    pub trajectories: u64,
    /// Time of submission.
    pub submitted_at: WallTime,
}

impl Submission {
    /// The submission of a spec with this text.
    #[must_use]
    pub fn new(id: SweepId, spec: &SweepSpec, text: SpecText, at: WallTime) -> Self {
        Self {
            id,
            name: spec.name.clone(),
            spec: text,
            digest: Self::digest(spec),
            trials: spec.grid.trials(),
            trajectories: spec.grid.trajectories(),
            submitted_at: at,
        }
    }

    /// The digest of a submission: the digest of the spec, and the numerics version. Submissions with equal digests are the same
    /// sweep.
    #[must_use]
    pub fn digest(spec: &SweepSpec) -> String {
        format!("{}/{NUMERICS_VERSION}", spec.digest())
    }

    /// The numerics version in its digest; `None` if it is the version of this program.
    pub fn other_numerics(&self) -> Option<u32> {
        let version = self.digest.rsplit_once('/')?.1.parse().ok()?;
        (version != NUMERICS_VERSION).then_some(version)
    }
}

/// Trials added to a sweep after its submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    /// The text of the spec.
    pub spec: SpecText,
    /// Time of the extension.
    pub at: WallTime,
}

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
}

impl Ending {
    /// The end of an attempt that leaves its trajectory without a result.
    #[must_use]
    pub fn without_result(held: Held, outcome: Outcome, at: WallTime) -> Self {
        let Held { sweep, attempt, trajectory } = held;
        let (cause, updates) = (None, 0);
        let (results, curve, diagnostics) = (Vec::new(), Vec::new(), Vec::new());
        Self { sweep, trajectory, attempt, outcome, cause, updates, at, results, curve, diagnostics }
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

/// A stored sweep, with its counts.
#[derive(Debug, Clone, PartialEq)]
pub struct SweepRow {
    /// The submission. Its numbers of trials and trajectories include the extensions.
    pub submission: Submission,
    /// The extensions, oldest first.
    pub extensions: Vec<Extension>,
    /// The state.
    pub state: SweepState,
    /// The reason for the state, if users need one.
    pub reason: Option<String>,
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
