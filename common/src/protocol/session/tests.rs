//! Tests of the session for all events.

use uuid::Uuid;

use super::*;
use crate::configuration::{Configuration, Point};
use crate::protocol::bounds::REPORT_POINTS_MAX;
use crate::protocol::messages::Lane;
use crate::settings::{Setting, Value};
use crate::vocabulary::ids::SweepId;
use crate::workers::capability::Capabilities;

fn session() -> Session {
    let description = WorkerDescription {
        name: "host/1".to_owned(),
        capabilities: Capabilities { device: "cpu".to_owned(), ..Capabilities::default() },
        lanes: 2,
        ..WorkerDescription::default()
    };
    Session::new(WorkerId(Uuid::from_u128(7)), description, Vec::new())
}

fn grant(attempt: u64, trajectories: &[u64]) -> Grant {
    let name = |name: &'static str| Value::Name(name.into());
    let point = Point::from([
        (Setting::Dataset, name("mnist")),
        (Setting::Network, name("nn")),
        (Setting::Rule, name("bp")),
        (Setting::Depth, Value::Integer(5)),
    ]);
    let configuration = Configuration::from_point(&point).expect("a configuration");
    let lane = |&trajectory: &u64| Lane {
        trajectory: TrajectoryIndex(trajectory),
        hyperparameters: configuration.hyperparameters,
        stopping_rules: vec![configuration.stopping_rule],
        traceparent: None,
    };
    Grant {
        sweep: SweepId(Uuid::from_u128(7)),
        attempt: Attempt(attempt),
        shape: configuration.shape.clone(),
        measures: Vec::new(),
        checkpoint_every_ms: 60_000,
        lanes: trajectories.iter().map(lane).collect(),
    }
}

fn receive_grant(session: &mut Session, attempt: u64, trajectories: &[u64]) -> Vec<Output> {
    session.apply(Input::Received(ToWorker::Grant(Box::new(grant(attempt, trajectories)))))
}

fn acknowledge(session: &mut Session, attempt: u64, trajectory: u64) -> Vec<Output> {
    let (attempt, trajectory) = (Attempt(attempt), TrajectoryIndex(trajectory));
    session.apply(Input::Received(ToWorker::Acknowledged { attempt, trajectories: vec![trajectory], accepted: true }))
}

fn ended(session: &mut Session, lane: usize, outcome: Outcome) -> Vec<Output> {
    session.apply(Input::LaneEnded { lane, end: LaneEnd { outcome, ..LaneEnd::untouched() } })
}

fn welcome() -> Input {
    welcome_by(None)
}

fn welcome_by(store: Option<StoreId>) -> Input {
    Input::Received(ToWorker::Welcome { heartbeat_ms: 2_000, store, epoch: 0 })
}

fn store(number: u64) -> Option<StoreId> {
    format!("00000000-0000-0000-0000-{number:012}").parse().ok()
}

fn held(session: &Session) -> Vec<(u64, u64)> {
    session.hello().held.iter().map(|held| (held.attempt.0, held.trajectory.0)).collect()
}

#[test]
fn a_welcomed_worker_sends_heartbeats_and_polls() {
    let outputs = session().apply(welcome());
    let poll = Output::Send(ToCoordinator::Poll { lanes: 2 });
    assert_eq!(outputs, vec![Output::Beat { every_ms: 2_000 }, poll]);
}

#[test]
fn a_coordinator_that_another_has_followed_is_left_before_it_can_stop_anything() {
    let mut session = session();
    let mut welcome = |number, epoch| {
        session.apply(Input::Received(ToWorker::Welcome { heartbeat_ms: 2_000, store: store(number), epoch }))
    };
    assert!(welcome(1, 5).contains(&Output::Beat { every_ms: 2_000 }));
    assert_eq!(welcome(1, 4), vec![Output::Reconnect]);
    assert!(welcome(2, 1).contains(&Output::Beat { every_ms: 2_000 }), "another store counts by itself");
    assert_eq!(welcome(1, 4), vec![Output::Reconnect]);
    for epoch in [5, 6] {
        assert!(welcome(1, epoch).contains(&Output::Beat { every_ms: 2_000 }));
    }
}

#[test]
fn a_report_is_kept_and_repeated_until_it_is_acknowledged() {
    let mut session = session();
    receive_grant(&mut session, 7, &[3, 4]);
    let outputs = ended(&mut session, 0, Outcome::Completed);
    assert!(matches!(outputs.as_slice(), [Output::Keep(_), Output::Send(ToCoordinator::AttemptEnded(_))]));
    assert_eq!(held(&session), vec![(7, 4), (7, 3)], "one in training, one reported");

    let again = session.apply(welcome());
    assert!(again.contains(&outputs[1]), "{again:?}");
    assert!(!again.contains(&Output::Send(ToCoordinator::Poll { lanes: 2 })), "it is still training");

    let done = acknowledge(&mut session, 7, 3);
    assert!(matches!(done.as_slice(), [Output::Forget { .. }, Output::Discard(_)]), "{done:?}");
    assert_eq!(held(&session), vec![(7, 4)]);
    assert_eq!(acknowledge(&mut session, 7, 3), vec![], "a repeated acknowledgement has no effect");
}

#[test]
fn checkpoints_are_kept_unless_the_result_is_final() {
    for outcome in [Outcome::Preempted, Outcome::Failed] {
        let mut session = session();
        receive_grant(&mut session, 7, &[3]);
        ended(&mut session, 0, outcome);
        let outputs = acknowledge(&mut session, 7, 3);
        assert!(matches!(outputs.as_slice(), [Output::Forget { .. }]), "{outputs:?}");
    }
}

#[test]
fn a_lane_that_is_handed_back_keeps_its_state_and_is_reported() {
    let mut session = session();
    receive_grant(&mut session, 7, &[3, 4]);
    let (attempt, reason) = (Attempt(7), "paused".to_owned());
    let back = ToWorker::HandBack { attempt, trajectories: vec![TrajectoryIndex(4)], reason };
    assert_eq!(session.apply(Input::Received(back.clone())), vec![Output::Halt { lane: 1, keep: true }]);
    let outputs = ended(&mut session, 1, Outcome::Preempted);
    assert!(matches!(outputs.as_slice(), [Output::Keep(_), Output::Send(ToCoordinator::AttemptEnded(_))]));
    assert_eq!(session.apply(Input::Received(back)), vec![], "the lane has ended");
}

#[test]
fn reports_of_an_earlier_process_are_presented_too() {
    let mut earlier = session();
    receive_grant(&mut earlier, 7, &[3]);
    let outputs = ended(&mut earlier, 0, Outcome::Completed);
    let mut session = successor(&earlier, &outputs);
    assert_eq!(held(&session), vec![(7, 3)]);
    assert!(session.apply(welcome_by(store(1))).contains(&outputs[1]), "it may be for this coordinator");
}

/// A new worker process with the reports of an earlier one.
fn successor(earlier: &Session, outputs: &[Output]) -> Session {
    let Output::Keep(owed) = &outputs[0] else { panic!("{outputs:?}") };
    Session::new(earlier.worker, earlier.description.clone(), vec![(**owed).clone()])
}

#[test]
fn a_report_for_another_coordinator_is_kept_for_it() {
    let mut earlier = session();
    earlier.apply(welcome_by(store(1)));
    receive_grant(&mut earlier, 7, &[3]);
    let theirs = ended(&mut earlier, 0, Outcome::Completed);

    let mut session = successor(&earlier, &theirs);
    assert_eq!(held(&session), vec![(7, 3)], "the coordinator of the report is not known yet");
    assert!(!session.apply(welcome_by(store(2))).contains(&theirs[1]));
    assert_eq!(held(&session), vec![]);
    assert_eq!(acknowledge(&mut session, 7, 3), vec![], "attempt 7 of another store");

    receive_grant(&mut session, 7, &[3]);
    let ours = ended(&mut session, 0, Outcome::Diverged);
    session.apply(Input::BundleDone);
    let done = acknowledge(&mut session, 7, 3);
    assert!(matches!(done.as_slice(), [Output::Forget { store: of, .. }, _] if *of == store(2)), "{done:?}");
    assert!(session.holds_nothing(), "nothing for this coordinator");
    let presented = session.apply(welcome_by(store(1)));
    assert!(presented.contains(&theirs[1]) && !presented.contains(&ours[1]), "{presented:?}");
}

#[test]
fn a_report_goes_to_the_coordinator_that_granted_even_after_another_connects() {
    let mut session = session();
    session.apply(welcome_by(store(1)));
    receive_grant(&mut session, 7, &[3]);
    session.apply(welcome_by(store(2)));
    let outputs = ended(&mut session, 0, Outcome::Completed);
    assert!(matches!(outputs.as_slice(), [Output::Keep(owed)] if owed.store == store(1)), "{outputs:?}");
}

#[test]
fn a_lane_stopped_by_the_coordinator_is_halted_and_not_reported() {
    let mut session = session();
    receive_grant(&mut session, 7, &[3, 4]);
    let (attempt, reason) = (Attempt(7), "cancelled".to_owned());
    let stop = ToWorker::Stop { attempt, trajectories: vec![TrajectoryIndex(4)], reason };
    assert_eq!(session.apply(Input::Received(stop)), vec![Output::Halt { lane: 1, keep: false }]);
    assert_eq!(ended(&mut session, 1, Outcome::Preempted), Vec::new());
    assert_eq!(held(&session), vec![(7, 3)]);
}

#[test]
fn a_leaving_worker_returns_its_lanes_and_exits_after_acknowledgement() {
    let mut session = session();
    receive_grant(&mut session, 7, &[3]);
    assert_eq!(session.apply(Input::Leave), vec![Output::Halt { lane: 0, keep: true }]);
    ended(&mut session, 0, Outcome::Preempted);
    assert_eq!(session.apply(Input::BundleDone), Vec::new(), "the report is not acknowledged yet");
    let goodbye = vec![Output::Send(ToCoordinator::Goodbye), Output::Exit];
    assert_eq!(acknowledge(&mut session, 7, 3)[1..], goodbye);
}

#[test]
fn a_grant_to_a_leaving_worker_is_returned_untouched() {
    let mut session = session();
    session.apply(Input::Leave);
    let outputs = receive_grant(&mut session, 8, &[5]);
    let [_, Output::Send(ToCoordinator::AttemptEnded(report))] = outputs.as_slice() else { panic!("{outputs:?}") };
    assert_eq!((report.outcome, report.updates), (Outcome::Preempted, 0));
    assert!(!session.holds_nothing());
}

#[test]
fn a_worker_polls_after_a_bundle_without_waiting_for_acknowledgement() {
    let mut session = session();
    receive_grant(&mut session, 7, &[3]);
    ended(&mut session, 0, Outcome::Completed);
    assert_eq!(session.apply(Input::BundleDone), vec![Output::Send(ToCoordinator::Poll { lanes: 2 })]);
}

#[test]
fn a_worker_is_idle_before_and_after_a_bundle() {
    let mut session = session();
    assert!(session.is_idle());
    receive_grant(&mut session, 7, &[3]);
    assert!(!session.is_idle());
    ended(&mut session, 0, Outcome::Completed);
    session.apply(Input::BundleDone);
    assert!(session.is_idle(), "its report is not acknowledged yet");
}

#[test]
fn evaluations_are_sent_only_for_lanes_in_training() {
    let mut session = session();
    receive_grant(&mut session, 7, &[3, 4]);
    let point = CurvePoint { update: 10, train_loss: 1.0, validation_accuracy: 0.5, test_accuracy: None };
    let told = session.apply(Input::Evaluated { lane: 1, point });
    let (attempt, trajectory) = (Attempt(7), TrajectoryIndex(4));
    assert_eq!(told, vec![Output::Send(ToCoordinator::Evaluated { attempt, trajectory, point })]);
    ended(&mut session, 1, Outcome::Diverged);
    assert_eq!(session.apply(Input::Evaluated { lane: 1, point }), vec![]);
}

#[test]
fn a_heartbeat_has_the_updates_of_lanes_in_training() {
    let mut session = session();
    receive_grant(&mut session, 7, &[3, 4]);
    ended(&mut session, 0, Outcome::Diverged);
    let beat = session.apply(Input::HeartbeatDue(vec![100, 90]));
    let progress = vec![Progress { attempt: Attempt(7), trajectory: TrajectoryIndex(4), updates: 90 }];
    assert_eq!(beat, vec![Output::Send(ToCoordinator::Heartbeat { progress })]);
}

#[test]
fn a_report_that_is_too_large_is_reported_as_failed_with_the_cause() {
    let mut session = session();
    receive_grant(&mut session, 7, &[3]);
    let point = CurvePoint { update: 10, train_loss: 1.0, validation_accuracy: 0.5, test_accuracy: None };
    let curve = vec![point; REPORT_POINTS_MAX + 1];
    let end = LaneEnd { outcome: Outcome::Completed, curve, updates: 10, ..LaneEnd::untouched() };
    let outputs = session.apply(Input::LaneEnded { lane: 0, end });
    let [Output::Keep(owed), Output::Send(ToCoordinator::AttemptEnded(report))] = outputs.as_slice() else {
        panic!("a report")
    };
    assert_eq!((&owed.report, report.outcome, report.updates), (&**report, Outcome::Failed, 10));
    assert!(report.curve.is_empty() && report.cause.as_deref().is_some_and(|cause| cause.contains("eval_every")));
}

#[test]
fn a_hello_has_no_more_trajectories_than_the_maximum() {
    let mut session = session();
    receive_grant(&mut session, 7, &[3]);
    let outputs = ended(&mut session, 0, Outcome::Completed);
    let Output::Keep(owed) = &outputs[0] else { panic!("{outputs:?}") };
    let of = |trajectory: usize| {
        let mut owed = (**owed).clone();
        owed.report.held.trajectory = TrajectoryIndex(trajectory as u64);
        owed
    };
    let session =
        Session::new(WorkerId(Uuid::from_u128(7)), session.description.clone(), (0..=HELD_MAX).map(of).collect());
    assert_eq!(session.hello().held.len(), HELD_MAX);
}

#[test]
fn a_report_for_another_coordinator_does_not_stop_a_worker_from_leaving_and_is_presented_later() {
    let mut session = session();
    session.apply(welcome());
    let grant = grant(1, &[7]);
    session.apply(Input::Received(ToWorker::Grant(Box::new(grant))));
    ended(&mut session, 0, Outcome::Completed);
    session.apply(Input::BundleDone);
    assert!(!session.apply(Input::Leave).contains(&Output::Exit), "it may still be acknowledged");

    let stop = ToWorker::Stop { attempt: Attempt(1), trajectories: vec![TrajectoryIndex(7)], reason: String::new() };
    let outputs = session.apply(Input::Received(stop));
    assert!(outputs.contains(&Output::Exit), "{outputs:?}");
    assert!(!outputs.iter().any(|output| matches!(output, Output::Forget { .. })), "it stays on disk: {outputs:?}");
    let outputs = session.apply(welcome());
    let presented = |output: &Output| matches!(output, Output::Send(ToCoordinator::AttemptEnded(_)));
    assert!(outputs.iter().any(presented) && !outputs.contains(&Output::Exit), "{outputs:?}");
}
