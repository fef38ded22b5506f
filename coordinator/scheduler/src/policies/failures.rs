//! The consequences of failures.
//!
//! - A failed trajectory is retried, on another worker if there is one. So is one that its worker lost without progress.
//! - After three failures in a row a worker is a suspect: it gets no trajectory that other workers can train. If they complete
//!   its failed trajectories, the worker is quarantined; if they fail too, the worker is cleared.
//! - A worker that loses or hands back its trajectories again and again, without progress, waits before its next grant.
//! - If many trajectories of a sweep fail with similar errors, the sweep is paused for its owner.

use biosweep_common::protocol::messages::Held;
use biosweep_common::results::outcome::SweepState;
use biosweep_common::vocabulary::ids::{Attempt, SweepId, TrajectoryIndex, WorkerId};
use biosweep_common::workers::capability::Capabilities;

use crate::event::{Action, Notice, Now};
use crate::record::{QuarantineRow, Record};
use crate::scheduler::Scheduler;
use crate::tables::failures::{Failing, STREAK};
use crate::tables::sweep::Sweep;
use crate::tables::worker::Worker;

impl Scheduler {
    /// Whether a sweep has work for workers of this class, and every such worker is a suspect.
    pub(crate) fn is_open_to_suspects(&self, sweep: &Sweep, capabilities: &Capabilities) -> bool {
        sweep.has_work_for(capabilities) && self.fit_for(sweep).next().is_none()
    }

    /// Whether a trajectory failed or died on this worker, and another fit worker has not tried it yet.
    pub(crate) fn should_run_elsewhere(&self, id: WorkerId, sweep: &Sweep, index: TrajectoryIndex) -> bool {
        let (failed_on, died_on) = (sweep.failed_on.on(index), sweep.died_on.on(index));
        let has_tried = |worker: &WorkerId| failed_on.contains(worker) || died_on.contains(worker);
        has_tried(&id) && self.fit_for(sweep).any(|other| !has_tried(&other))
    }

    /// Notes an attempt that its worker lost or handed back. If it is fruitless, the worker may have to wait for its next grant.
    /// An attempt that its sweep's owner ended by a pause does not count.
    pub(crate) fn note_end(&mut self, now: Now, id: WorkerId, held: Held, updates: u64) {
        let sweep = self.sweep_mut(held.sweep);
        let (is_progress, is_running) =
            (sweep.progressed(held.trajectory, updates), sweep.row.state == SweepState::Running);
        if is_progress {
            self.note_progress(id, held.attempt);
        } else if is_running {
            self.update_worker(id, |worker| {
                worker.pause = worker.fruitless.count(now.tick, held.attempt).or(worker.pause);
            });
        }
    }

    /// Notes that an attempt of a worker is not fruitless.
    pub(crate) fn note_progress(&mut self, id: WorkerId, attempt: Attempt) {
        if self.workers.get(id).is_some_and(|worker| !worker.fruitless.is_none()) {
            self.update_worker(id, |worker| worker.fruitless.forget(attempt));
        }
    }

    /// Records the failure of a trajectory on a worker.
    pub(crate) fn note_failure(
        &mut self,
        now: Now,
        id: WorkerId,
        (sweep, trajectory): (SweepId, TrajectoryIndex),
        cause: &str,
        actions: &mut Vec<Action>,
    ) {
        let others = self.fit_for(&self.sweeps[&sweep]).any(|other| other != id);
        let its_sweep = self.sweep_mut(sweep);
        let by_several = its_sweep.failed_on.insert(trajectory, id) > 1;
        let similar = its_sweep.failures.note(cause, trajectory, id, others);
        if by_several {
            // The trajectory failed on several workers, so no worker is at fault.
            let failed_on = its_sweep.failed_on.on(trajectory).clone();
            self.excuse((sweep, trajectory), failed_on);
        } else {
            self.update_worker(id, |worker| worker.failing.unexplained.insert((sweep, trajectory)));
        }
        self.check_all = true;
        if let Some(count) = similar {
            let reason = format!("{count} trajectories failed with similar errors; the last error: {cause}");
            self.pause(now, sweep, Some(reason), actions);
        }
    }

    /// Records that a trajectory completed or diverged on a worker: the other workers that failed it are at fault.
    pub(crate) fn note_success(
        &mut self,
        now: Now,
        id: WorkerId,
        done: (SweepId, TrajectoryIndex),
        actions: &mut Vec<Action>,
    ) {
        let sweep = self.sweep_mut(done.0);
        sweep.failures.ended += 1;
        let failed_on = sweep.failed_on.remove(done.1);
        for &other in failed_on.iter().filter(|&&other| other != id) {
            self.confirm(now, other, done, actions);
        }
        // If the worker itself failed this trajectory before, no worker is at fault for that failure.
        self.excuse(done, failed_on.contains(&id).then_some(id));
        // A suspect that completes a trajectory which only it can train is not cleared of failures that others can explain.
        if self.workers.get(id).is_some_and(|worker| !self.can_be_judged(worker)) {
            self.end_streak(id);
        }
    }

    /// Drops a failed trajectory from the unexplained failures of these workers: no worker is at fault.
    pub(crate) fn excuse(&mut self, failed: (SweepId, TrajectoryIndex), workers: impl IntoIterator<Item = WorkerId>) {
        for id in workers {
            self.update_worker(id, |worker| worker.failing.unexplained.remove(&failed));
        }
    }

    /// Drops all failed trajectories of a sweep from the unexplained failures of their workers.
    pub(crate) fn excuse_all(&mut self, id: SweepId) {
        let Some(sweep) = self.sweeps.get(&id) else { return };
        for (trajectory, workers) in sweep.failed_on.all() {
            self.excuse((id, trajectory), workers);
        }
    }

    /// Whether other workers can still explain a failure of this suspect.
    fn can_be_judged(&self, worker: &Worker) -> bool {
        let fails_of = |sweep: &Sweep| {
            let all = (sweep.id(), TrajectoryIndex(0))..=(sweep.id(), TrajectoryIndex(u64::MAX));
            worker.failing.unexplained.range(all).next().is_some()
        };
        worker.failing.is_suspect()
            && self.sweeps.values().any(|sweep| fails_of(sweep) && self.fit_for(sweep).next().is_some())
    }

    /// Ends the streak of failures of a worker.
    pub(crate) fn end_streak(&mut self, id: WorkerId) {
        self.update_worker(id, |worker| worker.failing = Failing::default());
    }

    /// Counts a failure of this worker that another worker has completed; quarantines the worker after three.
    fn confirm(&mut self, now: Now, id: WorkerId, done: (SweepId, TrajectoryIndex), actions: &mut Vec<Action>) {
        let confirmed = self.update_worker(id, |worker| {
            worker.failing.confirmed += usize::from(worker.failing.unexplained.remove(&done));
            worker.failing.confirmed
        });
        // The worker may have left since its failure.
        let Some(confirmed) = confirmed else { return };
        if confirmed < STREAK || self.workers.quarantine_of(id).is_some() {
            return;
        }
        let reason = format!("the worker failed {confirmed} trajectories in a row that other workers completed");
        let worker_name = self.worker_name(id);
        self.workers.quarantine(id, reason.clone());
        self.update_worker(id, |_| ());
        let row = QuarantineRow { worker: id, worker_name, reason, at: now.wall };
        actions.push(Action::Persist(Record::Quarantined(row)));
        actions.push(Action::Notify(Notice::Changed(done.0)));
    }
}
