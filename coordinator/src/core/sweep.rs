//! A running sweep: what is still to be granted, how often what has failed, and what its trajectories yield.

use std::collections::BTreeMap;
use std::sync::Arc;

use biosweep_common::curve::{CurvePoint, Score, Watcher};
use biosweep_common::grid::Trajectory;
use biosweep_common::ids::{SweepId, TrajectoryIndex, TrialIndex};
use biosweep_common::outcome::{SweepState, TrialStatus};
use biosweep_common::spec::SweepSpec;
use biosweep_common::views::SweepView;

use super::intervals::IntervalSet;
use crate::store::record::{RestoredSweep, Submission, SweepRow, TrialResult};

/// A sweep that has trajectories pending or leased.
#[derive(Debug, Clone)]
pub(crate) struct Sweep {
    /// As submitted, with its counts.
    pub(crate) row: SweepRow,
    /// What its text means.
    pub(crate) spec: Arc<SweepSpec>,
    /// Trajectories neither leased nor done.
    pending: IntervalSet,
    /// Trials of the trajectories now leased.
    running: u64,
    /// Trajectories that have had an attempt and are not done.
    tries: BTreeMap<TrajectoryIndex, Tries>,
}

/// Attempts at one trajectory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tries {
    /// All that were granted.
    pub(crate) granted: u32,
    /// Those that failed.
    pub(crate) failed: u32,
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
        let row = SweepRow { submission, state: SweepState::Running, completed: 0, diverged: 0, failed: 0 };
        Self { row, spec, pending, running: 0, tries: BTreeMap::new() }
    }

    /// A sweep as the store knows it; the trajectories of its open leases are not pending.
    pub(crate) fn restored(restored: &RestoredSweep, spec: Arc<SweepSpec>) -> Self {
        let mut pending = IntervalSet::below_without(spec.grid.trajectories(), &restored.done);
        for trajectory in restored.open.iter().flat_map(|(_, open)| open) {
            pending.remove(trajectory.0);
        }
        let tries =
            restored.attempts.iter().map(|&(trajectory, granted, failed)| (trajectory, Tries { granted, failed }));
        Self { row: restored.row.clone(), spec, pending, running: 0, tries: tries.collect() }
    }

    /// Its id.
    pub(crate) fn id(&self) -> SweepId {
        self.row.submission.id
    }

    /// Whether something waits to be granted.
    pub(crate) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Whether every trial has a result.
    pub(crate) fn is_finished(&self) -> bool {
        self.row.completed + self.row.diverged + self.row.failed == self.row.submission.trials
    }

    /// Takes the next bundle: up to `lanes` pending trajectories of one shape.
    pub(crate) fn take_bundle(&mut self, lanes: u32) -> Vec<(TrajectoryIndex, Trajectory)> {
        let Some(run) = self.pending.first() else { return Vec::new() };
        let of_one_shape = self.spec.grid.shape_run_end(TrajectoryIndex(run.start)).saturating_sub(run.start);
        let Some(run) = self.pending.take_first(of_one_shape.clamp(1, lanes.max(1).into())) else { return Vec::new() };
        run.map(TrajectoryIndex).map(|index| (index, self.trajectory(index))).collect()
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
        self.pending.clear();
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
        let mut watcher = Watcher::new(rule);
        curve.iter().for_each(|point| watcher.observe(point));
        watcher.score()
    };
    trajectory.stopping_rules.iter().copied().map(watch).collect()
}
