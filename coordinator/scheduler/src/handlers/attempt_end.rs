//! The ends of attempts: reports accepted or refused, results, retries.

use std::sync::Arc;

use biosweep_common::protocol::bounds::{LANES_MAX, shortened};
use biosweep_common::protocol::messages::{Held, Report, ToWorker};
use biosweep_common::results::outcome::Outcome;
use biosweep_common::results::views::IncompleteAttempt;
use biosweep_common::vocabulary::dataset::DatasetRef;
use biosweep_common::vocabulary::ids::{Attempt, TrajectoryIndex, WorkerId};

use crate::event::{Action, Notice, Now};
use crate::policies::reuse::TrainedSource;
use crate::record::{DatasetRow, Ending, Record};
use crate::scheduler::Scheduler;
use crate::tables::failures::DEATHS_MAX;
use crate::tables::sweep::{Completion, End, scores};

/// Maximum number of late reports of one worker that are kept: one for each trajectory that it can train at once.
const LATE_REPORTS_MAX: u32 = LANES_MAX;
/// Maximum number of evaluations of a late report. A longer curve is not kept with it.
const LATE_POINTS_MAX: usize = 1_000;
/// Maximum bytes of the cause of an attempt without a result that is no failure. There may be any number of them.
const CAUSE_BYTES_MAX: usize = 500;

impl Scheduler {
    /// Handles the report of a trajectory's end. It is accepted only under the attempt that now holds the trajectory.
    pub(crate) fn on_attempt_ended(&mut self, now: Now, id: WorkerId, report: Report, actions: &mut Vec<Action>) {
        if self.out_of_scope.has(report.held.sweep) {
            return self.decline_report(id, report.held, actions);
        }
        let (attempt, trajectory) = (report.held.attempt, report.held.trajectory);
        let lane = self.leases.lane_of(id, attempt, trajectory);
        let leased = lane.is_some_and(|(sweep, _)| sweep == report.held.sweep);
        let worker = self.workers.get(id);
        let repeated = !leased && worker.is_some_and(|worker| worker.has_accepted(attempt, trajectory));
        let (trajectories, accepted) = (vec![trajectory], leased || repeated);
        let message = ToWorker::Acknowledged { attempt, trajectories, accepted };
        if leased {
            self.workers.accept(id, attempt, trajectory);
            self.accept(now, id, report, actions);
        } else if !repeated {
            self.keep_late(now, id, report, actions);
        }
        actions.push(Action::Send { worker: id, message });
    }

    /// Keeps a late report as evidence, if it may be of an attempt that was granted: the store knows which worker it was granted to,
    /// and leaves out all others. What is not kept is acknowledged all the same.
    fn keep_late(&mut self, now: Now, id: WorkerId, report: Report, actions: &mut Vec<Action>) {
        let kept = self.workers.get(id).map_or(LATE_REPORTS_MAX, |worker| worker.late_reports);
        if report.held.attempt.0 > self.last_attempt || kept >= LATE_REPORTS_MAX {
            return;
        }
        self.update_worker(id, |worker| worker.late_reports += 1);
        let Report { held: Held { sweep, attempt, trajectory }, outcome, mut curve, .. } = report;
        if curve.len() > LATE_POINTS_MAX {
            curve = Vec::new();
        }
        actions.push(Action::Persist(Record::Late {
            sweep,
            trajectory,
            attempt,
            worker: id,
            outcome,
            curve,
            at: now.wall,
        }));
    }

    fn accept(&mut self, now: Now, id: WorkerId, mut report: Report, actions: &mut Vec<Action>) {
        debug_assert_eq!(self.check_end(id, report.held), Ok(()));
        let (attempt, index) = (report.held.attempt, report.held.trajectory);
        let (_, lane) = self.leases.lane_of(id, attempt, index).expect("an accepted report has its lane");
        // A faulty worker may report a completed trajectory with a curve that is too short.
        if report.outcome == Outcome::Completed && scores(&lane.trajectory, &report.curve).contains(&None) {
            report.outcome = Outcome::Failed;
            report.cause = Some("the reported learning curve ends before the trial does".to_owned());
        }
        let updates_max = lane.updates_max();
        if report.updates > updates_max {
            let cause =
                format!("{} updates were reported, but the trajectory has at most {updates_max}", report.updates);
            report = Report { outcome: Outcome::Failed, cause: Some(cause), updates: updates_max, ..report };
        }
        let evaluations_max = lane.evaluations_max();
        let layers = u64::from(lane.trajectory.shape.depth) + 1;
        let values_max = evaluations_max * layers * self.sweep_mut(report.held.sweep).spec.measures.len() as u64;
        let (evaluations, values) = (report.curve.len() as u64, report.diagnostics.len() as u64);
        if evaluations > evaluations_max || values > values_max {
            let cause = format!(
                "{evaluations} evaluations and {values} diagnostics were reported, but the trajectory has at most {evaluations_max} \
                 evaluations"
            );
            let (curve, diagnostics) = (Vec::new(), Vec::new());
            report = Report { outcome: Outcome::Failed, cause: Some(cause), curve, diagnostics, ..report };
        }
        let held = (report.held.sweep, index);
        let end = match report.outcome {
            Outcome::Completed | Outcome::Diverged => {
                self.note_progress(id, attempt);
                self.note_success(now, id, held, actions);
                if report.outcome == Outcome::Completed { End::Completed } else { End::Diverged }
            }
            Outcome::Failed => {
                let cause = report.cause.clone().unwrap_or_default();
                if self.sweep_mut(held.0).may_retry_after_failure(index) {
                    self.end_without_result(now, attempt, index, Outcome::Failed, report.cause, actions);
                    return self.note_failure(now, id, held, &cause, actions);
                }
                self.note_failure(now, id, held, &cause, actions);
                End::Failed
            }
            outcome @ (Outcome::Preempted | Outcome::WorkerLost | Outcome::Cancelled) => {
                let cause = report.cause.map(|cause| shortened(cause, CAUSE_BYTES_MAX));
                return self.end_without_result(now, attempt, index, outcome, cause, actions);
            }
        };
        self.finish(now, id, report, end, actions);
    }

    /// Ends a trajectory with its final results.
    fn finish(&mut self, now: Now, id: WorkerId, report: Report, end: End, actions: &mut Vec<Action>) {
        let Report { held, outcome, cause, curve, diagnostics, updates, seconds, dataset_size, .. } = report;
        let worker_name = self.worker_name(id);
        let environment = self.workers.get(id).map(|worker| Arc::clone(&worker.description.environment));
        let lane = self.close_lane(now, held.attempt, held.trajectory);
        let sweep = self.sweep_mut(held.sweep);
        // No further attempt will show which worker is at fault. If the trajectory completed, that has been shown already.
        let failed_on = sweep.failed_on.remove(held.trajectory);
        let by = Completion { worker_name: &worker_name, environment: environment.as_ref(), updates, seconds };
        let results = sweep.finish(held.trajectory, &lane.trajectory, end, &curve, by);
        let dataset = match (&lane.trajectory.shape.dataset, dataset_size) {
            (custom @ DatasetRef::Custom(_), Some(size)) => {
                Some(DatasetRow { digest: custom.digest().into_owned(), size })
            }
            _ => None,
        };
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
            dataset,
        };
        let source = TrainedSource {
            sweep: held.sweep,
            index: held.trajectory,
            trajectory: &lane.trajectory,
            curve: &ending.curve,
            worker_name: &worker_name,
            environment: environment.as_ref(),
        };
        let mut taken_over = Vec::new();
        if end != End::Failed {
            self.pass_on(now, source, &mut taken_over);
        }
        actions.push(Action::Persist(Record::Ended(Box::new(ending))));
        self.excuse((held.sweep, held.trajectory), failed_on);
        // The records of reused results refer to the ending, so they come after it.
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
        if !self.remove_if_finished(now, held.sweep, actions) {
            actions.push(Action::Notify(Notice::Changed(held.sweep)));
        }
    }

    /// Ends an attempt without a result. The trajectory is pending again.
    pub(crate) fn end_without_result(
        &mut self,
        now: Now,
        attempt: Attempt,
        trajectory: TrajectoryIndex,
        outcome: Outcome,
        cause: Option<String>,
        actions: &mut Vec<Action>,
    ) {
        let lease = self.leases.get(attempt).unwrap_or_else(|| panic!("attempt {attempt} ends and has no lease"));
        let (id, worker) = (lease.sweep, lease.worker);
        let updates = lease.open[&trajectory].updates;
        let held = Held { sweep: id, attempt, trajectory };
        if matches!(outcome, Outcome::WorkerLost | Outcome::Preempted) {
            self.note_end(now, worker, held, updates);
        }
        if outcome == Outcome::WorkerLost && self.sweep_mut(id).died_too_often(trajectory, updates, Some(worker)) {
            return self.give_up(now, worker, held, updates, cause.as_deref().unwrap_or_default(), actions);
        }
        let worker_name = self.worker_name(worker);
        let lane = self.close_lane(now, attempt, trajectory);
        self.sweep_mut(id).put_back(trajectory, (outcome != Outcome::Failed).then_some(attempt));
        self.check_all = true;
        self.unblock(lane.awaited_by);
        let incomplete_attempt =
            IncompleteAttempt { trajectory, attempt, worker_name, outcome, cause: cause.clone(), at: now.wall };
        let ending = Ending { cause, updates, ..Ending::without_result(held, outcome, now.wall) };
        actions.push(Action::Persist(Record::Ended(Box::new(ending))));
        actions.push(Action::Notify(Notice::IncompleteAttempt { sweep: id, incomplete_attempt }));
        actions.push(Action::Notify(Notice::Changed(id)));
    }

    /// Fails a trajectory whose workers died too often: the trajectory may be the cause of their deaths.
    fn give_up(
        &mut self,
        now: Now,
        id: WorkerId,
        held: Held,
        updates: u64,
        last_cause: &str,
        actions: &mut Vec<Action>,
    ) {
        let cause =
            format!("{DEATHS_MAX} workers in a row died while training this trajectory; the last cause: {last_cause}");
        let report = Report {
            held,
            outcome: Outcome::Failed,
            cause: Some(cause),
            curve: Vec::new(),
            diagnostics: Vec::new(),
            updates,
            seconds: 0.0,
            dataset_size: None,
            traceparent: None,
        };
        self.finish(now, id, report, End::Failed, actions);
    }
}
