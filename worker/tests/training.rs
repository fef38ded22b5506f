//! Training as a whole, on the embedded digits.

use biosweep_common::configuration::{Convolution, EarlyStop, Hyperparameters, Shape, Skip, StoppingRule};
use biosweep_common::curve::CurvePoint;
use biosweep_common::health::HealthPoint;
use biosweep_common::vocabulary::{self, Activation, Network, Optimizer, Rule};
use biosweep_worker::data::{self, Places};
use biosweep_worker::device::Device;
use biosweep_worker::train::{Bundle, LaneJob, LaneOutcome, Observer, train};

fn shape(rule: Rule) -> Shape {
    Shape {
        dataset: vocabulary::Dataset::SyntheticDigits.into(),
        network: Network::Dn,
        rule,
        activation: Activation::Relu,
        depth: 3,
        hidden: 32,
        convolution: Convolution { channel_multiplier: 4, ..Convolution::default() },
        skip: Skip::default(),
        batch_size: 64,
        optimizer: Optimizer::Adam,
        eval_every: 40,
    }
}

fn job(seed: u64, max_updates: u64) -> LaneJob {
    LaneJob {
        hyperparameters: Hyperparameters { seed, ..Hyperparameters::default() },
        stopping_rules: vec![StoppingRule { max_updates, early_stop: None }],
    }
}

/// Stops its lanes after `limit` updates.
struct Limit {
    limit: u64,
    updates: u64,
}

impl Observer for Limit {
    fn updated(&mut self, _: usize, updates: u64) {
        self.updates = updates;
    }
    fn evaluated(&mut self, _: usize, _: &CurvePoint) {}
    fn should_stop(&mut self, _: usize) -> bool {
        self.updates >= self.limit
    }
    fn measured(&mut self, _: usize, _: Vec<HealthPoint>) {}
    fn ended(&mut self, _: usize, _: &LaneOutcome, _: f64) {}
}

fn run(shape: Shape, lanes: Vec<LaneJob>) -> Vec<LaneOutcome> {
    run_with(shape, lanes, &mut Limit { limit: u64::MAX, updates: 0 })
}

fn run_with(shape: Shape, lanes: Vec<LaneJob>, observer: &mut dyn Observer) -> Vec<LaneOutcome> {
    Device::Cpu.prepare();
    let data = data::load(&shape.dataset, &Places::default()).expect("embedded");
    train(&Bundle { shape, lanes, measures: Vec::new() }, &data, observer).expect("the bundle trains")
}

fn curve(outcome: &LaneOutcome) -> &[CurvePoint] {
    match outcome {
        LaneOutcome::Completed { curve, .. } | LaneOutcome::Diverged { curve, .. } | LaneOutcome::Stopped { curve } => {
            curve
        }
    }
}

#[test]
fn a_trajectory_has_the_same_curve_to_the_last_bit_alone_or_in_a_bundle() {
    for &rule in Rule::ALL {
        let alone = run(shape(rule), vec![job(1, 80)]);
        let bundled = run(shape(rule), vec![job(0, 80), job(1, 80)]);
        assert_eq!(curve(&alone[0]), curve(&bundled[1]), "{rule}");
        assert_ne!(curve(&bundled[0]), curve(&bundled[1]), "{rule}: another seed is another trajectory");
    }
}

#[test]
fn every_rule_learns_the_digits() {
    for &rule in Rule::ALL {
        let outcome = run(shape(rule), vec![job(0, 200)]);
        let LaneOutcome::Completed { scores, .. } = &outcome[0] else { panic!("{rule}: {outcome:?}") };
        assert!(scores[0].test_accuracy > 0.6, "{rule}: {:?}", scores[0]);
    }
}

#[test]
fn evaluations_come_at_their_interval_and_at_every_end() {
    let mut job = job(0, 100);
    job.stopping_rules.push(StoppingRule { max_updates: 50, early_stop: None });
    let outcome = run(shape(Rule::Bp), vec![job]);
    assert_eq!(curve(&outcome[0]).iter().map(|point| point.update).collect::<Vec<_>>(), [40, 50, 80, 100]);
    let LaneOutcome::Completed { scores, .. } = &outcome[0] else { panic!("{outcome:?}") };
    assert_eq!(scores.iter().map(|score| score.updates).collect::<Vec<_>>(), [100, 50]);
}

#[test]
fn early_stopping_ends_training_once_no_trial_needs_more() {
    let early_stop = Some(EarlyStop { start: 0, patience: 1 });
    let stopping_rules = vec![StoppingRule { max_updates: 100_000, early_stop }];
    let outcome = run(shape(Rule::Bp), vec![LaneJob { stopping_rules, ..job(0, 1) }]);
    let LaneOutcome::Completed { curve, scores } = &outcome[0] else { panic!("{outcome:?}") };
    assert!(scores[0].updates < 100_000);
    assert_eq!(scores[0].updates, curve[curve.len() - 1].update, "nothing is trained past the end");
    assert!(curve.iter().all(|point| point.test_accuracy.is_some() == (point.update <= scores[0].best_update)));
}

#[test]
fn a_loss_that_ceases_to_be_finite_ends_the_lane_with_its_update() {
    let mut job = job(0, 1_000);
    job.hyperparameters.learning_rate = 1e30;
    let outcome = run(Shape { optimizer: Optimizer::Sgd, ..shape(Rule::Bp) }, vec![job]);
    assert!(matches!(outcome[0], LaneOutcome::Diverged { update: 2..20, .. }), "{outcome:?}");
}

#[test]
fn a_lane_told_to_stop_stops_before_its_next_update() {
    let mut limit = Limit { limit: 50, updates: 0 };
    let outcome = run_with(shape(Rule::Fa), vec![job(0, 1_000)], &mut limit);
    assert!(matches!(&outcome[0], LaneOutcome::Stopped { curve } if curve.len() == 1), "{outcome:?}");
    assert_eq!(limit.updates, 50);
}
