//! What is measured on the stream of one worker: how long it waits for grants, and its training updates.

use std::collections::BTreeMap;

use biosweep_common::protocol::messages::{Hello, ToCoordinator, ToWorker};
use biosweep_common::vocabulary::ids::{Attempt, SweepId, TrajectoryIndex};

use super::Metrics;

/// The measurements on the current stream of a worker.
#[derive(Debug, Default)]
pub(crate) struct Session {
    /// When the worker asked for work; `None` if it has got it.
    asked_s: Option<f64>,
    /// The updates that are counted of each trajectory in training; `None` until the first report of one that was trained before.
    counted: BTreeMap<(Attempt, TrajectoryIndex), Option<u64>>,
}

impl Session {
    /// The measurements on a new stream. The trajectories that the worker presents were trained before.
    pub(crate) fn new(hello: &Hello) -> Self {
        let held = hello.held.iter().map(|held| ((held.attempt, held.trajectory), None));
        Self { asked_s: None, counted: held.collect() }
    }

    /// Measures a message of the worker.
    pub(crate) fn on_received(&mut self, metrics: &Metrics, now_s: f64, message: &ToCoordinator) {
        match message {
            ToCoordinator::Poll { lanes } => self.asked_s = (*lanes > 0).then_some(now_s),
            ToCoordinator::Heartbeat { progress } => {
                for progress in progress {
                    self.count(metrics, (progress.attempt, progress.trajectory), progress.updates);
                }
            }
            ToCoordinator::Evaluated { attempt, trajectory, point } => {
                self.count(metrics, (*attempt, *trajectory), point.update);
            }
            ToCoordinator::AttemptEnded(report) => {
                let lane = (report.held.attempt, report.held.trajectory);
                self.count(metrics, lane, report.updates);
                self.counted.remove(&lane);
            }
            ToCoordinator::Hello(_) | ToCoordinator::Goodbye => {}
        }
    }

    /// Measures the messages that are sent to the worker. `is_first` says whether a trajectory is granted for the first time.
    pub(crate) fn on_sent(
        &mut self,
        metrics: &Metrics,
        now_s: f64,
        messages: &[ToWorker],
        is_first: impl Fn(SweepId, TrajectoryIndex) -> bool,
    ) {
        for message in messages {
            match message {
                ToWorker::Grant(grant) => {
                    if let Some(asked_s) = self.asked_s.take() {
                        metrics.lease_seconds.observe(now_s - asked_s);
                    }
                    self.counted.extend(grant.lanes.iter().map(|lane| {
                        // A trajectory that was granted before may continue from a checkpoint.
                        let start = is_first(grant.sweep, lane.trajectory).then_some(0);
                        ((grant.attempt, lane.trajectory), start)
                    }));
                }
                ToWorker::Stop { attempt, trajectories, .. } => {
                    for &trajectory in trajectories {
                        self.counted.remove(&(*attempt, trajectory));
                    }
                }
                _ => {}
            }
        }
    }

    /// Counts the updates since the last report of a lane.
    fn count(&mut self, metrics: &Metrics, lane: (Attempt, TrajectoryIndex), updates: u64) {
        let Some(counted) = self.counted.get_mut(&lane) else { return };
        let before = counted.unwrap_or(updates);
        metrics.updates.inc_by(updates.saturating_sub(before));
        *counted = Some(before.max(updates));
    }
}

#[cfg(test)]
mod tests {
    use biosweep_common::protocol::messages::{Held, Progress, Report, WorkerDescription};
    use biosweep_common::results::outcome::Outcome;
    use biosweep_common::vocabulary::ids::WorkerId;
    use biosweep_host::clock::Clock;
    use uuid::Uuid;

    use super::*;

    const LANE: (Attempt, TrajectoryIndex) = (Attempt(1), TrajectoryIndex(7));

    fn held() -> Held {
        Held { sweep: SweepId(Uuid::nil()), attempt: LANE.0, trajectory: LANE.1 }
    }

    fn progress(updates: u64) -> ToCoordinator {
        ToCoordinator::Heartbeat { progress: vec![Progress { attempt: LANE.0, trajectory: LANE.1, updates }] }
    }

    fn ended(updates: u64) -> ToCoordinator {
        ToCoordinator::AttemptEnded(Box::new(Report {
            held: held(),
            outcome: Outcome::Completed,
            cause: None,
            curve: Vec::new(),
            diagnostics: Vec::new(),
            updates,
            seconds: 1.0,
            dataset_size: None,
            traceparent: None,
        }))
    }

    /// The updates that are counted when a lane starts at a number of updates and these messages arrive.
    fn counted(start: Option<u64>, messages: &[ToCoordinator]) -> u64 {
        let metrics = Metrics::new(Clock::start());
        let mut session = Session { asked_s: None, counted: BTreeMap::from([(LANE, start)]) };
        messages.iter().for_each(|message| session.on_received(&metrics, 0.0, message));
        metrics.updates.get()
    }

    #[test]
    fn each_update_is_counted_once_whatever_is_repeated_or_late() {
        let messages = [progress(10), progress(5), progress(10), progress(30), ended(40), ended(40), progress(50)];
        assert_eq!(counted(Some(0), &messages), 40);
    }

    #[test]
    fn the_updates_before_a_checkpoint_are_not_counted_again() {
        assert_eq!(counted(None, &[progress(500), progress(510), ended(600)]), 100);
    }

    #[test]
    fn what_a_worker_presents_on_a_new_stream_was_trained_before() {
        let (worker, description) = (WorkerId(Uuid::nil()), WorkerDescription::default());
        let hello = Hello { worker, description, numerics_version: 1, held: vec![held()] };
        let (metrics, mut session) = (Metrics::new(Clock::start()), Session::new(&hello));
        session.on_received(&metrics, 0.0, &progress(500));
        session.on_received(&metrics, 0.0, &progress(503));
        assert_eq!(metrics.updates.get(), 3);
    }

    #[test]
    fn a_wait_ends_with_the_first_grant_after_the_request() {
        let (metrics, mut session) = (Metrics::new(Clock::start()), Session::default());
        session.on_received(&metrics, 1.0, &ToCoordinator::Poll { lanes: 2 });
        session.on_received(&metrics, 2.0, &ToCoordinator::Poll { lanes: 0 });
        session.on_received(&metrics, 3.0, &ToCoordinator::Poll { lanes: 1 });
        assert_eq!(session.asked_s, Some(3.0));
    }
}
