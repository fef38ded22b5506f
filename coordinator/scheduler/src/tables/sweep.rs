//! A running sweep: what is still to be granted, how often what has failed, and what its trajectories yield.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use biosweep_common::capability::Capabilities;
use biosweep_common::configuration::{Configuration, NUMERICS_VERSION, StoppingRule};
use biosweep_common::curve::{CurvePoint, EarlyStopper, Score};
use biosweep_common::environment::NumericEnvironment;
use biosweep_common::grid::{GridIndex, Trajectory};
use biosweep_common::ids::{Attempt, SweepId, TrajectoryIndex, TrialIndex};
use biosweep_common::outcome::{SweepState, TrialStatus};
use biosweep_common::spec::SweepSpec;
use biosweep_common::time::Tick;

use crate::policies::failures::{DEATHS_MAX, FailedOn, LikeFailures};
use crate::policies::fair_share::FairShare;
use crate::record::{Extension, RestoredSweep, RetriedRow, ReusedRow, Submission, SweepRow, TrialResult};
use crate::tables::lease::OpenLane;
use crate::tables::pending::{Pending, PreparedSpec};

/// A sweep that has trajectories pending or leased.
#[derive(Debug, Clone)]
pub struct Sweep {
    /// As submitted, with its counts.
    pub row: SweepRow,
    /// What its text means.
    pub spec: Arc<SweepSpec>,
    /// Its grid, to find trajectories in.
    pub(crate) grid_index: Arc<GridIndex>,
    /// Trajectories neither leased nor done nor awaited.
    pub(crate) pending: Pending,
    /// Those that need not be trained if the same ones, now leased in another sweep or block, come to their end.
    pub(crate) awaited: BTreeSet<TrajectoryIndex>,
    /// What it has and had of the workers.
    pub(crate) fair_share: FairShare,
    /// Whether the sweep is in the active set, whose shares are compared: not before it could be granted something for the first time, nor
    /// since it was paused or had nobody to train it.
    pub(crate) is_active: bool,
    /// Lanes of the workers that are there and have what it requires.
    pub(crate) lanes_there: u64,
    /// Trials of the trajectories now leased.
    pub(crate) running: u64,
    /// Trajectories that have had an attempt and are not done.
    pub(crate) counters: BTreeMap<TrajectoryIndex, AttemptCounters>,
    /// The trajectories that failed and are not done, and the workers on which.
    pub(crate) failed_on: FailedOn,
    /// Its failures, by what they have in common.
    pub(crate) failures: LikeFailures,
}

/// Attempts at one trajectory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AttemptCounters {
    /// All that were granted.
    pub granted: u32,
    /// Those that failed, since the last retry its owner asked for.
    pub failed: u32,
    /// Those in a row that ended with their worker.
    pub deaths: u32,
    /// The greatest number of updates such an attempt was heard to have done.
    pub furthest: u64,
    /// The last attempt, where it was lost or handed back.
    pub taken_back: Option<Attempt>,
}

/// How a trajectory came to its end for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Trained to its end.
    Completed,
    /// Its loss ceased to be finite.
    Diverged,
    /// Failed too often.
    Failed,
}

/// The worker that reported the end of a trajectory, and the cost.
#[derive(Debug, Clone, Copy)]
pub struct Completion<'a> {
    /// The worker's name.
    pub worker_name: &'a str,
    /// The numeric environment of the worker, where the worker is known.
    pub environment: Option<&'a Arc<NumericEnvironment>>,
    /// Updates done.
    pub updates: u64,
    /// Wall-clock seconds.
    pub seconds: f64,
}

impl Sweep {
    /// A sweep nothing has been done of.
    pub(crate) fn new(submission: Submission, prepared: PreparedSpec) -> Self {
        let pending = Pending::of(Arc::clone(&prepared.order), &[]);
        let row = SweepRow {
            submission,
            extensions: Vec::new(),
            state: SweepState::Running,
            reason: None,
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
            lanes_there: 0,
            running: 0,
            counters,
            failed_on: FailedOn::default(),
            failures: LikeFailures::default(),
        }
    }

    /// A sweep as the store knows it; the trajectories of its open leases are not pending.
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
            sweep.died_too_often(index, updates);
        }
        for failure in restored.failures.iter().filter(|failure| sweep.counters.contains_key(&failure.trajectory)) {
            sweep.failed_on.insert(failure.trajectory, failure.worker);
        }
        sweep.failures = LikeFailures::restored(&restored.failures, restored.ended);
        sweep
    }

    /// Has a restored sweep wait for its owner where another numerics version began it: one mean would mix the results of two.
    /// Who resumes it all the same is not asked again.
    pub(crate) fn hold_if_begun_by_other_numerics(&mut self) {
        if let Some(version) = self.row.submission.other_numerics()
            && self.row.state == SweepState::Running
            && self.row.reason != self.mixes()
        {
            self.row.state = SweepState::Paused;
            self.row.reason = Some(format!(
                "numerics version {version} began it, and this program computes by {NUMERICS_VERSION}, so that its means would \
                 mix the two; submit its spec anew for results of one"
            ));
        }
    }

    /// What is to be known of it while it runs: that its owner had it go on by another numerics version.
    pub(crate) fn mixes(&self) -> Option<String> {
        let before = self.row.submission.other_numerics()?;
        Some(format!("its results are of numerics versions {before} and {NUMERICS_VERSION}"))
    }

    /// Whether workers of this class have what it requires.
    pub(crate) fn can_use(&self, capabilities: &Capabilities) -> bool {
        self.spec.execution.require.is_met_by(capabilities)
    }

    /// Whether it has pending trajectories that workers of this class may train.
    pub(crate) fn has_something_for(&self, capabilities: &Capabilities) -> bool {
        self.can_grant() && self.can_use(capabilities)
    }

    /// Its id.
    pub fn id(&self) -> SweepId {
        self.row.submission.id
    }

    /// Whether every trial has a result.
    pub fn is_finished(&self) -> bool {
        self.row.completed + self.row.diverged + self.row.failed == self.row.submission.trials
    }

    /// A trajectory has been granted.
    pub(crate) fn started(&mut self, index: TrajectoryIndex, lane: &OpenLane) {
        self.counters.entry(index).or_default().granted += 1;
        self.running += lane.trials();
        self.fair_share.take(lane.since);
    }

    /// An attempt at a trajectory is over, however it went.
    pub(crate) fn stopped(&mut self, now: Tick, lane: &OpenLane) {
        self.running -= lane.trials();
        self.fair_share.give_back(now, lane.since);
    }

    /// The trajectory waits again; under this attempt it was lost or handed back, where it was.
    pub fn put_back(&mut self, index: TrajectoryIndex, taken_back: Option<Attempt>) {
        self.pending.insert(index);
        self.counters.entry(index).or_default().taken_back = taken_back;
    }

    /// An attempt failed; whether the trajectory may be tried again.
    pub fn may_retry_after_failure(&mut self, index: TrajectoryIndex) -> bool {
        let counters = self.counters.entry(index).or_default();
        counters.failed += 1;
        counters.failed <= self.spec.execution.retries_max
    }

    /// An attempt ended with its worker, after so many updates; whether that happened too often.
    pub fn died_too_often(&mut self, index: TrajectoryIndex, updates: u64) -> bool {
        let counters = self.counters.entry(index).or_default();
        if updates > counters.furthest {
            (counters.furthest, counters.deaths) = (updates, 0);
        }
        counters.deaths += 1;
        counters.deaths >= DEATHS_MAX
    }

    /// Has failed trajectories wait again, their failures forgiven; those that did not do so already.
    pub fn retry(&mut self, failures: &[(TrajectoryIndex, u32)]) -> Vec<RetriedRow> {
        let mut retried = Vec::new();
        for &(index, granted) in failures {
            if self.counters.contains_key(&index) {
                continue;
            }
            let trajectory = self.trajectory(index);
            let trials = trajectory.stopping_rules.len() as u64;
            self.counters.insert(index, AttemptCounters { granted, ..AttemptCounters::default() });
            self.put_back(index, None);
            self.row.failed = self.row.failed.saturating_sub(trials);
            retried.push(RetriedRow { trajectory: index, first_trial: trajectory.first_trial, trials });
        }
        retried
    }

    /// The trajectory is done for good: the results of its trials, counted.
    pub fn finish(
        &mut self,
        index: TrajectoryIndex,
        trajectory: &Trajectory,
        end: End,
        curve: &[CurvePoint],
        by: Completion<'_>,
    ) -> Vec<TrialResult> {
        let attempts = self.counters.remove(&index).map_or(0, |counters| counters.granted);
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
                // A trial whose rule ended it before the loss blew up has its score; so it would have had alone.
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

    /// More trials follow those there are.
    pub(crate) fn extend(&mut self, extension: Extension, PreparedSpec { spec, index, order }: PreparedSpec) {
        let submission = &mut self.row.submission;
        self.pending = self.pending.extended(order, submission.trajectories);
        (submission.trials, submission.trajectories) = (spec.grid.trials(), spec.grid.trajectories());
        self.row.extensions.push(extension);
        self.grid_index = index;
        self.spec = spec;
    }

    /// Whether a trajectory is neither leased nor done.
    pub(crate) fn lacks(&self, index: TrajectoryIndex) -> bool {
        self.pending.contains(index) || self.awaited.contains(&index)
    }

    /// A pending trajectory is in training elsewhere: this sweep waits for that.
    pub(crate) fn set_aside(&mut self, index: TrajectoryIndex) {
        self.pending.remove(index.0..index.0 + 1);
        self.awaited.insert(index);
    }

    /// What was awaited has ended elsewhere; whether it has to be trained here all the same.
    pub(crate) fn wait_no_longer(&mut self, index: TrajectoryIndex) -> bool {
        let is_lacking = self.awaited.remove(&index);
        if is_lacking {
            // Having had nothing to be granted, it does not catch up on those that had.
            self.is_active &= !self.pending.is_empty();
            self.pending.insert(index);
        }
        is_lacking
    }

    /// A trajectory that this sweep lacks has its results from elsewhere.
    pub(crate) fn take_over(&mut self, row: &ReusedRow) {
        if !self.awaited.remove(&row.trajectory) {
            self.pending.remove(row.trajectory.0..row.trajectory.0 + 1);
        }
        self.counters.remove(&row.trajectory);
        self.row.completed += row.results.len() as u64;
        self.row.reused += row.results.len() as u64;
    }

    /// The trajectory of that index, which must be in the grid.
    pub fn trajectory(&self, index: TrajectoryIndex) -> Trajectory {
        self.spec.grid.trajectory(index).expect("pending and leased trajectories are in their grid")
    }
}

/// Of a longer curve, what training this trajectory alone would have found.
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

/// What each trial of a trajectory finds in its curve; `None` where the curve ends before the trial does.
pub fn scores(trajectory: &Trajectory, curve: &[CurvePoint]) -> Vec<Option<Score>> {
    let watch = |rule| {
        let mut stopper = EarlyStopper::new(rule, trajectory.shape.eval_every);
        curve.iter().for_each(|point| stopper.observe(point));
        stopper.score()
    };
    trajectory.stopping_rules.iter().copied().map(watch).collect()
}
