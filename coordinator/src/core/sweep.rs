//! A running sweep: what is still to be granted, how often what has failed, and what its trajectories yield.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use biosweep_common::curve::{CurvePoint, Score, Watcher};
use biosweep_common::grid::Trajectory;
use biosweep_common::ids::{SweepId, TrajectoryIndex, TrialIndex, WorkerId};
use biosweep_common::outcome::{SweepState, TrialStatus};
use biosweep_common::spec::SweepSpec;
use biosweep_common::views::SweepView;

use super::intervals::IntervalSet;
use super::trust::{DEATHS_MAX, LikeFailures};
use crate::store::record::{RestoredSweep, RetriedRow, Submission, SweepRow, TrialResult};

/// So many deaths in a row, and a trajectory is granted alone: its neighbours may have died of it, or it of them.
const DEATHS_ALONE: u32 = 2;

/// A sweep that has trajectories pending or leased.
#[derive(Debug, Clone)]
pub(crate) struct Sweep {
    /// As submitted, with its counts.
    pub(crate) row: SweepRow,
    /// What its text means.
    pub(crate) spec: Arc<SweepSpec>,
    /// Trajectories neither leased nor done.
    pub(super) pending: IntervalSet,
    /// Trials of the trajectories now leased.
    running: u64,
    /// Trajectories that have had an attempt and are not done.
    tries: BTreeMap<TrajectoryIndex, Tries>,
    /// The workers on which a trajectory failed that is not done.
    pub(super) failed_on: BTreeMap<TrajectoryIndex, BTreeSet<WorkerId>>,
    /// Its failures, by what they have in common.
    pub(super) failures: LikeFailures,
}

/// Attempts at one trajectory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tries {
    /// All that were granted.
    pub(crate) granted: u32,
    /// Those that failed, since the last retry its owner asked for.
    pub(crate) failed: u32,
    /// Those in a row that ended with their worker.
    pub(crate) deaths: u32,
    /// The greatest number of updates such an attempt was heard to have done.
    pub(crate) furthest: u64,
}

/// How a trajectory came to its end for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Trained to its end.
    Completed,
    /// Its loss ceased to be finite.
    Diverged,
    /// Failed too often.
    Failed,
}

/// Who brought a trajectory's end, and at what cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Brought<'a> {
    /// The worker's name.
    pub(crate) worker_name: &'a str,
    /// Updates done.
    pub(crate) updates: u64,
    /// Wall-clock seconds.
    pub(crate) seconds: f64,
}

impl Sweep {
    /// A sweep nothing has been done of.
    pub(crate) fn new(submission: Submission, spec: Arc<SweepSpec>) -> Self {
        let pending = IntervalSet::below_without(spec.grid.trajectories(), &[]);
        let row =
            SweepRow { submission, state: SweepState::Running, reason: None, completed: 0, diverged: 0, failed: 0 };
        Self::with(row, spec, pending, BTreeMap::new())
    }

    fn with(
        row: SweepRow,
        spec: Arc<SweepSpec>,
        pending: IntervalSet,
        tries: BTreeMap<TrajectoryIndex, Tries>,
    ) -> Self {
        Self { row, spec, pending, running: 0, tries, failed_on: BTreeMap::new(), failures: LikeFailures::default() }
    }

    /// A sweep as the store knows it; the trajectories of its open leases are not pending.
    pub(crate) fn restored(restored: &RestoredSweep, spec: Arc<SweepSpec>) -> Self {
        let mut pending = IntervalSet::below_without(spec.grid.trajectories(), &restored.done);
        for trajectory in restored.open.iter().flat_map(|(_, open)| open) {
            pending.remove(trajectory.0);
        }
        let tries = restored.attempts.iter();
        let tries = tries.map(|&(index, granted, failed)| (index, Tries { granted, failed, ..Tries::default() }));
        Self::with(restored.row.clone(), spec, pending, tries.collect())
    }

    /// Its id.
    pub(crate) fn id(&self) -> SweepId {
        self.row.submission.id
    }

    /// Whether something waits to be granted, and may be.
    pub(crate) fn can_grant(&self) -> bool {
        self.row.state == SweepState::Running && !self.pending.is_empty()
    }

    /// Whether every trial has a result.
    pub(crate) fn is_finished(&self) -> bool {
        self.row.completed + self.row.diverged + self.row.failed == self.row.submission.trials
    }

    /// Takes the next bundle: up to `lanes` pending trajectories of one shape, none of them in `without`.
    pub(crate) fn take_bundle(
        &mut self,
        lanes: u32,
        without: &[TrajectoryIndex],
    ) -> Vec<(TrajectoryIndex, Trajectory)> {
        let left_out: Vec<_> = without.iter().filter(|&&index| self.pending.remove(index.0)).collect();
        let bundle = self.pending.first().and_then(|run| {
            let of_one_shape = self.spec.grid.shape_run_end(TrajectoryIndex(run.start)).saturating_sub(run.start);
            let count = of_one_shape.clamp(1, lanes.max(1).into());
            let dies = |&index: &u64| self.tries.get(&TrajectoryIndex(index)).is_some_and(|t| t.deaths >= DEATHS_ALONE);
            let alone =
                (run.start..run.start + count).position(|index| dies(&index)).map(|before| before.max(1) as u64);
            self.pending.take_first(alone.unwrap_or(count))
        });
        left_out.into_iter().for_each(|&index| self.put_back(index));
        bundle.into_iter().flatten().map(TrajectoryIndex).map(|index| (index, self.trajectory(index))).collect()
    }

    /// A trajectory has been granted.
    pub(crate) fn started(&mut self, index: TrajectoryIndex, trials: u64) {
        self.tries.entry(index).or_default().granted += 1;
        self.running += trials;
    }

    /// An attempt at a trajectory is over, however it went.
    pub(crate) fn stopped(&mut self, trials: u64) {
        self.running = self.running.saturating_sub(trials);
    }

    /// The trajectory waits again.
    pub(crate) fn put_back(&mut self, index: TrajectoryIndex) {
        self.pending.insert(index.0..index.0 + 1);
    }

    /// An attempt failed; whether the trajectory may be tried again.
    pub(crate) fn may_retry_after_failure(&mut self, index: TrajectoryIndex) -> bool {
        let tries = self.tries.entry(index).or_default();
        tries.failed += 1;
        tries.failed <= self.spec.retries_max
    }

    /// An attempt ended with its worker, after so many updates; whether that happened too often.
    pub(crate) fn died_too_often(&mut self, index: TrajectoryIndex, updates: u64) -> bool {
        let tries = self.tries.entry(index).or_default();
        if updates > tries.furthest {
            (tries.furthest, tries.deaths) = (updates, 0);
        }
        tries.deaths += 1;
        tries.deaths >= DEATHS_MAX
    }

    /// Has failed trajectories wait again, their failures forgiven; those that did not do so already.
    pub(crate) fn retry(&mut self, failures: &[(TrajectoryIndex, u32)]) -> Vec<RetriedRow> {
        let mut retried = Vec::new();
        for &(index, granted) in failures {
            if self.tries.contains_key(&index) {
                continue;
            }
            let trajectory = self.trajectory(index);
            let trials = trajectory.stopping_rules.len() as u64;
            self.tries.insert(index, Tries { granted, ..Tries::default() });
            self.put_back(index);
            self.row.failed = self.row.failed.saturating_sub(trials);
            retried.push(RetriedRow { trajectory: index, first_trial: trajectory.first_trial, trials });
        }
        retried
    }

    /// The trajectory is done for good: the results of its trials, counted.
    pub(crate) fn finish(
        &mut self,
        index: TrajectoryIndex,
        trajectory: &Trajectory,
        end: End,
        curve: &[CurvePoint],
        by: Brought<'_>,
    ) -> Vec<TrialResult> {
        let attempts = self.tries.remove(&index).map_or(0, |tries| tries.granted);
        self.failed_on.remove(&index);
        let scores = scores(trajectory, curve);
        let results = (trajectory.first_trial.0..).map(TrialIndex).zip(scores).map(|(trial, score)| {
            let (status, score) = match (end, score) {
                (End::Completed, score) => (TrialStatus::Completed, score),
                // A trial whose rule ended it before the loss blew up has its score; so it would have had alone.
                (End::Diverged, Some(score)) => (TrialStatus::Completed, Some(score)),
                (End::Diverged, None) => (TrialStatus::Diverged, None),
                (End::Failed, _) => (TrialStatus::Failed, None),
            };
            TrialResult {
                trial,
                key: self.spec.grid.configuration(trial).expect("a trajectory's trials are in its grid").key(),
                status,
                score,
                updates: score.map_or(by.updates, |score| score.updates),
                attempts,
                worker_name: by.worker_name.to_owned(),
                seconds: by.seconds,
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

    /// Its owner wants nothing more of it.
    pub(crate) fn cancel(&mut self) {
        self.row.state = SweepState::Cancelled;
    }

    /// The trajectory of that index, which must be in the grid.
    pub(crate) fn trajectory(&self, index: TrajectoryIndex) -> Trajectory {
        self.spec.grid.trajectory(index).expect("pending and leased trajectories are in their grid")
    }

    /// The sweep as people see it.
    pub(crate) fn view(&self) -> SweepView {
        SweepView { running: self.running, ..self.row.view() }
    }
}

/// What each trial of a trajectory finds in its curve; `None` where the curve ends before the trial does.
pub(crate) fn scores(trajectory: &Trajectory, curve: &[CurvePoint]) -> Vec<Option<Score>> {
    let watch = |rule| {
        let mut watcher = Watcher::new(rule, trajectory.shape.eval_every);
        curve.iter().for_each(|point| watcher.observe(point));
        watcher.score()
    };
    trajectory.stopping_rules.iter().copied().map(watch).collect()
}
