//! A sweep of the store in memory: its state, its curves and its counts.

use std::sync::Arc;

use biosweep_common::results::outcome::{Outcome, SweepState, TrialStatus};
use biosweep_common::vocabulary::ids::TrajectoryIndex;
use biosweep_scheduler::record::AttemptRow;

use super::{Sweep, Trainer};

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
