//! Conversions to messages and back, and messages that are refused.

use std::sync::Arc;

use uuid::Uuid;

use super::*;
use crate::results::curve::CurvePoint;
use crate::results::outcome::Outcome;
use crate::settings::Value;
use crate::vocabulary::dataset::DatasetSize;
use crate::vocabulary::diagnostics::{DiagnosticPoint, Measure};
use crate::vocabulary::ids::{StoreId, SweepId, WorkerId};
use crate::vocabulary::trace::Span;
use crate::workers::environment::NumericEnvironment;

fn held() -> Held {
    Held { sweep: SweepId(Uuid::from_u128(7)), attempt: Attempt(7), trajectory: TrajectoryIndex(1 << 40) }
}

pub(in crate::protocol) const SIZE: DatasetSize =
    DatasetSize { classes: 10, train_images: 50_000, validation_images: 10_000, test_images: 10_000 };

pub(in crate::protocol) fn environment() -> NumericEnvironment {
    NumericEnvironment {
        device: "cpu".to_owned(),
        processor: "A \"fast\" Processor".to_owned(),
        instructions: "avx2".to_owned(),
        libtorch: "2.11.0".to_owned(),
        variables: [("MKL_CBWR".to_owned(), "COMPATIBLE".to_owned())].into(),
    }
}

fn traceparent(span: Span) -> Traceparent {
    Traceparent::new(held().sweep, span, true)
}

fn point() -> CurvePoint {
    CurvePoint { update: 390, train_loss: 0.5, validation_accuracy: 0.9, test_accuracy: None }
}

#[test]
fn a_worker_message_is_the_same_after_conversion_and_back() {
    let description = WorkerDescription {
        name: "host/1".to_owned(),
        capabilities: Capabilities {
            device: "cpu".to_owned(),
            memory_bytes: 1 << 34,
            labels: ["a100".to_owned()].into(),
        },
        lanes: 4,
        version: "0.1.0".to_owned(),
        environment: Arc::new(environment()),
    };
    let report = Report {
        held: held(),
        outcome: Outcome::Failed,
        cause: Some("no such file".to_owned()),
        curve: vec![point()],
        diagnostics: vec![DiagnosticPoint { update: 390, layer: 6, measure: Measure::UpdateAngle, value: 61.5 }],
        updates: 780,
        seconds: 1.5,
        dataset_size: Some(SIZE),
        traceparent: Some(traceparent(Span::Train(held().trajectory, held().attempt))),
    };
    let progress = Progress { attempt: Attempt(7), trajectory: TrajectoryIndex(3), updates: 12 };
    let hello = Hello { worker: WorkerId(Uuid::from_u128(7)), description, numerics_version: 1, held: vec![held()] };
    let (attempt, trajectory) = (Attempt(7), TrajectoryIndex(3));
    for message in [
        ToCoordinator::Hello(hello),
        ToCoordinator::Poll { lanes: 4 },
        ToCoordinator::Heartbeat { progress: vec![progress] },
        ToCoordinator::Evaluated { attempt, trajectory, point: point() },
        ToCoordinator::AttemptEnded(Box::new(report)),
        ToCoordinator::Goodbye,
    ] {
        assert_eq!(ToCoordinator::from_wire(message.clone().into_wire()), Ok(message));
    }
}

fn grant() -> Grant {
    let settings = Point::from([
        (Setting::Dataset, Value::Name("mnist".into())),
        (Setting::Network, Value::Name("dn".into())),
        (Setting::Rule, Value::Name("dtp".into())),
        (Setting::Depth, Value::Integer(5)),
        (Setting::TargetStep, Value::Real(0.3)),
    ]);
    let configuration = Configuration::from_point(&settings).expect("a configuration");
    let early_stop = Some(EarlyStop { start: 10, patience: 3 });
    let lane = |trajectory| Lane {
        trajectory: TrajectoryIndex(trajectory),
        hyperparameters: configuration.hyperparameters,
        stopping_rules: vec![
            StoppingRule { max_updates: 100, early_stop },
            StoppingRule { max_updates: 200, early_stop: None },
        ],
        traceparent: Some(traceparent(Span::Grant(TrajectoryIndex(trajectory), Attempt(9)))),
    };
    Grant {
        sweep: SweepId(Uuid::from_u128(7)),
        attempt: Attempt(9),
        shape: configuration.shape.clone(),
        measures: Measure::ALL.to_vec(),
        checkpoint_every_ms: 60_000,
        lanes: vec![lane(3), lane(4)],
    }
}

#[test]
fn a_coordinator_message_is_the_same_after_conversion_and_back() {
    let (attempt, trajectory) = (Attempt(7), TrajectoryIndex(3));
    for message in [
        ToWorker::Welcome { heartbeat_ms: 2_000, store: Some(StoreId(Uuid::from_u128(3))), epoch: 7 },
        ToWorker::Welcome { heartbeat_ms: 2_000, store: None, epoch: 0 },
        ToWorker::Grant(Box::new(grant())),
        ToWorker::Acknowledged { attempt, trajectories: vec![trajectory, TrajectoryIndex(9)], accepted: true },
        ToWorker::Stop { attempt, trajectories: vec![trajectory], reason: "cancelled".to_owned() },
        ToWorker::HandBack { attempt, trajectories: vec![trajectory], reason: "paused".to_owned() },
        ToWorker::Drain { reason: "leaving".to_owned() },
    ] {
        assert_eq!(ToWorker::from_wire(message.clone().into_wire()), Ok(message));
    }
}

#[test]
fn a_malformed_trace_context_and_that_of_another_sweep_are_ignored() {
    let other = Traceparent::new(SweepId(Uuid::from_u128(8)), Span::Submit, true).to_string();
    for text in ["", "00", "00-zz", &"é".repeat(55), &other] {
        let mut message = grant().into_wire();
        message.lanes[1].traceparent = Some(text.to_owned());
        let read = Grant::from_wire(message).expect("the grant is sound");
        assert_eq!((read.lanes[0].traceparent, read.lanes[1].traceparent), (grant().lanes[0].traceparent, None));
        let report = v1::AttemptEnded {
            sweep: held().sweep.to_string(),
            outcome: v1::Outcome::Preempted as i32,
            traceparent: Some(text.to_owned()),
            ..v1::AttemptEnded::default()
        };
        assert_eq!(Report::from_wire(report).expect("the report is sound").traceparent, None, "{text}");
    }
}

#[test]
fn settings_common_to_all_lanes_are_sent_once() {
    let settings = |lane: f64| {
        Point::from([
            (Setting::Dataset, Value::Name("mnist".into())),
            (Setting::Network, Value::Name("nn".into())),
            (Setting::Rule, Value::Name("bp".into())),
            (Setting::Depth, Value::Integer(5)),
            (Setting::Optimizer, Value::Name("sgd".into())),
            (Setting::LearningRate, Value::Real(0.3)),
            (Setting::Momentum, Value::Real(lane)),
            (Setting::Nesterov, Value::Flag(lane > 0.0)),
        ])
    };
    let each = [0.0, 0.9].map(|lane| Configuration::from_point(&settings(lane)).expect("a configuration"));
    let mut grant = grant();
    grant.shape = each[0].shape.clone();
    grant.lanes.iter_mut().zip(&each).for_each(|(lane, each)| lane.hyperparameters = each.hyperparameters);
    let message: v1::Grant = grant.clone().into_wire();
    let names = |settings: &[v1::Setting]| settings.iter().map(|setting| setting.name.clone()).collect::<Vec<_>>();
    assert!(names(&message.settings).contains(&"learning_rate".to_owned()));
    // `nesterov` does not apply to the lane without momentum.
    assert_eq!(names(&message.lanes[0].settings), ["momentum"]);
    assert_eq!(names(&message.lanes[1].settings), ["momentum", "nesterov"]);
    assert_eq!(Grant::from_wire(message), Ok(grant));
}

/// A grant in the form of earlier versions, where every lane repeats the settings of the shape.
fn repeating(grant: Grant) -> v1::Grant {
    let mut message: v1::Grant = grant.into_wire();
    for lane in &mut message.lanes {
        lane.settings.splice(0..0, message.settings.iter().cloned());
    }
    message.settings.clear();
    message
}

#[test]
fn a_grant_whose_lanes_repeat_the_shape_is_read() {
    let grant = grant();
    assert_eq!(Grant::from_wire(repeating(grant.clone())), Ok(grant));
}

#[test]
fn a_bundle_of_two_shapes_is_refused() {
    let mut message = repeating(grant());
    for setting in &mut message.lanes[1].settings {
        if setting.name == "depth" {
            setting.value = Some(v1::setting::Value::Integer(6));
        }
    }
    assert_eq!(Grant::from_wire(message), Err(WireError::MixedShapes));
    let mut empty: v1::Grant = grant().into_wire();
    empty.lanes.clear();
    assert_eq!(Grant::from_wire(empty.clone()), Err(WireError::MixedShapes));
    empty.settings.clear();
    assert_eq!(Grant::from_wire(empty), Err(WireError::MixedShapes));
}

#[test]
fn a_message_without_its_content_is_refused() {
    let empty = v1::WorkerMessage { message: None };
    assert_eq!(ToCoordinator::from_wire(empty), Err(WireError::Missing { field: "message" }));
}

#[test]
fn the_widest_bundle_fits_in_a_message() {
    let early_stop = Some(EarlyStop { start: i64::MAX as u64, patience: u32::MAX });
    let rule = StoppingRule { max_updates: i64::MAX as u64, early_stop };
    for rules in [1, 10, 1_000, bounds::STOPPING_RULES_MAX] {
        let mut grant = grant();
        let lane = |number: u64| {
            let mut lane = grant.lanes[0].clone();
            (lane.trajectory, lane.stopping_rules) = (TrajectoryIndex(i64::MAX as u64 - number), vec![rule; rules]);
            // No setting that may differ between lanes is equal in all of them.
            let real = number as f64 + 1.0 / 3.0;
            let numbers = &mut lane.hyperparameters;
            (numbers.learning_rate, numbers.weight_decay, numbers.target_step) = (real, real, real);
            (numbers.noise_std, numbers.decoder_learning_rate) = (real, real);
            (numbers.seed, numbers.fold) = (i64::MAX as u64 - number, number as u32 % 10);
            lane
        };
        grant.lanes = (0..bounds::lanes_of_bundle(rules as u64).into()).map(lane).collect();
        let message = ToWorker::Grant(Box::new(grant.clone())).into_wire();
        let length = message.encoded_len();
        assert!(length <= bounds::TO_WORKER_BYTES_MAX, "{length} bytes of {} lanes", grant.lanes.len());
        assert_eq!(ToWorker::from_wire(message), Ok(ToWorker::Grant(Box::new(grant))));
    }
}

#[test]
fn a_worker_with_more_lanes_than_the_maximum_is_refused() {
    let poll = |lanes| ToCoordinator::from_wire(ToCoordinator::Poll { lanes }.into_wire());
    assert_eq!(poll(LANES_MAX), Ok(ToCoordinator::Poll { lanes: LANES_MAX }));
    let error = poll(u32::MAX).expect_err("more lanes than the maximum").to_string();
    assert_eq!(error, "message with `poll.lanes` = `4294967295`; it takes at most 1024 lanes");
}
