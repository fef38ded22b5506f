//! Messages for users that are converted and back.

use std::sync::Arc;

use uuid::Uuid;

use super::*;
use crate::configuration::Point;
use crate::protocol::workers::tests::{SIZE, environment};
use crate::results::curve::{CurvePoint, Score};
use crate::results::outcome::{Outcome, SweepState, TrialStatus};
use crate::results::views::SourceTrial;
use crate::spec::Format;
use crate::vocabulary::ids::{SweepId, TrialRef, WorkerId};

fn status() -> SweepStatus {
    let id = SweepId(Uuid::from_u128(7));
    let latest = CurvePoint { update: 390, train_loss: 0.5, validation_accuracy: 0.9, test_accuracy: Some(0.8) };
    let lane = LaneView {
        sweep: id,
        trajectory: TrajectoryIndex(2),
        attempt: Attempt(5),
        point: Point::new(),
        latest: Some(latest),
        updates: 400,
        max_updates: 3_900,
    };
    SweepStatus {
        sweep: SweepView {
            id,
            name: "first".to_owned(),
            state: SweepState::Running,
            trials: 24,
            trajectories: 12,
            completed: 1,
            diverged: 2,
            failed: 3,
            reused: 1,
            running: 4,
            submitted_at: WallTime(5),
            state_at: WallTime(8),
            reason: Some("3 trajectories failed with similar errors".to_owned()),
            note: Some("why it was run:\n\tto see".to_owned()),
        },
        workers: vec![WorkerView {
            id: WorkerId(Uuid::from_u128(7)),
            name: "host/1".to_owned(),
            capabilities: Capabilities {
                device: "cpu".to_owned(),
                memory_bytes: 1 << 34,
                labels: ["a100".to_owned()].into(),
            },
            lanes: 1,
            connected: true,
            quarantined: Some("it failed".to_owned()),
            training: vec![lane],
            training_count: 1,
        }],
        incomplete_attempts: vec![incomplete_attempt()],
        incomplete_causes: vec![cause(None), cause(Some("the disk is full"))],
        degraded: Some("the disk is full".to_owned()),
        in_training_done: 0.5,
    }
}

fn cause(cause: Option<&str>) -> IncompleteCause {
    let cause = cause.map(str::to_owned);
    IncompleteCause { outcome: Outcome::Failed, cause, attempts: 12, latest: WallTime(9) }
}

fn incomplete_attempt() -> IncompleteAttempt {
    IncompleteAttempt {
        trajectory: TrajectoryIndex(2),
        attempt: Attempt(4),
        worker_name: "host/2".to_owned(),
        outcome: Outcome::WorkerLost,
        cause: None,
        at: WallTime(9),
    }
}

#[test]
fn a_status_is_the_same_after_conversion_to_a_message_and_back() {
    for seen in [WatchEvent::State(Box::new(status())), WatchEvent::IncompleteAttempt(incomplete_attempt())] {
        assert_eq!(WatchEvent::from_wire(seen.clone().into_wire()), Ok(seen));
    }
}

#[test]
fn a_note_that_terminals_interpret_or_that_is_too_long_is_refused() {
    for note in ["a\u{1b}[2J".to_owned(), "x".repeat(10_001)] {
        let sweep = v1::Sweep { note: Some(note), ..status().sweep.into_wire() };
        let error = SweepView::from_wire(sweep).expect_err("no note").to_string();
        assert!(error.starts_with("message with `sweep.note` = "), "{error}");
    }
    let empty = v1::Sweep { note: Some(String::new()), ..status().sweep.into_wire() };
    assert_eq!(SweepView::from_wire(empty).map(|sweep| sweep.note), Ok(None));
}

#[test]
fn a_result_is_the_same_after_conversion_to_a_message_and_back() {
    let result = ResultView {
        trial: TrialIndex(3),
        key: TrialKey([7; 32]),
        status: TrialStatus::Completed,
        point: Point::new(),
        score: Some(Score { validation_accuracy: 0.9, test_accuracy: 0.8, best_update: 1, updates: 2 }),
        updates: 2,
        attempts: 1,
        worker_name: "host/1".to_owned(),
        seconds: 2.5,
        reused_from: None,
        environment: Some(Arc::new(environment())),
        dataset_size: Some(SIZE),
    };
    let trial = TrialRef { sweep: SweepId(Uuid::from_u128(7)), trial: TrialIndex(7) };
    for reused_from in [None, Some(false), Some(true)] {
        let reused_from = reused_from.map(|deleted| SourceTrial { trial, deleted });
        let result = ResultView { reused_from, ..result.clone() };
        assert_eq!(ResultView::from_wire(result.clone().into_wire()), Ok(result));
    }
}

#[test]
fn a_spec_with_extensions_is_the_same_after_conversion_to_a_message_and_back() {
    let text = |text: &str, format| SpecText { text: text.to_owned(), format, resolved: "retries = 2".to_owned() };
    let extensions = vec![text("name: second", Format::Yaml)];
    let spec = SpecView { text: text("name = \"first\"", Format::Toml), extensions };
    let messages: Vec<v1::SpecResponse> = spec.clone().into_wire();
    assert_eq!(SpecView::from_wire(messages), Ok(spec));
    assert!(matches!(SpecView::from_wire(Vec::new()), Err(WireError::Missing { field: "spec" })));
}
