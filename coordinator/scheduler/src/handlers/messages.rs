//! Messages of workers, and the ends of their streams and processes.

use std::collections::{BTreeMap, BTreeSet};

use biosweep_common::protocol::messages::{Held, Hello, Progress, ToCoordinator, ToWorker};
use biosweep_common::results::outcome::Outcome;
use biosweep_common::vocabulary::ids::{Attempt, TrajectoryIndex, WorkerId};

use crate::event::{Action, Notice, Now};
use crate::scheduler::Scheduler;
use crate::tables::worker::Worker;

impl Scheduler {
    pub(crate) fn on_message(&mut self, now: Now, id: WorkerId, message: ToCoordinator, actions: &mut Vec<Action>) {
        if let ToCoordinator::Hello(hello) = message {
            return self.on_hello(now, hello, actions);
        }
        let deadline = now.tick.after_ms(self.timeouts.lease_ms);
        let is_known = self.update_worker(id, |worker| {
            worker.deadline = deadline;
            // A worker does not repeat a poll: a poll from before its silence is valid again.
            worker.is_silent = false;
            if let ToCoordinator::Poll { lanes } = message {
                worker.idle_lanes = lanes;
            }
        });
        // A worker may send messages after its goodbye.
        if is_known.is_none() {
            return;
        }
        match message {
            ToCoordinator::Hello(_) | ToCoordinator::Poll { .. } => {}
            ToCoordinator::Heartbeat { progress } => self.on_heartbeat(id, &progress, actions),
            ToCoordinator::Evaluated { attempt, trajectory, point } => {
                if let Some((sweep, lane)) = self.leases.lane_of(id, attempt, trajectory) {
                    lane.latest = Some(point);
                    lane.updates = lane.updates.max(point.update.min(lane.updates_max()));
                    actions.push(Action::Notify(Notice::Changed(sweep)));
                }
            }
            ToCoordinator::AttemptEnded(report) => self.on_attempt_ended(now, id, *report, actions),
            ToCoordinator::Goodbye => self.on_goodbye(now, id, Outcome::Preempted, "the worker left", actions),
        }
    }

    /// Handles the first message of a stream. A leased lane that the worker does not hold is pending again. A held lane without
    /// a lease is stopped.
    fn on_hello(&mut self, now: Now, hello: Hello, actions: &mut Vec<Action>) {
        let id = hello.worker;
        // Another coordinator may have used the same attempt numbers for other sweeps.
        let may_be_ours = |held: &&Held| self.leases.get(held.attempt).is_none_or(|lease| lease.sweep == held.sweep);
        let in_scope = hello.held.iter().filter(|held| !self.out_of_scope.has(held.sweep));
        let held: BTreeSet<_> = in_scope.filter(may_be_ours).map(|held| (held.attempt, held.trajectory)).collect();
        let mut worker = Worker::new(hello.description, true, now.tick.after_ms(self.timeouts.lease_ms));
        let mut cause = "the worker reconnected without this trajectory".to_owned();
        if let Some(mut before) = self.remove_worker(id) {
            cause = before.death.take().unwrap_or(cause);
            worker.continue_from(before, &held);
        }
        let accepted = worker.accepted.clone();
        self.add_worker(id, worker);
        self.notify_sweeps_without_workers(actions);
        let (store, epoch) = (self.store, self.epoch);
        let message = ToWorker::Welcome { heartbeat_ms: self.timeouts.heartbeat_ms, store, epoch };
        actions.push(Action::Send { worker: id, message });

        for (attempt, trajectory) in self.lanes_of_worker(id) {
            if !held.contains(&(attempt, trajectory)) {
                let cause = Some(cause.clone());
                self.end_without_result(now, attempt, trajectory, Outcome::WorkerLost, cause, actions);
            }
        }
        let unleased = self.unleased(id, held.into_iter().filter(|&report| !accepted.contains(report)));
        stop(id, unleased, actions);
        self.hand_back_paused_lanes(id, actions);
        if self.draining {
            let reason = "the coordinator is stopping".to_owned();
            actions.push(Action::Send { worker: id, message: ToWorker::Drain { reason } });
        }
    }

    fn on_heartbeat(&mut self, id: WorkerId, progress: &[Progress], actions: &mut Vec<Action>) {
        let mut changed = BTreeSet::new();
        for &Progress { attempt, trajectory, updates } in progress {
            if let Some((sweep, lane)) = self.leases.lane_of(id, attempt, trajectory) {
                lane.updates = updates.min(lane.updates_max());
                changed.insert(sweep);
            }
        }
        let held = progress.iter().map(|progress| (progress.attempt, progress.trajectory));
        let unleased = self.unleased(id, held);
        // A worker trains one bundle at a time. If it names several attempts, it is told of the others after later heartbeats: a
        // short message must not have a thousand answers.
        stop(id, unleased.into_iter().take(1), actions);
        actions.extend(changed.into_iter().map(|sweep| Action::Notify(Notice::Changed(sweep))));
    }

    /// The lanes that a worker holds without a lease, by attempt.
    fn unleased(
        &mut self,
        id: WorkerId,
        held: impl IntoIterator<Item = (Attempt, TrajectoryIndex)>,
    ) -> BTreeMap<Attempt, Vec<TrajectoryIndex>> {
        let mut fenced: BTreeMap<Attempt, Vec<TrajectoryIndex>> = BTreeMap::new();
        for (attempt, trajectory) in held {
            if self.leases.lane_of(id, attempt, trajectory).is_none() && !self.out_of_scope.has_attempt(attempt) {
                fenced.entry(attempt).or_default().push(trajectory);
            }
        }
        fenced
    }

    pub(crate) fn on_disconnected(&mut self, id: WorkerId) {
        self.update_worker(id, |worker| (worker.connected, worker.idle_lanes) = (false, 0));
    }

    /// Handles workers whose deadline has passed: they are lost. A worker that is still connected stays in the table, because it
    /// may send messages again.
    pub(crate) fn on_ticked(&mut self, now: Now, actions: &mut Vec<Action>) {
        self.end_pauses(now);
        if self.next_loss().is_none_or(|deadline| deadline > now.tick) {
            return;
        }
        while let Some((deadline, id)) = self.workers.next_deadline()
            && deadline <= now.tick
        {
            let silence = format!("no heartbeat for {} ms", self.timeouts.lease_ms);
            let next = now.tick.after_ms(self.timeouts.lease_ms);
            let (is_connected, death) = self
                .update_worker(id, |worker| {
                    worker.is_silent = worker.connected;
                    worker.deadline = next;
                    (worker.connected, worker.death.clone())
                })
                .expect("a worker with a deadline is known");
            self.take_back(now, id, Outcome::WorkerLost, &death.unwrap_or(silence), actions);
            if !is_connected {
                self.remove_worker(id);
            }
        }
        self.notify_sweeps_without_workers(actions);
    }

    /// Ends the pauses that are over.
    fn end_pauses(&mut self, now: Now) {
        while let Some((until, id)) = self.workers.next_end_of_pause()
            && until <= now.tick
        {
            self.update_worker(id, |worker| worker.pause = None);
        }
    }

    /// Handles a time without messages: every worker gets a new lease time to send one.
    pub(crate) fn on_awoke(&mut self, now: Now) {
        self.no_loss_before = now.tick.after_ms(self.timeouts.lease_ms);
    }

    /// Notifies the watchers of sweeps without workers, because the reason why a sweep waits names the connected workers.
    fn notify_sweeps_without_workers(&self, actions: &mut Vec<Action>) {
        let waiting = self.sweeps.values().filter(|sweep| sweep.can_grant() && sweep.usable_lanes == 0);
        actions.extend(waiting.map(|sweep| Action::Notify(Notice::Changed(sweep.id()))));
    }

    /// Handles the end of a worker's process. Until the reconnect grace is over, a new process may take over the worker's identity
    /// and the reports on its disk.
    pub(crate) fn on_died(&mut self, now: Now, id: WorkerId, cause: String) {
        let latest = now.tick.after_ms(self.timeouts.reconnect_grace_ms);
        self.on_disconnected(id);
        self.update_worker(id, |worker| {
            worker.death = Some(cause);
            worker.deadline = worker.deadline.min(latest);
        });
    }

    /// Removes a worker that leaves.
    fn on_goodbye(&mut self, now: Now, id: WorkerId, outcome: Outcome, cause: &str, actions: &mut Vec<Action>) {
        self.take_back(now, id, outcome, cause, actions);
        if self.workers.get(id).is_some_and(|worker| worker.fruitless.is_none()) {
            self.remove_worker(id);
        } else {
            // It would come back without its pause. It is forgotten after its lease time.
            self.on_disconnected(id);
        }
        self.notify_sweeps_without_workers(actions);
    }

    pub(crate) fn on_draining(&mut self, reason: &str, actions: &mut Vec<Action>) {
        self.draining = true;
        for (worker, _) in self.workers.iter().filter(|(_, worker)| worker.connected) {
            let message = ToWorker::Drain { reason: reason.to_owned() };
            actions.push(Action::Send { worker, message });
        }
    }

    /// Ends all attempts of a worker.
    fn take_back(&mut self, now: Now, id: WorkerId, outcome: Outcome, cause: &str, actions: &mut Vec<Action>) {
        for (attempt, trajectory) in self.lanes_of_worker(id) {
            self.end_without_result(now, attempt, trajectory, outcome, Some(cause.to_owned()), actions);
        }
    }

    fn lanes_of_worker(&self, id: WorkerId) -> Vec<(Attempt, TrajectoryIndex)> {
        let leases = self.leases.of_worker(id);
        leases.flat_map(|(attempt, lease)| lease.open.keys().map(move |&trajectory| (attempt, trajectory))).collect()
    }
}

/// Tells a worker to stop lanes.
fn stop(worker: WorkerId, lanes: impl IntoIterator<Item = (Attempt, Vec<TrajectoryIndex>)>, actions: &mut Vec<Action>) {
    for (attempt, trajectories) in lanes {
        let reason = "the lease expired; the trajectory runs on another worker or is done".to_owned();
        let message = ToWorker::Stop { attempt, trajectories, reason };
        actions.push(Action::Send { worker, message });
    }
}
