//! The facts a store keeps, as domain types.

use std::sync::Arc;

use biosweep_common::configuration::{NUMERICS_VERSION, TrialKey};
use biosweep_common::results::curve::{CurvePoint, Score};
use biosweep_common::results::outcome::{Outcome, SweepState, TrialStatus};
use biosweep_common::spec::{SpecText, SweepSpec};
use biosweep_common::vocabulary::diagnostics::DiagnosticPoint;
use biosweep_common::vocabulary::ids::{Attempt, StoreId, SweepId, TrajectoryIndex, TrialIndex, TrialRef, WorkerId};
use biosweep_common::vocabulary::time::WallTime;
use biosweep_common::workers::environment::NumericEnvironment;

/// A sweep as submitted.
#[derive(Debug, Clone, PartialEq)]
pub struct Submission {
    /// Its id.
    pub id: SweepId,
    /// The name in its spec.
    pub name: String,
    /// The text of the spec.
    pub spec: SpecText,
    /// The digest of what the spec means (not of how it is written): equal for equal grids.
    pub digest: String,
    /// Trials in its grid.
    pub trials: u64,
    /// Trajectories in its grid.
    pub trajectories: u64,
    /// When it was submitted.
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

    /// What makes two submissions the same sweep: what the spec means, and the engine whose numbers it will hold.
    #[must_use]
    pub fn digest(spec: &SweepSpec) -> String {
        format!("{}/{NUMERICS_VERSION}", spec.digest())
    }

    /// The numerics version that its digest names, where that is another one than this program's.
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
    /// When it came.
    pub at: WallTime,
}

/// One fact to be kept.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// A sweep was submitted; it is running.
    Submitted(Submission),
    /// A sweep's state changed.
    StateChanged {
        /// The sweep.
        sweep: SweepId,
        /// Its new state.
        state: SweepState,
        /// Why, where that is worth telling.
        reason: Option<String>,
        /// When.
        at: WallTime,
    },
    /// A run of trajectories was leased to a worker.
    Leased(LeaseRow),
    /// One trajectory of a lease ended.
    Ended(Box<Ending>),
    /// A sweep has more trials than it had.
    Extended {
        /// The sweep.
        sweep: SweepId,
        /// What makes it so.
        extension: Extension,
        /// All its trials.
        trials: u64,
        /// All its trajectories.
        trajectories: u64,
    },
    /// Trajectories whose results were found before, in this sweep or another: taken over without an attempt.
    Reused {
        /// The sweep.
        sweep: SweepId,
        /// The trajectories.
        trajectories: Arc<[ReusedRow]>,
    },
    /// Trajectories that had failed for good are to be tried again: their results are gone, their failures forgiven.
    Retried {
        /// The sweep.
        sweep: SweepId,
        /// The trajectories.
        trajectories: Vec<RetriedRow>,
    },
    /// A sweep that had ended is gone, with all that was kept of it. What others took over from it stays theirs: of those
    /// with the same curve, the first keeps it for all.
    Deleted(SweepId),
    /// A worker gets nothing until it is released.
    Quarantined(QuarantineRow),
    /// A worker may work again.
    Released(WorkerId),
    /// A report under an attempt that was no longer leased: kept as evidence, once, and never counted. Of a sweep that
    /// is not in this store nothing is kept.
    Late {
        /// The sweep.
        sweep: SweepId,
        /// The trajectory.
        trajectory: TrajectoryIndex,
        /// The attempt it was reported under.
        attempt: Attempt,
        /// The worker that reported it.
        worker: WorkerId,
        /// How that attempt says it ended.
        outcome: Outcome,
        /// The curve that it reported.
        curve: Vec<CurvePoint>,
        /// When it came.
        at: WallTime,
    },
}

impl Record {
    /// Whether it is what a peer says of an attempt that is not its own any more: nothing rests on it.
    pub const fn is_evidence(&self) -> bool {
        matches!(self, Self::Late { .. })
    }
}

/// A trajectory that is taken over.
#[derive(Debug, Clone, PartialEq)]
pub struct ReusedRow {
    /// The trajectory.
    pub trajectory: TrajectoryIndex,
    /// The sweep that has trained it.
    pub source: SweepId,
    /// Its index there; its curve is that one's.
    pub source_trajectory: TrajectoryIndex,
    /// The results of all its trials, each completed and each with the trial it comes from.
    pub results: Vec<TrialResult>,
}

/// A trajectory that is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetriedRow {
    /// The trajectory.
    pub trajectory: TrajectoryIndex,
    /// The first of its trials.
    pub first_trial: TrialIndex,
    /// How many trials it has.
    pub trials: u64,
}

/// A worker in quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantineRow {
    /// The worker.
    pub worker: WorkerId,
    /// Its name, for people.
    pub worker_name: String,
    /// What it did.
    pub reason: String,
    /// Since when.
    pub at: WallTime,
}

/// A lease, as granted: a run of trajectories under one fencing number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRow {
    /// Its fencing number.
    pub attempt: Attempt,
    /// The sweep.
    pub sweep: SweepId,
    /// The first trajectory of the run.
    pub first: TrajectoryIndex,
    /// Trajectories in the run.
    pub count: u64,
    /// The worker it was granted to.
    pub worker: WorkerId,
    /// That worker's name, for people.
    pub worker_name: String,
    /// The numeric environment of that worker.
    pub environment: Arc<NumericEnvironment>,
    /// When.
    pub at: WallTime,
}

/// The accepted end of one trajectory under one attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct Ending {
    /// The sweep.
    pub sweep: SweepId,
    /// The trajectory.
    pub trajectory: TrajectoryIndex,
    /// The attempt that is over.
    pub attempt: Attempt,
    /// How it ended.
    pub outcome: Outcome,
    /// What went wrong, where something did.
    pub cause: Option<String>,
    /// Updates that were heard to be done.
    pub updates: u64,
    /// When.
    pub at: WallTime,
    /// The results of its trials: all of them where the trajectory is now done for good (completed, diverged, or
    /// failed too often), none where it will run again or was cancelled.
    pub results: Vec<TrialResult>,
    /// Its learning curve; kept where the trajectory is done for good.
    pub curve: Vec<CurvePoint>,
    /// What was measured of its layers; kept with the curve.
    pub diagnostics: Vec<DiagnosticPoint>,
}

/// The one accepted result of a trial.
#[derive(Debug, Clone, PartialEq)]
pub struct TrialResult {
    /// The trial.
    pub trial: TrialIndex,
    /// Its identity.
    pub key: TrialKey,
    /// How it stands.
    pub status: TrialStatus,
    /// What it found; only where completed.
    pub score: Option<Score>,
    /// Updates done when it ended.
    pub updates: u64,
    /// Attempts it took, the accepted one included.
    pub attempts: u32,
    /// The name of the worker that completed it.
    pub worker_name: String,
    /// Wall-clock seconds of the accepted attempt.
    pub seconds: f64,
    /// The trial it was taken over from; `None` where it was trained.
    pub reused_from: Option<TrialRef>,
    /// The numeric environment in which it was trained; `None` where no worker is known that trained it.
    pub environment: Option<Arc<NumericEnvironment>>,
}

/// A stored sweep, with its counts.
#[derive(Debug, Clone, PartialEq)]
pub struct SweepRow {
    /// As submitted; its counts are those of the sweep as extended.
    pub submission: Submission,
    /// What was added to it since, in order.
    pub extensions: Vec<Extension>,
    /// Where it stands.
    pub state: SweepState,
    /// Why, where that is worth telling.
    pub reason: Option<String>,
    /// Trials with a completed result.
    pub completed: u64,
    /// Trials that diverged.
    pub diverged: u64,
    /// Trials that failed for good.
    pub failed: u64,
    /// Trials with a completed result that was taken over.
    pub reused: u64,
}

/// A trained trajectory that others may take over: not one that failed, nor one that was taken over itself.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceRow {
    /// The trajectory.
    pub trajectory: TrajectoryIndex,
    /// The name of the worker that trained it.
    pub worker_name: String,
    /// The numeric environment of that worker.
    pub environment: Option<Arc<NumericEnvironment>>,
    /// Its evaluations.
    pub points: Vec<CurvePoint>,
}

/// An accepted curve.
#[derive(Debug, Clone, PartialEq)]
pub struct CurveRow {
    /// The trajectory.
    pub trajectory: TrajectoryIndex,
    /// Its evaluations.
    pub points: Vec<CurvePoint>,
    /// What was measured of its layers at them.
    pub diagnostics: Vec<DiagnosticPoint>,
}

/// One ended attempt at one trajectory.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptRow {
    /// The trajectory.
    pub trajectory: TrajectoryIndex,
    /// The fencing number.
    pub attempt: Attempt,
    /// Who had it.
    pub worker_name: String,
    /// How it ended.
    pub outcome: Outcome,
    /// What went wrong.
    pub cause: Option<String>,
    /// When.
    pub at: WallTime,
}

/// What the scheduler needs to go on where it was left.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Restored {
    /// The running and paused sweeps, oldest first.
    pub sweeps: Vec<RestoredSweep>,
    /// Workers in quarantine, by id.
    pub quarantined: Vec<QuarantineRow>,
    /// The greatest fencing number ever given out; 0 where none was.
    pub last_attempt: u64,
    /// What tells this store from others; `None` of one that does not outlive its process.
    pub store: Option<StoreId>,
}

/// A sweep as the store knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct RestoredSweep {
    /// As submitted, with its counts.
    pub row: SweepRow,
    /// The trajectories that are done for good, as ascending disjoint runs of (first, count), merged where they touch.
    pub done: Vec<(u64, u64)>,
    /// The leases not wholly ended, by attempt, each with the trajectories of its run that are still open.
    pub open: Vec<(LeaseRow, Vec<TrajectoryIndex>)>,
    /// Ended attempts of each trajectory that has had some and is not done, by trajectory: (trajectory, all, failed
    /// ones since it was last retried). Attempts still open stand in `open` only.
    pub attempts: Vec<(TrajectoryIndex, u32, u32)>,
    /// Attempts that failed, of whatever became of their trajectory, in the order in which they were recorded; without
    /// those before its last retry.
    pub failures: Vec<FailureRow>,
    /// Attempts that ended with their worker, of trajectories that are not done, in the order in which they were recorded:
    /// (trajectory, updates); without those before its last retry, and those of earlier versions, which kept no updates.
    pub deaths: Vec<(TrajectoryIndex, u64)>,
    /// Trajectories that completed or diverged since the sweep last began to run.
    pub ended: u64,
}

/// One failed attempt at one trajectory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureRow {
    /// The trajectory.
    pub trajectory: TrajectoryIndex,
    /// Who failed it.
    pub worker: WorkerId,
    /// Why.
    pub cause: String,
    /// Whether it still counts against the sweep.
    pub status: FailureStatus,
}

/// What a sweep's owner has done since a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureStatus {
    /// Resumed the sweep in spite of it.
    Seen,
    /// Had the sweep begin to run again after it had finished.
    Past,
    /// Nothing.
    Fresh,
}

impl FailureStatus {
    /// Of a failure that was recorded as that one, where the sweep was last resumed and last began to run after these.
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
