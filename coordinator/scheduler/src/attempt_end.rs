//! How attempts end: reports accepted or refused, results, retries.

use biosweep_common::ids::{Attempt, TrajectoryIndex, WorkerId};
use biosweep_common::outcome::Outcome;
use biosweep_common::protocol::messages::{Held, Report, ToWorker};
use biosweep_common::views::IncompleteAttempt;

use super::event::{Action, Notice, Now};
use super::failures::DEATHS_MAX;
use super::lease::OpenLane;
use super::reuse::TrainedSource;
use super::scheduler::Scheduler;
use super::sweep::{Completion, End, scores};
use crate::record::{Ending, Record};

impl Scheduler {
    /// A report of a trajectory's end: accepted only under the attempt that now holds it.
    pub(super) fn on_attempt_ended(&mut self, now: Now, id: WorkerId, report: Report, actions: &mut Vec<Action>) {
        if self.out_of_scope.has(report.held.sweep) {
            return self.leave_report(id, report.held, actions);
        }
        let (attempt, trajectory) = (report.held.attempt, report.held.trajectory);
        let leased = self.lane_mut(id, attempt, trajectory).is_some_and(|(sweep, _)| sweep == report.held.sweep);
        let worker = self.workers.get_mut(&id);
        let repeated = !leased && worker.as_ref().is_some_and(|worker| worker.has_accepted(attempt, trajectory));
        let (trajectories, accepted) = (vec![trajectory], leased || repeated);
        let message = ToWorker::Acknowledged { attempt, trajectories, accepted };
        if leased {
            worker.into_iter().for_each(|worker| worker.accept(attempt, trajectory));
            self.accept(now, id, report, actions);
        } else if !repeated {
            actions.push(Action::Persist(Record::Late {
                sweep: report.held.sweep,
                trajectory,
                attempt,
                worker: id,
                outcome: report.outcome,
                curve: report.curve,
                at: now.wall,
            }));
        }
        actions.push(Action::Send { worker: id, message });
    }

    fn accept(&mut self, now: Now, id: WorkerId, mut report: Report, actions: &mut Vec<Action>) {
        debug_assert_eq!(self.check_end(id, report.held), Ok(()));
        let (attempt, index) = (report.held.attempt, report.held.trajectory);
        let Some(lane) = self.leases.get(&attempt).and_then(|lease| lease.open.get(&index)) else { return };
        if report.outcome == Outcome::Completed && scores(&lane.trajectory, &report.curve).contains(&None) {
            report.outcome = Outcome::Failed;
            report.cause = Some("the reported learning curve ends before the trial does".to_owned());
        }
        let held = (report.held.sweep, index);
        let end = match report.outcome {
            Outcome::Completed | Outcome::Diverged => {
                self.note_success(now, id, held, actions);
                if report.outcome == Outcome::Completed { End::Completed } else { End::Diverged }
            }
            Outcome::Failed => {
                let cause = report.cause.clone().unwrap_or_default();
                let sweep = self.sweeps.get_mut(&held.0);
                if sweep.is_some_and(|sweep| sweep.may_retry_after_failure(index)) {
                    self.end_without_result(now, attempt, index, Outcome::Failed, report.cause, actions);
                    return self.note_failure(now, id, held, &cause, actions);
                }
                self.note_failure(now, id, held, &cause, actions);
                End::Failed
            }
            outcome @ (Outcome::Preempted | Outcome::WorkerLost | Outcome::Cancelled) => {
                return self.end_without_result(now, attempt, index, outcome, report.cause, actions);
            }
        };
        self.finish(now, id, report, end, actions);
    }

    /// A trajectory is done for good.
    fn finish(&mut self, now: Now, id: WorkerId, report: Report, end: End, actions: &mut Vec<Action>) {
        let Report { held, outcome, cause, curve, diagnostics, updates, seconds } = report;
        let worker_name = self.worker_name(id);
        let Some(lane) = self.close(held.attempt, held.trajectory) else { return };
        let Some(sweep) = self.sweeps.get_mut(&held.sweep) else { return };
        sweep.stopped(now.tick, &lane);
        // Nobody else will show whose fault it was; whoever completed it has.
        let failed_on = sweep.failed_on.remove(held.trajectory);
        let by = Completion { worker_name: &worker_name, updates, seconds };
        let results = sweep.finish(held.trajectory, &lane.trajectory, end, &curve, by);
        let ending = Ending {
            sweep: held.sweep,
            trajectory: held.trajectory,
            attempt: held.attempt,
            outcome,
            cause: cause.clone(),
            updates,
            at: now.wall,
            results,
            curve,
            diagnostics,
        };
        let source = TrainedSource {
            sweep: held.sweep,
            index: held.trajectory,
            trajectory: &lane.trajectory,
            curve: &ending.curve,
            worker_name: &worker_name,
        };
        let mut taken_over = Vec::new();
        if end != End::Failed {
            self.pass_on(now, source, &mut taken_over);
        }
        actions.push(Action::Persist(Record::Ended(Box::new(ending))));
        self.excuse((held.sweep, held.trajectory), failed_on);
        // They refer to what was just source.
        actions.append(&mut taken_over);
        self.unblock(lane.awaited_by);
        if end != End::Completed {
            let incomplete_attempt = IncompleteAttempt {
                trajectory: held.trajectory,
                attempt: held.attempt,
                worker_name,
                outcome,
                cause,
                at: now.wall,
            };
            actions.push(Action::Notify(Notice::IncompleteAttempt { sweep: held.sweep, incomplete_attempt }));
        }
        if !self.leave_if_finished(now, held.sweep, actions) {
            actions.push(Action::Notify(Notice::Changed(held.sweep)));
        }
    }

    /// An attempt is over and its trajectory waits again.
    pub(super) fn end_without_result(
        &mut self,
        now: Now,
        attempt: Attempt,
        trajectory: TrajectoryIndex,
        outcome: Outcome,
        cause: Option<String>,
        actions: &mut Vec<Action>,
    ) {
        let Some(lease) = self.leases.get(&attempt) else { return };
        let (id, worker) = (lease.sweep, lease.worker);
        let updates = lease.open.get(&trajectory).map_or(0, |lane| lane.updates);
        if outcome == Outcome::WorkerLost
            && let Some(sweep) = self.sweeps.get_mut(&id)
            && sweep.died_too_often(trajectory, updates)
        {
            let held = Held { sweep: id, attempt, trajectory };
            return self.give_up(now, worker, held, updates, cause.as_deref().unwrap_or_default(), actions);
        }
        let worker_name = self.worker_name(worker);
        let Some(lane) = self.close(attempt, trajectory) else { return };
        if let Some(sweep) = self.sweeps.get_mut(&id) {
            sweep.stopped(now.tick, &lane);
            sweep.put_back(trajectory, (outcome != Outcome::Failed).then_some(attempt));
            self.check_all = true;
        }
        self.unblock(lane.awaited_by);
        let incomplete_attempt =
            IncompleteAttempt { trajectory, attempt, worker_name, outcome, cause: cause.clone(), at: now.wall };
        let ending = Ending {
            sweep: id,
            trajectory,
            attempt,
            outcome,
            cause,
            updates,
            at: now.wall,
            results: Vec::new(),
            curve: Vec::new(),
            diagnostics: Vec::new(),
        };
        actions.push(Action::Persist(Record::Ended(Box::new(ending))));
        actions.push(Action::Notify(Notice::IncompleteAttempt { sweep: id, incomplete_attempt }));
        actions.push(Action::Notify(Notice::Changed(id)));
    }

    /// A trajectory whose workers die one after the other has failed: it may well be what kills them.
    fn give_up(
        &mut self,
        now: Now,
        id: WorkerId,
        held: Held,
        updates: u64,
        last_cause: &str,
        actions: &mut Vec<Action>,
    ) {
        let cause = format!("{DEATHS_MAX} workers died in a row while training it, the last one: {last_cause}");
        let report = Report {
            held,
            outcome: Outcome::Failed,
            cause: Some(cause),
            curve: Vec::new(),
            diagnostics: Vec::new(),
            updates,
            seconds: 0.0,
        };
        self.finish(now, id, report, End::Failed, actions);
    }

    fn close(&mut self, attempt: Attempt, trajectory: TrajectoryIndex) -> Option<OpenLane> {
        let lease = self.leases.get_mut(&attempt)?;
        let lane = lease.open.remove(&trajectory)?;
        let (ended, id, worker_id) = (lease.open.is_empty(), lease.sweep, lease.worker);
        if let Some(worker) = self.workers.get_mut(&worker_id) {
            worker.open -= 1;
            if ended {
                worker.leases.remove(&attempt);
            }
        }
        self.update_status(worker_id);
        if ended {
            self.leases.remove(&attempt);
            if let Some(sweep) = self.sweeps.get_mut(&id) {
                sweep.leases.remove(&attempt);
            }
        }
        Some(lane)
    }
}
