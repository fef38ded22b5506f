//! What a coordinator shows to its users: sweeps, workers, results, curves.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::configuration::{Point, TrialKey};
use crate::plan::dataset_summary::DatasetSummary;
use crate::results::curve::{CurvePoint, Score};
use crate::results::outcome::{Outcome, SweepState, TrialStatus};
use crate::spec::{SpecText, SweepSpec};
use crate::vocabulary::dataset::{DatasetRef, DatasetSize};
use crate::vocabulary::diagnostics::DiagnosticPoint;
use crate::vocabulary::ids::{Attempt, NoTrialRef, SweepId, TrajectoryIndex, TrialIndex, TrialRef, WorkerId};
use crate::vocabulary::time::WallTime;
use crate::workers::capability::Capabilities;
use crate::workers::environment::NumericEnvironment;

/// A sweep and its progress.
#[derive(Debug, Clone, PartialEq)]
pub struct SweepView {
    /// The id.
    pub id: SweepId,
    /// The name in its spec.
    pub name: String,
    /// The state.
    pub state: SweepState,
    /// The reason, if any: what paused the sweep, or what it waits for.
    pub reason: Option<String>,
    /// Number of trials in the grid.
    pub trials: u64,
    /// Number of trajectories in the grid.
    pub trajectories: u64,
    /// Number of trials with a score.
    pub completed: u64,
    /// Number of diverged trials.
    pub diverged: u64,
    /// Number of trials that failed finally.
    pub failed: u64,
    /// Number of completed trials whose result was reused.
    pub reused: u64,
    /// Number of trials in training.
    pub running: u64,
    /// Time of submission.
    pub submitted_at: WallTime,
    /// Time of the last change of the state; the end of a sweep that has ended.
    pub state_at: WallTime,
    /// The note that a user wrote to it.
    pub note: Option<String>,
}

impl SweepView {
    /// Number of trials that are completed, diverged or failed.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.completed + self.diverged + self.failed
    }
}

/// The text of a sweep's spec, with its extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecView {
    /// The text of the spec.
    pub text: SpecText,
    /// The texts of the extensions, in order.
    pub extensions: Vec<SpecText>,
}

impl SpecView {
    /// The spec with its extensions; `None` if this version cannot read it.
    #[must_use]
    pub fn spec(&self) -> Option<SweepSpec> {
        let parse = |text: &SpecText| text.spec("the stored spec").ok();
        let spec = parse(&self.text)?;
        self.extensions.iter().try_fold(spec, |spec, extension| spec.followed_by(&parse(extension)?).ok())
    }
}

/// A sweep with its workers and incomplete attempts.
#[derive(Debug, Clone, PartialEq)]
pub struct SweepStatus {
    /// The sweep.
    pub sweep: SweepView,
    /// The workers that the coordinator knows.
    pub workers: Vec<WorkerView>,
    /// The latest incomplete attempts, latest first.
    pub incomplete_attempts: Vec<IncompleteAttempt>,
    /// The causes of all incomplete attempts, most frequent first. Only `show` reads them; for others the list is empty.
    pub incomplete_causes: Vec<IncompleteCause>,
    /// Why the coordinator grants nothing: its store cannot be written. `None` in normal operation.
    pub degraded: Option<String>,
    /// Progress of the trials in training, as a number of trials: 1.5 for three trials that are half done.
    pub in_training_done: f64,
}

/// Maximum number of workers that watchers of a sweep receive.
const WATCHED_WORKERS: usize = 64;

/// Number of trajectories that watchers show. Beyond these, they receive only the first of each worker.
pub const WATCHED_TRAJECTORIES: usize = 8;

impl SweepStatus {
    /// The part that watchers receive ten times a second. Its size is limited, whatever the number of workers and
    /// lanes.
    #[must_use]
    pub fn for_watchers(mut self) -> Self {
        self.incomplete_causes.clear();
        // Workers that train come first, because users look for them.
        self.workers.sort_by_key(|worker| worker.training_count == 0);
        self.workers.truncate(WATCHED_WORKERS);
        let training = self.workers.iter().filter(|worker| !worker.training.is_empty()).count();
        let mut spare = WATCHED_TRAJECTORIES.saturating_sub(training);
        for worker in &mut self.workers {
            worker.training.truncate(1 + spare);
            spare -= worker.training.len().saturating_sub(1);
        }
        self
    }
}

/// A worker and the trajectories it trains.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerView {
    /// The id.
    pub id: WorkerId,
    /// The name, for users.
    pub name: String,
    /// What a sweep may require of it.
    pub capabilities: Capabilities,
    /// Number of trajectories it can train at once.
    pub lanes: u32,
    /// Whether its stream is open, and it has not missed its deadline.
    pub connected: bool,
    /// Why it is in quarantine; `None` if it is not.
    pub quarantined: Option<String>,
    /// The trajectories in training, or the first of them.
    pub training: Vec<LaneView>,
    /// Number of trajectories in training.
    pub training_count: u32,
}

/// One trajectory in training.
#[derive(Debug, Clone, PartialEq)]
pub struct LaneView {
    /// The sweep.
    pub sweep: SweepId,
    /// The trajectory.
    pub trajectory: TrajectoryIndex,
    /// The lease.
    pub attempt: Attempt,
    /// Its settings without the stopping rule.
    pub point: Point,
    /// The latest evaluation.
    pub latest: Option<CurvePoint>,
    /// Updates done, as last reported.
    pub updates: u64,
    /// Updates at which it ends in any case.
    pub max_updates: u64,
}

/// An attempt that ended without a result for its trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncompleteAttempt {
    /// The trajectory.
    pub trajectory: TrajectoryIndex,
    /// The fencing number.
    pub attempt: Attempt,
    /// The worker's name.
    pub worker_name: String,
    /// The outcome.
    pub outcome: Outcome,
    /// The cause, if known.
    pub cause: Option<String>,
    /// The time of its end.
    pub at: WallTime,
}

/// Incomplete attempts with the same outcome and the same cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncompleteCause {
    /// The outcome.
    pub outcome: Outcome,
    /// The cause, if known.
    pub cause: Option<String>,
    /// Number of these attempts.
    pub attempts: u64,
    /// The end of the latest one.
    pub latest: WallTime,
}

/// The accepted result of a trial, with its settings.
#[derive(Debug, Clone, PartialEq)]
pub struct ResultView {
    /// The trial.
    pub trial: TrialIndex,
    /// Its identity.
    pub key: TrialKey,
    /// The status.
    pub status: TrialStatus,
    /// The settings that apply to it.
    pub point: Point,
    /// The score; only if completed.
    pub score: Option<Score>,
    /// Updates done when it ended.
    pub updates: u64,
    /// Number of attempts.
    pub attempts: u32,
    /// The name of the worker that reported it.
    pub worker_name: String,
    /// Wall-clock seconds of the accepted attempt.
    pub seconds: f64,
    /// The trial that the result was reused from; `None` if this trial was trained.
    pub reused_from: Option<SourceTrial>,
    /// The numeric environment in which it was trained; `None` if no worker is known that trained it.
    pub environment: Option<Arc<NumericEnvironment>>,
    /// The counts of its dataset; `None` for custom data that no worker has loaded.
    pub dataset_size: Option<DatasetSize>,
}

/// The trial that a result was reused from; written like the trial, followed by ` (deleted)` if its sweep was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceTrial {
    /// The trial.
    pub trial: TrialRef,
    /// Whether its sweep was deleted. The curve is then kept with the trial that reused it.
    pub deleted: bool,
}

/// The suffix for a trial whose sweep was deleted.
const DELETED: &str = " (deleted)";

impl fmt::Display for SourceTrial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.trial, if self.deleted { DELETED } else { "" })
    }
}

impl FromStr for SourceTrial {
    type Err = NoTrialRef;

    fn from_str(text: &str) -> Result<Self, NoTrialRef> {
        let (trial, deleted) = text.strip_suffix(DELETED).map_or((text, false), |trial| (trial, true));
        Ok(Self { trial: trial.parse()?, deleted })
    }
}

/// An accepted learning curve, with its trajectory's settings.
#[derive(Debug, Clone, PartialEq)]
pub struct CurveView {
    /// The trajectory.
    pub trajectory: TrajectoryIndex,
    /// The first of its trials.
    pub first_trial: TrialIndex,
    /// Its settings without the stopping rule.
    pub point: Point,
    /// The evaluations.
    pub points: Vec<CurvePoint>,
    /// The diagnostics.
    pub diagnostics: Vec<DiagnosticPoint>,
}

/// A trained trial with the results and the curve of its trajectory.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainedView {
    /// The requested trial or, if its result was reused, the trial that it was reused from.
    pub trial: TrialRef,
    /// The results of the trials of its trajectory, in order.
    pub results: Vec<ResultView>,
    /// The curve of the trajectory.
    pub curve: CurveView,
}

/// An event for a watcher of a sweep.
#[derive(Debug, Clone, PartialEq)]
pub enum WatchEvent {
    /// The complete state: first, at changes, and last.
    State(Box<SweepStatus>),
    /// An attempt ended without a result for its trial.
    IncompleteAttempt(IncompleteAttempt),
}

/// A dataset of a plan.
#[derive(Debug)]
pub struct PlannedDataset {
    /// The dataset.
    pub dataset: DatasetRef,
    /// Its summary; `None` if it could not be read.
    pub summary: Option<DatasetSummary>,
    /// Why it cannot be read or trained on here; `None` if it can.
    pub lacking: Option<String>,
}
