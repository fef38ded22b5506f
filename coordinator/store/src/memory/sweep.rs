//! A sweep of the store in memory: its state, its curves and its counts, and what a scheduler continues from.

use std::collections::BTreeMap;
use std::sync::Arc;

use biosweep_common::results::outcome::{Outcome, SweepState, TrialStatus};
use biosweep_common::vocabulary::ids::TrajectoryIndex;
use biosweep_scheduler::record::{AttemptRow, FailureRow, FailureStatus, RestoredSweep};

use super::{EndedAttempt, State, Sweep, Trainer};

impl State {
    pub(super) fn restored(&self, sweep: &Sweep) -> RestoredSweep {
        let mut done: Vec<(u64, u64)> = Vec::new();
        for &TrajectoryIndex(trajectory) in sweep.curves.keys() {
            match done.last_mut() {
                Some((first, count)) if *first + *count == trajectory => *count += 1,
                _ => done.push((trajectory, 1)),
            }
        }
        let id = sweep.row.submission.id;
        let open = self.leases.values().filter(|lease| lease.row.sweep == id && !lease.open.is_empty());
        let mut attempts: BTreeMap<TrajectoryIndex, (u32, u32)> = BTreeMap::new();
        let (mut failures, mut deaths) = (Vec::new(), Vec::new());
        for (entry, EndedAttempt { row, worker, updates, .. }) in sweep.attempts.iter().enumerate() {
            let trajectory = row.trajectory;
            let is_done = sweep.curves.contains_key(&trajectory);
            let counts = sweep.forgiven.get(&trajectory).is_none_or(|&until| entry >= until);
            if !is_done {
                let (ended, failed) = attempts.entry(trajectory).or_default();
                *ended += 1;
                *failed += u32::from(row.outcome == Outcome::Failed && counts);
            }
            match row.outcome {
                Outcome::Failed if counts => {
                    let cause = row.cause.clone().unwrap_or_default();
                    let status =
                        FailureStatus::of(entry as u64 + 1, sweep.resumed_after as u64, sweep.began_after as u64);
                    failures.push(FailureRow { trajectory, worker: *worker, cause, status });
                }
                Outcome::WorkerLost if counts && !is_done => deaths.push((trajectory, *updates)),
                _ => {}
            }
        }
        RestoredSweep {
            row: sweep.row.clone(),
            done,
            open: open.map(|lease| (lease.row.clone(), lease.open.iter().copied().collect())).collect(),
            attempts: attempts.into_iter().map(|(trajectory, (ended, failed))| (trajectory, ended, failed)).collect(),
            failures,
            deaths,
            ended: sweep.ended().saturating_sub(sweep.ended_before) as u64,
        }
    }
}

impl Sweep {
    pub(super) fn change_state(&mut self, state: SweepState) {
        if state == SweepState::Running {
            (self.began_after, self.ended_before) = (self.attempts.len(), self.ended());
            if self.row.state == SweepState::Paused {
                self.resumed_after = self.attempts.len();
            }
        }
        self.row.state = state;
    }

    /// Whether a trajectory has its own curve: it was trained here, or the sweep of its source was deleted.
    pub(super) fn owns(&self, trajectory: TrajectoryIndex) -> bool {
        !self.reused.contains_key(&trajectory) || self.inherited.contains_key(&trajectory)
    }

    /// The worker that trained a trajectory with its own curve.
    pub(super) fn trainer(&self, trajectory: TrajectoryIndex) -> Trainer {
        let inherited = self.inherited.get(&trajectory).cloned();
        let last = || {
            let ended = self.attempts.iter().rev().find(|ended| ended.row.trajectory == trajectory)?;
            Some((ended.row.worker_name.clone(), Some(Arc::clone(&ended.environment))))
        };
        inherited.or_else(last).unwrap_or_default()
    }

    pub(super) fn attempts_at(&self, trajectory: TrajectoryIndex) -> impl DoubleEndedIterator<Item = &AttemptRow> {
        self.attempts.iter().map(|ended| &ended.row).filter(move |row| row.trajectory == trajectory)
    }

    /// Whether a trajectory that is done has failed.
    pub(super) fn has_failed(&self, trajectory: TrajectoryIndex) -> bool {
        self.attempts_at(trajectory).next_back().is_some_and(|row| row.outcome == Outcome::Failed)
    }

    /// Number of trajectories that completed or diverged here.
    pub(super) fn ended(&self) -> usize {
        let ended = |index: &&TrajectoryIndex| !self.reused.contains_key(*index) && !self.has_failed(**index);
        self.curves.keys().filter(ended).count()
    }

    pub(super) fn count(&mut self, status: TrialStatus) -> &mut u64 {
        match status {
            TrialStatus::Completed => &mut self.row.completed,
            TrialStatus::Diverged => &mut self.row.diverged,
            TrialStatus::Failed => &mut self.row.failed,
        }
    }
}
