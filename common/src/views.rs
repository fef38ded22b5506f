//! What a coordinator shows to people: sweeps, workers, results, curves.

use std::fmt;
use std::str::FromStr;

use crate::capability::Capabilities;
use crate::configuration::{Point, TrialKey};
use crate::curve::{CurvePoint, Score};
use crate::dataset::DatasetRef;
use crate::dataset_summary::DatasetSummary;
use crate::diagnostics::DiagnosticPoint;
use crate::ids::{Attempt, NoTrialRef, SweepId, TrajectoryIndex, TrialIndex, TrialRef, WorkerId};
use crate::outcome::{Outcome, SweepState, TrialStatus};
use crate::spec::{Format, SweepSpec};
use crate::time::WallTime;

/// A sweep and how far it is.
#[derive(Debug, Clone, PartialEq)]
pub struct SweepView {
    /// Its id.
    pub id: SweepId,
    /// The name in its spec.
    pub name: String,
    /// Where it stands.
    pub state: SweepState,
    /// Why, where that is worth telling: what paused it, or what it waits for.
    pub reason: Option<String>,
    /// Trials in its grid.
    pub trials: u64,
    /// Trajectories in its grid.
    pub trajectories: u64,
    /// Trials with a score.
    pub completed: u64,
    /// Trials whose loss ceased to be finite.
    pub diverged: u64,
    /// Trials that failed for good.
    pub failed: u64,
    /// Of the completed ones, those whose result was found before and taken over.
    pub reused: u64,
    /// Trials in training at present.
    pub running: u64,
    /// When it was submitted.
    pub submitted_at: WallTime,
}

impl SweepView {
    /// Trials that have ended for good.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.completed + self.diverged + self.failed
    }
}

/// The text of a sweep's spec, with what was added to it since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecView {
    /// Its spec file's text, and how that is written.
    pub text: (String, Format),
    /// The texts of what was added to it since, in order.
    pub extensions: Vec<(String, Format)>,
}

impl SpecView {
    /// What the text means, with what was added to it; `None` where this version cannot read it.
    #[must_use]
    pub fn spec(&self) -> Option<SweepSpec> {
        let parse = |(text, format): &(String, Format)| SweepSpec::parse_stored(text, *format, "the stored spec").ok();
        let spec = parse(&self.text)?;
        self.extensions.iter().try_fold(spec, |spec, extension| spec.followed_by(&parse(extension)?).ok())
    }
}

/// A sweep with what its workers do and what went wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct SweepStatus {
    /// The sweep.
    pub sweep: SweepView,
    /// The workers the coordinator knows.
    pub workers: Vec<WorkerView>,
    /// The latest attempts that did not complete, latest first.
    pub incomplete_attempts: Vec<IncompleteAttempt>,
    /// What keeps the coordinator from granting anything at present: a store that cannot be written.
    pub degraded: Option<String>,
    /// How much of the trials in training is done, in trials: 1.5 of three that are half done.
    pub in_training_done: f64,
}

/// Workers of which those who follow a sweep are told.
const WATCHED_WORKERS: usize = 64;

impl SweepStatus {
    /// What those who follow a sweep are told ten times a second, however many workers and lanes there are.
    #[must_use]
    pub fn for_watchers(mut self) -> Self {
        // Those that train something first: they are who is looked for.
        self.workers.sort_by_key(|worker| worker.training_count == 0);
        self.workers.truncate(WATCHED_WORKERS);
        self.workers.iter_mut().for_each(|worker| worker.training.truncate(1));
        self
    }
}

/// A worker and what it trains.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerView {
    /// Its id.
    pub id: WorkerId,
    /// Its name, for people.
    pub name: String,
    /// What it has that a sweep may require.
    pub capabilities: Capabilities,
    /// Trajectories it can train at once.
    pub lanes: u32,
    /// Whether its stream is up.
    pub connected: bool,
    /// Why it gets nothing until it is released.
    pub quarantined: Option<String>,
    /// What it trains, or the first of it.
    pub training: Vec<LaneView>,
    /// How many trajectories it trains.
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
    /// Its settings but those that say when to stop.
    pub point: Point,
    /// The latest evaluation.
    pub latest: Option<CurvePoint>,
    /// Updates done, as last heard.
    pub updates: u64,
    /// Updates after which it ends in any case.
    pub max_updates: u64,
}

/// An attempt that ended without completing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncompleteAttempt {
    /// The trajectory.
    pub trajectory: TrajectoryIndex,
    /// The fencing number.
    pub attempt: Attempt,
    /// The worker's name.
    pub worker_name: String,
    /// How it ended.
    pub outcome: Outcome,
    /// What went wrong.
    pub cause: Option<String>,
    /// When.
    pub at: WallTime,
}

/// The accepted result of a trial, with its settings.
#[derive(Debug, Clone, PartialEq)]
pub struct ResultView {
    /// The trial.
    pub trial: TrialIndex,
    /// Its identity.
    pub key: TrialKey,
    /// How it stands.
    pub status: TrialStatus,
    /// The settings that apply to it.
    pub point: Point,
    /// What it found; only where completed.
    pub score: Option<Score>,
    /// Updates done when it ended.
    pub updates: u64,
    /// Attempts it took.
    pub attempts: u32,
    /// The worker that brought it.
    pub worker_name: String,
    /// Wall-clock seconds of the accepted attempt.
    pub seconds: f64,
    /// The trial it was taken over from; `None` where it was trained.
    pub reused_from: Option<Origin>,
}

/// The trial that a result was taken over from; written as that trial, with ` (deleted)` behind it where it is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The trial.
    pub trial: TrialRef,
    /// Whether its sweep was deleted since. Then the curve is kept where it was taken over.
    pub deleted: bool,
}

/// What follows a trial whose sweep was deleted.
const DELETED: &str = " (deleted)";

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.trial, if self.deleted { DELETED } else { "" })
    }
}

impl FromStr for Origin {
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
    /// Its settings but those that say when to stop.
    pub point: Point,
    /// Its evaluations.
    pub points: Vec<CurvePoint>,
    /// What was measured of its layers at them.
    pub diagnostics: Vec<DiagnosticPoint>,
}

/// A trained trial with all that was trained with it.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainedView {
    /// The trial that was asked for or, where that was taken over, the one that it comes from.
    pub trial: TrialRef,
    /// The results of the trials of its trajectory, in order.
    pub results: Vec<ResultView>,
    /// Their curve.
    pub curve: CurveView,
}

/// What a watcher of a sweep hears.
#[derive(Debug, Clone, PartialEq)]
pub enum WatchEvent {
    /// The state as a whole: first, at changes, and last.
    State(Box<SweepStatus>),
    /// An attempt just ended without completing.
    IncompleteAttempt(IncompleteAttempt),
}

/// A dataset of a plan, in words and in numbers.
#[derive(Debug)]
pub struct PlannedDataset {
    /// The dataset.
    pub dataset: DatasetRef,
    /// What it holds; `None` where nobody could look.
    pub summary: Option<DatasetSummary>,
    /// What stands in the way of training on it here, or of looking; `None` where nothing does.
    pub lacking: Option<String>,
}
