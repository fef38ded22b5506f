//! A sweep that has not ended: its pending trajectories, its failures, and the results of its trajectories.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use biosweep_common::configuration::{Configuration, NUMERICS_VERSION, StoppingRule};
use biosweep_common::grid::{GridIndex, Trajectory};
use biosweep_common::results::curve::{CurvePoint, EarlyStopper, Score};
use biosweep_common::results::outcome::{SweepState, TrialStatus};
use biosweep_common::spec::SweepSpec;
use biosweep_common::vocabulary::ids::{Attempt, SweepId, TrajectoryIndex, TrialIndex, WorkerId};
use biosweep_common::vocabulary::time::{Tick, WallTime};
use biosweep_common::workers::capability::Capabilities;
use biosweep_common::workers::environment::NumericEnvironment;

use crate::policies::fair_share::FairShare;
use crate::record::{Extension, RestoredSweep, RetriedRow, ReusedRow, Submission, SweepRow, TrialResult};
use crate::tables::failures::{DEATHS_MAX, FailedOn, FailureGroups};
use crate::tables::lease::OpenLane;
use crate::tables::pending::{Pending, PreparedSpec};

/// A sweep that has pending, leased or awaited trajectories.
#[derive(Debug, Clone)]
pub struct Sweep {
    /// The stored description of the sweep, with its counts.
    pub row: SweepRow,
    /// The parsed spec.
    pub spec: Arc<SweepSpec>,
    /// The trajectories of the grid, by their settings.
    pub(crate) grid_index: Arc<GridIndex>,
    /// Trajectories that are not leased, done or awaited.
    pub(crate) pending: Pending,
    /// Trajectories that await the result of the same trajectory, which is leased in another sweep or block.
    pub(crate) awaited: BTreeSet<TrajectoryIndex>,
    /// The lane time that the sweep uses and has used.
    pub(crate) fair_share: FairShare,
    /// Whether the sweep is in the active set, whose fair shares are compared. A sweep joins when work of it can be granted, and
    /// leaves when it is paused or no worker can train it.
    pub(crate) is_active: bool,
    /// Number of lanes of the connected workers that meet the requirements of the sweep and are not in quarantine.
    pub(crate) usable_lanes: u64,
    /// Number of trials in training.
    pub(crate) running: u64,
    /// The attempts of each trajectory that was granted before and is not done.
    pub(crate) counters: BTreeMap<TrajectoryIndex, AttemptCounters>,
    /// The trajectories that failed and are not done, each with the workers on which it failed.
    pub(crate) failed_on: FailedOn,
    /// The trajectories that are not done and were lost without progress, each with the workers that lost it since the last
    /// progress. They are not stored.
    pub(crate) died_on: FailedOn,
    /// The failures of the sweep, grouped by similar errors.
    pub(crate) failures: FailureGroups,
}

/// Counters of the attempts of one trajectory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AttemptCounters {
    /// Number of granted attempts.
    pub granted: u32,
    /// Number of failed attempts since the last retry command.
    pub failed: u32,
    /// Number of attempts in a row that ended because the worker was lost, without progress between them.
    pub deaths: u32,
    /// The greatest number of updates of a lost attempt.
    pub furthest: u64,
    /// The greatest number of updates of an attempt that was lost or handed back. It is not stored.
    pub reached: u64,
    /// The last attempt, if it was lost or handed back.
    pub taken_back: Option<Attempt>,
}

/// The final end of a trajectory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The trajectory was trained to its end.
    Completed,
    /// The loss became infinite or NaN.
    Diverged,
    /// The trajectory failed too often.
    Failed,
}

/// The worker and the cost of the last attempt of a trajectory.
#[derive(Debug, Clone, Copy)]
pub struct Completion<'a> {
    /// The worker's name.
    pub worker_name: &'a str,
    /// The numeric environment of the worker, if the worker is known.
    pub environment: Option<&'a Arc<NumericEnvironment>>,
    /// Number of updates.
    pub updates: u64,
    /// Wall-clock seconds.
    pub seconds: f64,
}

impl Sweep {
    /// A new sweep, of which every trajectory is pending.
    pub(crate) fn new(submission: Submission, prepared: PreparedSpec) -> Self {
        let pending = Pending::of(Arc::clone(&prepared.order), &[]);
        let row = SweepRow {
            state_at: submission.submitted_at,
            submission,
            extensions: Vec::new(),
            state: SweepState::Running,
            reason: None,
            note: None,
            completed: 0,
            diverged: 0,
            failed: 0,
            reused: 0,
        };
        Self::with(row, prepared, pending, BTreeMap::new())
    }

    fn with(
        row: SweepRow,
        PreparedSpec { spec, index, .. }: PreparedSpec,
        pending: Pending,
        counters: BTreeMap<TrajectoryIndex, AttemptCounters>,
    ) -> Self {
        Self {
            fair_share: FairShare::new(spec.execution.priority, spec.execution.weight),
            grid_index: index,
            row,
            spec,
            pending,
            awaited: BTreeSet::new(),
            is_active: false,
            usable_lanes: 0,
            running: 0,
            counters,
            failed_on: FailedOn::default(),
            died_on: FailedOn::default(),
            failures: FailureGroups::default(),
        }
    }

    /// Restores a stored sweep. The trajectories of its open leases are not pending.
    pub(crate) fn restored(restored: &RestoredSweep, prepared: PreparedSpec) -> Self {
        let mut pending = Pending::of(Arc::clone(&prepared.order), &restored.done);
        for trajectory in restored.open.iter().flat_map(|(_, open)| open) {
            pending.remove(trajectory.0..trajectory.0 + 1);
        }
        let counters = restored.attempts.iter();
        let counters = counters.map(|&(index, granted, failed)| {
            (index, AttemptCounters { granted, failed, ..AttemptCounters::default() })
        });
        let mut sweep = Self::with(restored.row.clone(), prepared, pending, counters.collect());
        for &(index, updates) in &restored.deaths {
            sweep.died_too_often(index, updates, None);
        }
        for failure in restored.failures.iter().filter(|failure| sweep.counters.contains_key(&failure.trajectory)) {
            sweep.failed_on.insert(failure.trajectory, failure.worker);
        }
        sweep.failures = FailureGroups::restored(&restored.failures, restored.ended);
        sweep
    }

    /// Pauses a restored sweep that was begun with another numerics version: its means would mix results of both versions. A sweep
    /// that its owner has resumed with this version is not paused again.
    pub(crate) fn pause_if_begun_by_other_numerics(&mut self, now: WallTime) {
        if let Some(version) = self.row.submission.other_numerics()
            && self.row.state == SweepState::Running
            && self.row.reason != self.mixed_numerics_reason()
        {
            (self.row.state, self.row.state_at) = (SweepState::Paused, now);
            self.row.reason = Some(format!(
                "the sweep was begun with numerics version {version}, but this program has version {NUMERICS_VERSION}, so its \
                 means would mix results of both; submit the spec again for results of one version"
            ));
        }
    }

    /// The reason shown for a sweep whose owner has resumed it with another numerics version. The reason is stored and compared by
    /// [`Self::pause_if_begun_by_other_numerics`], so a change of its text pauses stored sweeps again.
    pub(crate) fn mixed_numerics_reason(&self) -> Option<String> {
        let before = self.row.submission.other_numerics()?;
        Some(format!("its results are of numerics versions {before} and {NUMERICS_VERSION}"))
    }

    /// Whether workers of this class meet the requirements of the sweep.
    pub(crate) fn can_use(&self, capabilities: &Capabilities) -> bool {
        self.spec.execution.require.is_met_by(capabilities)
    }

    /// Whether the sweep has pending trajectories that workers of this class may train.
    pub(crate) fn has_work_for(&self, capabilities: &Capabilities) -> bool {
        self.can_grant() && self.can_use(capabilities)
    }

    /// The id of the sweep.
    pub fn id(&self) -> SweepId {
        self.row.submission.id
    }

    /// Whether every trial has a result.
    pub fn is_finished(&self) -> bool {
        self.row.completed + self.row.diverged + self.row.failed == self.row.submission.trials
    }

    /// Counts a trajectory that is granted.
    pub(crate) fn started(&mut self, index: TrajectoryIndex, lane: &OpenLane) {
        self.counters.entry(index).or_default().granted += 1;
        self.running += lane.trials();
        self.fair_share.lane_opened(lane.since);
    }

    /// Counts an attempt that has ended.
    pub(crate) fn stopped(&mut self, now: Tick, lane: &OpenLane) {
        self.running -= lane.trials();
        self.fair_share.lane_closed(now, lane.since);
    }

    /// Makes a trajectory pending again. `taken_back` is the attempt, if it was lost or handed back.
    pub fn put_back(&mut self, index: TrajectoryIndex, taken_back: Option<Attempt>) {
        self.pending.insert(index);
        self.counters.entry(index).or_default().taken_back = taken_back;
    }

    /// Counts a failed attempt; returns whether the trajectory may be retried.
    pub fn may_retry_after_failure(&mut self, index: TrajectoryIndex) -> bool {
        let counters = self.counters.entry(index).or_default();
        counters.failed += 1;
        counters.failed <= self.spec.execution.retries_max
    }

    /// Notes that an attempt was lost or handed back after `updates` updates; returns whether none came so far before.
    pub(crate) fn progressed(&mut self, index: TrajectoryIndex, updates: u64) -> bool {
        let counters = self.counters.entry(index).or_default();
        let is_progress = updates > counters.reached;
        counters.reached = counters.reached.max(updates);
        is_progress
    }

    /// Counts an attempt whose worker was lost after `updates` updates; returns whether this happened too often. Without progress,
    /// the trajectory is left to other workers, if `worker` is known.
    pub(crate) fn died_too_often(&mut self, index: TrajectoryIndex, updates: u64, worker: Option<WorkerId>) -> bool {
        let counters = self.counters.entry(index).or_default();
        if updates > counters.furthest {
            (counters.furthest, counters.deaths) = (updates, 0);
            self.died_on.remove(index);
        } else if let Some(worker) = worker {
            self.died_on.insert(index, worker);
        }
        counters.deaths += 1;
        counters.deaths >= DEATHS_MAX
    }

    /// Makes failed trajectories pending again and resets their failures; returns the trajectories that were not pending before.
    pub fn retry(&mut self, failures: &[(TrajectoryIndex, u32)]) -> Vec<RetriedRow> {
        let mut retried = Vec::new();
        for &(index, granted) in failures {
            if self.counters.contains_key(&index) {
                continue;
            }
            let trajectory = self.trajectory(index);
            let trials = trajectory.stopping_rules.len() as u64;
            self.counters.insert(index, AttemptCounters { granted, ..AttemptCounters::default() });
            self.died_on.remove(index);
            self.put_back(index, None);
            self.row.failed = self.row.failed.saturating_sub(trials);
            retried.push(RetriedRow { trajectory: index, first_trial: trajectory.first_trial, trials });
        }
        retried
    }

    /// Ends a trajectory; returns the results of its trials, which are added to the counts.
    pub fn finish(
        &mut self,
        index: TrajectoryIndex,
        trajectory: &Trajectory,
        end: End,
        curve: &[CurvePoint],
        by: Completion<'_>,
    ) -> Vec<TrialResult> {
        let attempts = self.counters.remove(&index).map_or(0, |counters| counters.granted);
        self.died_on.remove(index);
        let scores = scores(trajectory, curve);
        let mut configuration = Configuration {
            shape: trajectory.shape.clone(),
            hyperparameters: trajectory.hyperparameters,
            stopping_rule: StoppingRule { max_updates: 1, early_stop: None },
        };
        let rules = trajectory.stopping_rules.iter();
        let trials = (trajectory.first_trial.0..).map(TrialIndex).zip(rules);
        let results = trials.zip(scores).map(|((trial, &rule), score)| {
            configuration.stopping_rule = rule;
            let (status, score) = match (end, score) {
                (End::Completed, score) => (TrialStatus::Completed, score),
                // A trial that stopped before the loss diverged has a score, as if it had been trained alone.
                (End::Diverged, Some(score)) => (TrialStatus::Completed, Some(score)),
                (End::Diverged, None) => (TrialStatus::Diverged, None),
                (End::Failed, _) => (TrialStatus::Failed, None),
            };
            TrialResult {
                trial,
                key: configuration.key(),
                status,
                score,
                updates: score.map_or(by.updates, |score| score.updates),
                attempts,
                worker_name: by.worker_name.to_owned(),
                environment: by.environment.cloned(),
                seconds: by.seconds,
                reused_from: None,
            }
        });
        let results: Vec<_> = results.collect();
        for result in &results {
            match result.status {
                TrialStatus::Completed => self.row.completed += 1,
                TrialStatus::Diverged => self.row.diverged += 1,
                TrialStatus::Failed => self.row.failed += 1,
            }
        }
        results
    }

    /// Appends the trials of an extension.
    pub(crate) fn extend(&mut self, extension: Extension, PreparedSpec { spec, index, order }: PreparedSpec) {
        let submission = &mut self.row.submission;
        self.pending = self.pending.extended(order, submission.trajectories);
        (submission.trials, submission.trajectories) = (spec.grid.trials(), spec.grid.trajectories());
        self.row.extensions.push(extension);
        self.grid_index = index;
        self.spec = spec;
    }

    /// Whether a trajectory is pending or awaited.
    pub(crate) fn lacks(&self, index: TrajectoryIndex) -> bool {
        self.pending.contains(index) || self.awaited.contains(&index)
    }

    /// Makes a pending trajectory awaited: the same trajectory is in training in another sweep or block.
    pub(crate) fn await_result(&mut self, index: TrajectoryIndex) {
        self.pending.remove(index.0..index.0 + 1);
        self.awaited.insert(index);
    }

    /// Makes an awaited trajectory pending if it did not get its results; returns whether it did not.
    pub(crate) fn stop_awaiting(&mut self, index: TrajectoryIndex) -> bool {
        let is_lacking = self.awaited.remove(&index);
        if is_lacking {
            // A sweep that had no pending trajectory does not catch up with the others.
            self.is_active &= !self.pending.is_empty();
            self.pending.insert(index);
        }
        is_lacking
    }

    /// Takes over the results of a trajectory from another sweep or block.
    pub(crate) fn take_over(&mut self, row: &ReusedRow) {
        if !self.awaited.remove(&row.trajectory) {
            self.pending.remove(row.trajectory.0..row.trajectory.0 + 1);
        }
        self.counters.remove(&row.trajectory);
        self.died_on.remove(row.trajectory);
        self.row.completed += row.results.len() as u64;
        self.row.reused += row.results.len() as u64;
    }

    /// The trajectory of an index.
    ///
    /// # Panics
    /// If the index is not in the grid.
    pub fn trajectory(&self, index: TrajectoryIndex) -> Trajectory {
        self.spec.grid.trajectory(index).expect("pending and leased trajectories are in their grid")
    }
}

/// Cuts a longer curve down to the points that a training of this trajectory alone would have.
pub fn cut_for(trajectory: &Trajectory, curve: &mut Vec<CurvePoint>) {
    let (rules, eval_every) = (&trajectory.stopping_rules, trajectory.shape.eval_every);
    let is_evaluated =
        |update: u64| update.is_multiple_of(eval_every) || rules.iter().any(|rule| rule.max_updates == update);
    curve.retain(|point| is_evaluated(point.update));
    let end = |rule: &StoppingRule| {
        let mut stopper = EarlyStopper::new(*rule, eval_every);
        let end = curve.iter().position(|point| {
            stopper.observe(point);
            stopper.score().is_some()
        });
        end.map_or(curve.len(), |last| last + 1)
    };
    let end = rules.iter().map(end).max().unwrap_or(curve.len());
    curve.truncate(end);
}

/// The score of each trial of a trajectory; `None` if the curve ends before the trial does.
pub fn scores(trajectory: &Trajectory, curve: &[CurvePoint]) -> Vec<Option<Score>> {
    let score = |rule| {
        let mut stopper = EarlyStopper::new(rule, trajectory.shape.eval_every);
        curve.iter().for_each(|point| stopper.observe(point));
        stopper.score()
    };
    trajectory.stopping_rules.iter().copied().map(score).collect()
}
