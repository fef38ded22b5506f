//! What a sweep's owner asks for: submit, extend, cancel, pause, resume, retry, delete, and letting a worker out of quarantine.
//! Asking twice is asking once.

use std::sync::Arc;

use biosweep_common::ids::{Attempt, SweepId, TrajectoryIndex, WorkerId};
use biosweep_common::outcome::{Outcome, SweepState};
use biosweep_common::protocol::messages::ToWorker;
use biosweep_common::spec::SweepSpec;

use super::event::{Action, Extended, Notice, Now};
use super::scheduler::Scheduler;
use super::sweep::Sweep;
use crate::record::{Record, RestoredSweep, ReusedRow, Submission};

impl Scheduler {
    pub(super) fn submit(
        &mut self,
        now: Now,
        submission: Submission,
        spec: Arc<SweepSpec>,
        reused: Arc<[ReusedRow]>,
        actions: &mut Vec<Action>,
    ) {
        let sweep = submission.id;
        actions.push(Action::Persist(Record::Submitted(submission.clone())));
        actions.push(Action::Notify(Notice::Changed(sweep)));
        self.add_sweep(Sweep::new(submission, spec));
        self.take_over(sweep, reused, actions);
        self.leave_if_finished(now, sweep, actions);
    }

    /// Takes a sweep in.
    pub(super) fn add_sweep(&mut self, mut sweep: Sweep) {
        let id = sweep.id();
        sweep.lanes_there = self.lanes_there(&sweep);
        self.sweeps.insert(id, sweep);
        self.note_overlaps(id);
        self.check_all = true;
    }

    /// Adds trials to a sweep. One that has finished is not here, and runs again; one that is paused stays so.
    pub(super) fn extend(&mut self, now: Now, id: SweepId, extended: Extended, actions: &mut Vec<Action>) {
        let Extended { extension, spec, finished, reused } = extended;
        if let Some(restored) = finished
            && !self.sweeps.contains_key(&id)
        {
            self.add_sweep(Sweep::restored(&restored, Arc::clone(&spec)));
        }
        let Some(sweep) = self.sweeps.get_mut(&id) else { return };
        let (trials, trajectories) = (spec.grid.trials(), spec.grid.trajectories());
        sweep.extend(extension.clone(), spec);
        actions.push(Action::Persist(Record::Extended { sweep: id, extension, trials, trajectories }));
        if sweep.row.state == SweepState::Finished {
            self.change_state(now, id, SweepState::Running, None, actions);
        }
        self.note_overlaps(id);
        self.take_over(id, reused, actions);
        self.leave_if_finished(now, id, actions);
        self.check_all = true;
        actions.push(Action::Notify(Notice::Changed(id)));
    }

    pub(super) fn cancel(&mut self, now: Now, id: SweepId, actions: &mut Vec<Action>) {
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

    /// Takes everything back from the workers, with checkpoints, and grants nothing more.
    pub(super) fn pause(&mut self, now: Now, id: SweepId, reason: Option<String>, actions: &mut Vec<Action>) {
        if self.sweeps.get(&id).is_none_or(|sweep| sweep.row.state != SweepState::Running) {
            return;
        }
        for (worker, attempt, trajectories) in self.leased_of(id) {
            actions.push(hand_back(worker, attempt, trajectories));
        }
        self.change_state(now, id, SweepState::Paused, reason, actions);
        self.excuse_all(id);
    }

    /// Asks a worker whose stream opens for what was paused while it could not hear of it.
    pub(super) fn take_back_what_is_paused(&mut self, id: WorkerId, actions: &mut Vec<Action>) {
        let Some(worker) = self.workers.get(&id) else { return };
        let is_paused =
            |sweep| self.sweeps.get(sweep).is_some_and(|sweep: &Sweep| sweep.row.state == SweepState::Paused);
        let leases = worker.leases.iter().filter_map(|attempt| Some((*attempt, self.leases.get(attempt)?)));
        let paused = leases.filter(|(_, lease)| is_paused(&lease.sweep));
        actions.extend(paused.map(|(attempt, lease)| hand_back(id, attempt, lease.open.keys().copied().collect())));
    }

    /// Goes on with a paused sweep. A failure that paused it is not taken for a reason to do so again.
    pub(super) fn resume(&mut self, now: Now, id: SweepId, actions: &mut Vec<Action>) {
        let Some(sweep) = self.sweeps.get_mut(&id).filter(|sweep| sweep.row.state == SweepState::Paused) else {
            return;
        };
        sweep.failures.tolerate();
        let mixes = sweep.mixes();
        self.change_state(now, id, SweepState::Running, mixes, actions);
    }

    /// Tries trajectories again that failed for good, each with the attempts it had. A sweep that has finished is not
    /// here: then `finished` is what the store knows of it.
    pub(super) fn retry(
        &mut self,
        now: Now,
        id: SweepId,
        finished: Option<(RestoredSweep, Arc<SweepSpec>)>,
        failures: &[(TrajectoryIndex, u32)],
        reused: Arc<[ReusedRow]>,
        actions: &mut Vec<Action>,
    ) {
        if let Some((restored, spec)) = finished
            && !failures.is_empty()
            && !self.sweeps.contains_key(&id)
        {
            self.add_sweep(Sweep::restored(&restored, spec));
        }
        let Some(sweep) = self.sweeps.get_mut(&id) else { return };
        let trajectories = sweep.retry(failures);
        if trajectories.is_empty() {
            return;
        }
        actions.push(Action::Persist(Record::Retried { sweep: id, trajectories }));
        if sweep.row.state == SweepState::Finished {
            sweep.failures.begin_anew();
            self.change_state(now, id, SweepState::Running, None, actions);
        }
        self.take_over(id, reused, actions);
        self.leave_if_finished(now, id, actions);
        self.await_others(id);
        self.check_all = true;
        actions.push(Action::Notify(Notice::Changed(id)));
    }

    /// Has a sweep deleted. One that is here has not ended, and stays.
    pub(super) fn delete(&mut self, id: SweepId, actions: &mut Vec<Action>) {
        if !self.sweeps.contains_key(&id) && self.deleted.insert(id) {
            actions.push(Action::Persist(Record::Deleted(id)));
        }
    }

    /// Lets a worker work again.
    pub(super) fn release_worker(&mut self, id: WorkerId, actions: &mut Vec<Action>) {
        if self.quarantined.contains_key(&id) {
            self.quarantined.remove(&id);
            self.clear(id);
            actions.push(Action::Persist(Record::Released(id)));
        }
    }

    pub(super) fn change_state(
        &mut self,
        now: Now,
        id: SweepId,
        state: SweepState,
        reason: Option<String>,
        actions: &mut Vec<Action>,
    ) {
        if let Some(sweep) = self.sweeps.get_mut(&id) {
            sweep.row.state = state;
            sweep.is_active &= state == SweepState::Running;
            sweep.row.reason.clone_from(&reason);
            self.check_all = true;
        }
        actions.push(Action::Persist(Record::StateChanged { sweep: id, state, reason, at: now.wall }));
        actions.push(Action::Notify(Notice::StateChanged(id)));
    }

    fn leased_of(&self, id: SweepId) -> Vec<(WorkerId, Attempt, Vec<TrajectoryIndex>)> {
        let Some(sweep) = self.sweeps.get(&id) else { return Vec::new() };
        let leases = sweep.leases.iter().filter_map(|attempt| Some((*attempt, self.leases.get(attempt)?)));
        leases.map(|(attempt, lease)| (lease.worker, attempt, lease.open.keys().copied().collect())).collect()
    }
}

fn hand_back(worker: WorkerId, attempt: Attempt, trajectories: Vec<TrajectoryIndex>) -> Action {
    let reason = "the sweep was paused".to_owned();
    Action::Send { worker, message: ToWorker::HandBack { attempt, trajectories, reason } }
}
