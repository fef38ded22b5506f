//! Commands of users: submit, extend, cancel, pause, resume, retry, note and delete a sweep, release a worker from quarantine.
//! A repeated command has no further effect.

use std::sync::Arc;

use biosweep_common::protocol::messages::{Held, ToWorker};
use biosweep_common::results::outcome::{Outcome, SweepState};
use biosweep_common::vocabulary::ids::{Attempt, SweepId, TrajectoryIndex, WorkerId};

use crate::event::{Action, Extended, Notice, Now};
use crate::record::{Ending, Record, RestoredSweep, ReusedRow, Submission};
use crate::scheduler::Scheduler;
use crate::tables::out_of_scope::OpenLeases;
use crate::tables::pending::PreparedSpec;
use crate::tables::sweep::Sweep;

impl Scheduler {
    pub(crate) fn on_submitted(
        &mut self,
        now: Now,
        submission: Submission,
        prepared: PreparedSpec,
        reused: Arc<[ReusedRow]>,
        actions: &mut Vec<Action>,
    ) {
        let sweep = submission.id;
        actions.push(Action::Persist(Record::Submitted(submission.clone())));
        actions.push(Action::Notify(Notice::Changed(sweep)));
        self.add_sweep(Sweep::new(submission, prepared));
        self.take_over(sweep, reused, actions);
        self.remove_if_finished(now, sweep, actions);
    }

    /// Adds a sweep to the table.
    pub(crate) fn add_sweep(&mut self, mut sweep: Sweep) {
        let id = sweep.id();
        sweep.usable_lanes = self.usable_lanes(&sweep);
        self.sweeps.insert(id, sweep);
        self.note_overlaps(id);
        self.check_all = true;
    }

    /// Adds trials to a sweep. A finished sweep is restored from `finished` and runs again; a paused sweep stays paused.
    pub(crate) fn on_extended(&mut self, now: Now, id: SweepId, extended: Extended, actions: &mut Vec<Action>) {
        let Extended { extension, prepared, finished, reused } = extended;
        if let Some(restored) = finished
            && !self.sweeps.contains_key(&id)
        {
            self.add_sweep(Sweep::restored(&restored, prepared.clone()));
        }
        // The sweep may have finished since the caller read its state.
        let Some(sweep) = self.sweeps.get_mut(&id) else { return };
        let grid = &prepared.spec.grid;
        let (trials, trajectories) = (grid.trials(), grid.trajectories());
        sweep.extend(extension.clone(), prepared);
        actions.push(Action::Persist(Record::Extended { sweep: id, extension, trials, trajectories }));
        if sweep.row.state == SweepState::Finished {
            self.change_state(now, id, SweepState::Running, None, actions);
        }
        self.note_overlaps(id);
        self.take_over(id, reused, actions);
        self.remove_if_finished(now, id, actions);
        self.check_all = true;
        actions.push(Action::Notify(Notice::Changed(id)));
    }

    pub(crate) fn on_cancelled(&mut self, now: Now, id: SweepId, actions: &mut Vec<Action>) {
        if let Some(open) = self.out_of_scope.remove(id) {
            return self.cancel_out_of_scope(now, id, open, actions);
        }
        if !self.sweeps.contains_key(&id) {
            return;
        }
        for (worker, attempt, trajectories) in self.leased_of(id) {
            let reason = "the sweep was cancelled".to_owned();
            let message = ToWorker::Stop { attempt, trajectories: trajectories.clone(), reason };
            actions.push(Action::Send { worker, message });
            for trajectory in trajectories {
                self.end_without_result(now, attempt, trajectory, Outcome::Cancelled, None, actions);
            }
        }
        self.change_state(now, id, SweepState::Cancelled, None, actions);
        self.excuse_all(id);
        self.forget_overlaps(id);
        self.sweeps.remove(&id);
    }

    /// Cancels a sweep that this coordinator does not work on. Workers that train its trajectories are told to stop at their next
    /// heartbeat.
    fn cancel_out_of_scope(&mut self, now: Now, id: SweepId, open: OpenLeases, actions: &mut Vec<Action>) {
        for (attempt, trajectories) in open {
            for trajectory in trajectories {
                let held = Held { sweep: id, attempt, trajectory };
                let ending = Ending::without_result(held, Outcome::Cancelled, now.wall);
                actions.push(Action::Persist(Record::Ended(Box::new(ending))));
            }
        }
        self.change_state(now, id, SweepState::Cancelled, None, actions);
    }

    /// Pauses a sweep for its owner.
    pub(crate) fn on_paused(&mut self, now: Now, id: SweepId, actions: &mut Vec<Action>) {
        self.pause(now, id, None, actions);
    }

    /// Pauses a sweep: its workers hand back all lanes, with checkpoints, and no trajectory of it is granted.
    pub(crate) fn pause(&mut self, now: Now, id: SweepId, reason: Option<String>, actions: &mut Vec<Action>) {
        if self.sweeps.get(&id).is_none_or(|sweep| sweep.row.state != SweepState::Running) {
            return;
        }
        for (worker, attempt, trajectories) in self.leased_of(id) {
            actions.push(hand_back(worker, attempt, trajectories));
        }
        self.change_state(now, id, SweepState::Paused, reason, actions);
        self.excuse_all(id);
    }

    /// Asks a worker that connects to hand back the lanes of paused sweeps: it may have missed the pause.
    pub(crate) fn hand_back_paused_lanes(&self, id: WorkerId, actions: &mut Vec<Action>) {
        let paused =
            self.leases.of_worker(id).filter(|(_, lease)| self.sweeps[&lease.sweep].row.state == SweepState::Paused);
        actions.extend(paused.map(|(attempt, lease)| hand_back(id, attempt, lease.trajectories())));
    }

    /// Resumes a paused sweep. The failures that paused it do not pause it again.
    pub(crate) fn on_resumed(&mut self, now: Now, id: SweepId, actions: &mut Vec<Action>) {
        let Some(sweep) = self.sweeps.get_mut(&id).filter(|sweep| sweep.row.state == SweepState::Paused) else {
            return;
        };
        sweep.failures.tolerate();
        let mixed_numerics_reason = sweep.mixed_numerics_reason();
        self.change_state(now, id, SweepState::Running, mixed_numerics_reason, actions);
    }

    /// Retries failed trajectories, each with the number of its attempts so far. A finished sweep is restored from `finished`
    /// and runs again.
    pub(crate) fn on_retried(
        &mut self,
        now: Now,
        id: SweepId,
        finished: Option<(RestoredSweep, PreparedSpec)>,
        failures: &[(TrajectoryIndex, u32)],
        reused: Arc<[ReusedRow]>,
        actions: &mut Vec<Action>,
    ) {
        if let Some((restored, prepared)) = finished
            && !failures.is_empty()
            && !self.sweeps.contains_key(&id)
        {
            self.add_sweep(Sweep::restored(&restored, prepared));
        }
        let Some(sweep) = self.sweeps.get_mut(&id) else { return };
        let trajectories = sweep.retry(failures);
        if trajectories.is_empty() {
            return;
        }
        actions.push(Action::Persist(Record::Retried { sweep: id, trajectories }));
        if sweep.row.state == SweepState::Finished {
            sweep.failures.reset();
            self.change_state(now, id, SweepState::Running, None, actions);
        }
        self.take_over(id, reused, actions);
        self.remove_if_finished(now, id, actions);
        self.await_others(id);
        self.check_all = true;
        actions.push(Action::Notify(Notice::Changed(id)));
    }

    /// Writes or removes the note of a sweep. A sweep that is not in the table has ended or is out of scope; only its stored
    /// note changes.
    pub(crate) fn on_noted(&mut self, id: SweepId, note: Option<String>, actions: &mut Vec<Action>) {
        let is_unchanged = match self.sweeps.get_mut(&id) {
            Some(sweep) if sweep.row.note == note => true,
            Some(sweep) => {
                sweep.row.note.clone_from(&note);
                false
            }
            None => self.deleted.contains(&id),
        };
        if !is_unchanged {
            actions.push(Action::Persist(Record::Noted { sweep: id, note }));
            actions.push(Action::Notify(Notice::Changed(id)));
        }
    }

    /// Deletes a sweep. A sweep in the table has not ended, and is not deleted.
    pub(crate) fn on_deleted(&mut self, id: SweepId, actions: &mut Vec<Action>) {
        if !self.sweeps.contains_key(&id) && self.deleted.insert(id) {
            actions.push(Action::Persist(Record::Deleted(id)));
        }
    }

    /// Releases a worker from quarantine.
    pub(crate) fn on_released(&mut self, id: WorkerId, actions: &mut Vec<Action>) {
        if self.workers.end_quarantine(id) {
            self.end_streak(id);
            actions.push(Action::Persist(Record::Released(id)));
        }
    }

    pub(crate) fn change_state(
        &mut self,
        now: Now,
        id: SweepId,
        state: SweepState,
        reason: Option<String>,
        actions: &mut Vec<Action>,
    ) {
        if let Some(sweep) = self.sweeps.get_mut(&id) {
            (sweep.row.state, sweep.row.state_at) = (state, now.wall);
            sweep.is_active &= state == SweepState::Running;
            sweep.row.reason.clone_from(&reason);
            self.check_all = true;
        }
        actions.push(Action::Persist(Record::StateChanged { sweep: id, state, reason, at: now.wall }));
        actions.push(Action::Notify(Notice::StateChanged(id)));
    }

    fn leased_of(&self, id: SweepId) -> Vec<(WorkerId, Attempt, Vec<TrajectoryIndex>)> {
        self.leases.of_sweep(id).map(|(attempt, lease)| (lease.worker, attempt, lease.trajectories())).collect()
    }
}

fn hand_back(worker: WorkerId, attempt: Attempt, trajectories: Vec<TrajectoryIndex>) -> Action {
    let reason = "the sweep was paused".to_owned();
    Action::Send { worker, message: ToWorker::HandBack { attempt, trajectories, reason } }
}
