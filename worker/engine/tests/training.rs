//! Tests of training as a whole, on the embedded digits.

use std::sync::LazyLock;

use biosweep_common::configuration::{Convolution, EarlyStop, Hyperparameters, Procedure, Shape, Skip, StoppingRule};
use biosweep_common::results::curve::{CurvePoint, EarlyStopper, Score};
use biosweep_common::rules::Rule;
use biosweep_common::vocabulary::diagnostics::Measure;
use biosweep_common::vocabulary::{
    self, ActivationFunction, DecoderActivation, DecoderOrder, Network, Optimizer, PcSolver,
};
use biosweep_data::{self as data, Dataset, Places};
use biosweep_engine::checkpoint;
use biosweep_engine::torch::device::Device;
use biosweep_engine::train::{Bundle, IncompatibleState, LaneJob, LaneOutcome, LaneState, NotFinite, Observer, train};
use proptest::prelude::*;

/// The embedded digits, which are drawn once for all tests.
static DIGITS: LazyLock<Dataset> =
    LazyLock::new(|| data::load(&vocabulary::Dataset::SyntheticDigits.into(), &Places::default()).expect("embedded"));

/// Few channels: for tests that train many networks for a few updates.
fn slim() -> Convolution {
    Convolution { channel_multiplier: 1, ..Convolution::default() }
}

fn shape(rule: Rule) -> Shape {
    Shape {
        dataset: vocabulary::Dataset::SyntheticDigits.into(),
        network: Network::Dn,
        rule,
        activation: ActivationFunction::Relu,
        depth: 3,
        hidden: 32,
        parameters_as: None,
        convolution: Convolution { channel_multiplier: 4, ..Convolution::default() },
        skip: Skip::default(),
        procedure: Procedure::default(),
        batch_size: 64,
        optimizer: Optimizer::Adam,
        eval_every: 40,
    }
}

fn job(seed: u64, max_updates: u64) -> LaneJob {
    LaneJob {
        hyperparameters: Hyperparameters { seed, ..Hyperparameters::default() },
        stopping_rules: vec![StoppingRule { max_updates, early_stop: None }],
        resume: None,
    }
}

/// Stops its lanes after `limit` updates.
struct Limit {
    limit: u64,
    updates: u64,
}

const NO_LIMIT: Limit = Limit { limit: u64::MAX, updates: 0 };

impl Observer for Limit {
    fn updated(&mut self, _: usize, updates: u64) {
        self.updates = updates;
    }
    fn should_stop(&mut self, _: usize) -> bool {
        self.updates >= self.limit
    }
    fn incompatible(&mut self, _: usize, why: &IncompatibleState) {
        panic!("{why}");
    }
}

fn run(shape: Shape, lanes: Vec<LaneJob>) -> Vec<LaneOutcome> {
    run_with(shape, lanes, &mut { NO_LIMIT })
}

fn run_with(shape: Shape, lanes: Vec<LaneJob>, observer: &mut dyn Observer) -> Vec<LaneOutcome> {
    run_measured(shape, lanes, Vec::new(), observer)
}

fn run_measured(
    shape: Shape,
    lanes: Vec<LaneJob>,
    measures: Vec<Measure>,
    observer: &mut dyn Observer,
) -> Vec<LaneOutcome> {
    Device::Cpu.prepare();
    train(&Bundle { shape, lanes, measures }, &DIGITS, observer).expect("the bundle trains")
}

fn curve(outcome: &LaneOutcome) -> &[CurvePoint] {
    match outcome {
        LaneOutcome::Completed { curve, .. } | LaneOutcome::Diverged { curve, .. } => curve,
        LaneOutcome::Stopped { state } => &state.curve,
    }
}

#[test]
fn a_trajectory_has_the_same_curve_to_the_last_bit_alone_or_in_a_bundle_with_a_lane_that_leaves_early() {
    for &rule in Rule::ALL {
        for &network in Network::ALL.iter().filter(|&&network| rule.trains(network)) {
            let depth = if network.is_convolutional() { 2 } else { 3 };
            let shape = || Shape { network, depth, eval_every: 4, batch_size: 32, convolution: slim(), ..shape(rule) };
            let alone = run(shape(), vec![job(1, 12)]);
            let mut diverging = job(2, 12);
            diverging.hyperparameters.learning_rate = 1e38;
            let bundled = run(shape(), vec![job(0, 4), job(1, 12), diverging]);
            assert_eq!(curve(&alone[0]), curve(&bundled[1]), "{rule} {network}");
            assert_ne!(curve(&bundled[0])[..1], curve(&bundled[1])[..1], "{rule} {network}: another seed is another");
            assert_eq!(curve(&bundled[0]).len(), 1, "{rule} {network}: a lane leaves early");
        }
    }
}

#[test]
fn fixed_decoders_are_decoders_that_learn_at_the_rate_zero() {
    for network in [Network::Dn, Network::Residual] {
        let mut still = job(1, 80);
        still.hyperparameters.decoder_learning_rate = 0.0;
        let trained = run(Shape { network, ..shape(Rule::Dtp) }, vec![still]);
        assert_eq!(run(Shape { network, ..shape(Rule::Fwdtp) }, vec![job(1, 80)]), trained, "{network}");
    }
}

#[test]
fn decoders_that_learn_first_and_states_that_are_errors_go_on_from_checkpoints_too() {
    let before = Procedure { decoder_steps: 3, decoder_order: DecoderOrder::Before, ..Procedure::default() };
    let linear = Procedure { decoder_activation: DecoderActivation::Linear, ..before };
    let errors = Procedure { pc_solver: PcSolver::Error, inference_steps: 5, ..Procedure::default() };
    for (rule, procedure) in [
        (Rule::Dtp, before),
        (Rule::Dtp, linear),
        (Rule::Sdtp, before),
        (Rule::Ddtp, before),
        (Rule::Ldrl, before),
        (Rule::Pc, errors),
    ] {
        let shape = |procedure| Shape { network: Network::Dn, procedure, eval_every: 6, ..shape(rule) };
        let whole = run(shape(procedure), vec![job(1, 12)]);
        let resumed = interrupted(&shape(procedure), &job(1, 12), &[], 7);
        assert_eq!(run(shape(procedure), vec![job(0, 6), resumed])[1], whole[0], "{rule} {procedure:?}");
        let usual = run(shape(Procedure::default()), vec![job(1, 12)]);
        assert_ne!(curve(&usual[0]), curve(&whole[0]), "{rule} {procedure:?} has no effect");
    }
}

#[test]
fn feedback_that_begins_as_the_weights_and_learns_as_they_do_is_back_propagation_for_ever() {
    for network in [Network::Nn, Network::Dn, Network::Residual, Network::DenseConvnet] {
        let depth = if network.is_convolutional() { 2 } else { 3 };
        let shape = |rule| Shape { network, depth, ..shape(rule) };
        let mut aligned = job(1, 80);
        aligned.hyperparameters.feedback_alignment = 1.0;
        assert_eq!(run(shape(Rule::Kp), vec![aligned]), run(shape(Rule::Bp), vec![job(1, 80)]), "{network}");
    }
}

#[test]
fn every_rule_learns_the_digits() {
    for &rule in Rule::ALL {
        // The decoder of the output layer has to train first; it gives the targets of sdtp.
        let updates = if rule == Rule::Sdtp { 1_200 } else { 500 };
        // A label pushes each unit in one direction for ever. Only a bounded unit stays where its slope is not zero.
        let activation = if rule == Rule::Drtp { ActivationFunction::Tanh } else { ActivationFunction::Relu };
        let outcome = run(Shape { activation, ..shape(rule) }, vec![job(0, updates)]);
        let LaneOutcome::Completed { scores, .. } = &outcome[0] else { panic!("{rule}: {outcome:?}") };
        assert!(scores[0].test_accuracy > 0.6, "{rule}: {:?}", scores[0]);
    }
}

#[test]
fn convolutional_networks_learn_the_digits() {
    for network in [Network::Convnet, Network::DenseConvnet] {
        for rule in [Rule::Bp, Rule::Fa, Rule::Dtp] {
            let convolution = Convolution { channel_multiplier: 8, ..Convolution::default() };
            let mut job = job(0, 600);
            job.hyperparameters.learning_rate = 1e-2;
            let outcome = run(Shape { network, convolution, depth: 2, ..shape(rule) }, vec![job]);
            let LaneOutcome::Completed { scores, .. } = &outcome[0] else { panic!("{rule}: {outcome:?}") };
            assert!(scores[0].test_accuracy > 0.2, "{rule} {network}: {:?}", scores[0]);
        }
    }
}

#[test]
fn measuring_changes_no_curve_and_finds_what_rules_are_known_for() {
    for &rule in Rule::ALL {
        let measured = |activation, measures: &[Measure]| {
            let shape = Shape { activation, ..shape(rule) };
            let outcome = run_measured(shape, vec![job(0, 80)], measures.to_vec(), &mut { NO_LIMIT });
            let LaneOutcome::Completed { curve, diagnostics, .. } = outcome[0].clone() else { panic!("{outcome:?}") };
            (curve, diagnostics)
        };
        let (plain, nothing) = measured(ActivationFunction::Relu, &[]);
        let (curve, diagnostics) = measured(ActivationFunction::Relu, Measure::ALL);
        assert_eq!((plain, nothing), (curve, Vec::new()), "{rule}");
        let of = |measure: Measure| diagnostics.iter().filter(move |point| point.measure == measure);
        assert_eq!(of(Measure::UpdateAngle).count(), 2 * 4, "{rule}: two evaluations, four layers");
        for point in of(Measure::UpdateAngle) {
            match (rule, point.layer) {
                (Rule::Bp, _) => assert!(point.value < 0.1, "{point:?}"),
                // Its inputs are states, which have moved.
                (Rule::Pc, 4) => assert!(point.value < 90.0, "{rule} {point:?}"),
                // The output layer trains on its own error, unless targets reach it.
                (_, 4) => assert!(point.value < 0.1, "{rule} {point:?}"),
                (Rule::Usf | Rule::Frsf | Rule::Brsf, _) => assert!(point.value < 90.0, "{rule} {point:?}"),
                // Feedback and weights align with time, from the last layer down.
                (Rule::Fa, 3) if point.update == 80 => assert!(point.value < 90.0, "{rule} {point:?}"),
                _ => {}
            }
        }
        let has_feedback = rule.descriptor().diagnostics.contains(&Measure::FeedbackAngle);
        assert_eq!(of(Measure::FeedbackAngle).count(), if has_feedback { 2 * 3 } else { 0 }, "{rule}");
        for measure in [Measure::ReconstructionError, Measure::DecoderAngle] {
            let has_it = rule.descriptor().diagnostics.contains(&measure);
            let decoders = if has_it { rule.descriptor().decoders.layers(4).len() } else { 0 };
            assert_eq!(of(measure).count(), 2 * decoders, "{rule} {measure}");
        }
        for layer in 1..=4 {
            // Decoders learn derivatives with time.
            let angles: Vec<f64> =
                of(Measure::DecoderAngle).filter(|point| point.layer == layer).map(|point| point.value).collect();
            assert!(angles.is_sorted_by(|before, after| before > after), "{rule} layer {layer}: {angles:?}");
        }
        assert_eq!((of(Measure::DeadUnits).count(), of(Measure::SaturatedUnits).count()), (2 * 3, 0), "{rule}");
        assert!(of(Measure::WeightNorm).all(|point| point.value > 0.0));
        let (_, diagnostics) = measured(ActivationFunction::Tanh, &[Measure::SaturatedUnits]);
        assert!(diagnostics.len() == 6 && diagnostics.iter().all(|point| (0.0..=1.0).contains(&point.value)), "{rule}");
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

/// The score of each stopping rule on a curve.
fn scores(outcome: &LaneOutcome, rules: &[StoppingRule], eval_every: u64) -> Vec<Option<Score>> {
    let watch = |&rule| {
        let mut stopper = EarlyStopper::new(rule, eval_every);
        curve(outcome).iter().for_each(|point| stopper.observe(point));
        stopper.score()
    };
    rules.iter().map(watch).collect()
}

fn stopping_rule() -> impl Strategy<Value = StoppingRule> {
    let early_stop = prop::option::of((0_u64..60, 1_u32..4)).prop_map(|rule| {
        let (start, patience) = rule?;
        Some(EarlyStop { start, patience })
    });
    (1_u64..80, early_stop).prop_map(|(max_updates, early_stop)| StoppingRule { max_updates, early_stop })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 40, ..ProptestConfig::default() })]
    #[test]
    fn each_trial_of_a_trajectory_finds_what_it_finds_alone(
        rules in prop::collection::vec(stopping_rule(), 2..6),
        eval_every in 3_u64..20,
        seed in 0_u64..1_000,
        steep in any::<bool>(),
    ) {
        // The rate is so high that accuracies go up and down, and sometimes the loss is not finite.
        let learning_rate = if steep { 4.0 } else { 0.05 };
        let shape = Shape { optimizer: Optimizer::Sgd, hidden: 16, batch_size: 32, eval_every, ..shape(Rule::Bp) };
        let trained = |rules: &[StoppingRule]| {
            let hyperparameters = Hyperparameters { seed, learning_rate, ..Hyperparameters::default() };
            run(shape.clone(), vec![LaneJob { hyperparameters, stopping_rules: rules.to_vec(), resume: None }]).remove(0)
        };
        let shared = scores(&trained(&rules), &rules, eval_every);
        for (rule, shared) in rules.iter().zip(shared) {
            let alone = scores(&trained(&[*rule]), &[*rule], eval_every);
            prop_assert_eq!(alone, [shared], "{:?} among {:?}", rule, rules);
        }
    }
}

#[test]
fn early_stopping_ends_training_once_no_trial_needs_more() {
    let early_stop = Some(EarlyStop { start: 0, patience: 1 });
    let stopping_rules = vec![StoppingRule { max_updates: 100_000, early_stop }];
    let outcome = run(shape(Rule::Bp), vec![LaneJob { stopping_rules, ..job(0, 1) }]);
    let LaneOutcome::Completed { curve, scores, .. } = &outcome[0] else { panic!("{outcome:?}") };
    assert!(scores[0].updates < 100_000);
    assert_eq!(scores[0].updates, curve[curve.len() - 1].update, "nothing is trained past the end");
    assert!(curve.iter().all(|point| point.test_accuracy.is_some() == (point.update <= scores[0].best_update)));
}

#[test]
fn a_loss_that_ceases_to_be_finite_ends_the_lane_with_its_update() {
    let mut job = job(0, 1_000);
    job.hyperparameters.learning_rate = 1e30;
    let outcome = run(Shape { optimizer: Optimizer::Sgd, ..shape(Rule::Bp) }, vec![job]);
    let LaneOutcome::Diverged { what, update, .. } = &outcome[0] else { panic!("{outcome:?}") };
    assert_eq!((what, (2..20).contains(update)), (&NotFinite::TrainingLoss, true), "{outcome:?}");
}

#[test]
fn a_network_that_explodes_in_its_last_update_has_diverged() {
    for network in [Network::Nn, Network::Dn] {
        let shape = Shape { optimizer: Optimizer::Sgd, network, ..shape(Rule::Bp) };
        let explosive = |ends: &[u64]| {
            let mut job = job(0, 1);
            job.hyperparameters.learning_rate = 1e38;
            let rule = |&max_updates| StoppingRule { max_updates, early_stop: None };
            job.stopping_rules = ends.iter().map(rule).collect();
            run(shape.clone(), vec![job]).remove(0)
        };
        // The loss of the only update was the loss before that update.
        let outcome = explosive(&[1]);
        assert!(
            matches!(&outcome, LaneOutcome::Diverged { what: NotFinite::Evaluation, update: 1, curve, .. } if curve.is_empty()),
            "{network}: {outcome:?}"
        );
        // A trial without an evaluation there continues to the next loss.
        let outcome = explosive(&[1, 100]);
        assert!(matches!(&outcome, LaneOutcome::Diverged { update: 2, curve, .. } if curve.is_empty()), "{outcome:?}");
    }
}

#[test]
fn a_lane_told_to_stop_stops_before_its_next_update() {
    let mut limit = Limit { limit: 50, ..NO_LIMIT };
    let outcome = run_with(shape(Rule::Fa), vec![job(0, 1_000)], &mut limit);
    assert!(
        matches!(&outcome[0], LaneOutcome::Stopped { state } if state.curve.len() == 1 && state.update == 50),
        "{outcome:?}"
    );
    assert_eq!(limit.updates, 50);
}

/// Stops a lane at an update. Resumes it from its encoded and decoded state.
fn interrupted(shape: &Shape, job: &LaneJob, measures: &[Measure], at: u64) -> LaneJob {
    let mut limit = Limit { limit: at, updates: job.resume.as_ref().map_or(0, |state| state.update) };
    let outcome = run_measured(shape.clone(), vec![job.clone()], measures.to_vec(), &mut limit);
    let LaneOutcome::Stopped { state } = &outcome[0] else { panic!("{outcome:?}") };
    let key = checkpoint::key(shape, job.hyperparameters);
    let read = checkpoint::decode(key, &checkpoint::encode(key, state)).expect("own bytes");
    LaneJob { resume: Some(read), ..job.clone() }
}

#[test]
fn a_trajectory_taken_up_from_checkpoints_has_the_same_curve_to_the_last_bit() {
    for &rule in Rule::ALL {
        for &network in Network::ALL.iter().filter(|&&network| rule.trains(network)) {
            let depth = if network.is_convolutional() { 2 } else { 3 };
            // An epoch of 12,000 images less the validation part is 20 batches of 500.
            let shape = Shape {
                network,
                depth,
                eval_every: 12,
                batch_size: 500,
                hidden: 16,
                convolution: slim(),
                ..shape(rule)
            };
            let whole = run_measured(shape.clone(), vec![job(1, 24)], vec![Measure::UpdateAngle], &mut { NO_LIMIT });
            let mut resumed = job(1, 24);
            // In the middle of an interval, at an evaluation, and at the end of an epoch.
            for at in [3, 12, 20] {
                resumed = interrupted(&shape, &resumed, &[Measure::UpdateAngle], at);
            }
            // Beside another lane, and at another index.
            let again = run_measured(shape, vec![job(0, 12), resumed], vec![Measure::UpdateAngle], &mut { NO_LIMIT });
            assert_eq!(whole[0], again[1], "{rule} {network}");
        }
    }
}

#[test]
fn every_optimiser_goes_on_with_what_it_remembers() {
    for &optimizer in Optimizer::ALL {
        for (momentum, nesterov) in [(0.0, false), (0.9, true)] {
            let shape = Shape { optimizer, eval_every: 6, ..shape(Rule::Dtp) };
            let mut job = job(0, 12);
            // Only sgd uses them.
            (job.hyperparameters.momentum, job.hyperparameters.nesterov) = (momentum, nesterov);
            let whole = run(shape.clone(), vec![job.clone()]);
            assert_eq!(whole, run(shape.clone(), vec![interrupted(&shape, &job, &[], 7)]), "{optimizer} {momentum}");
        }
    }
}

/// Records incompatible states.
struct Fitting(Vec<(usize, String)>);

impl Observer for Fitting {
    fn incompatible(&mut self, lane: usize, why: &IncompatibleState) {
        self.0.push((lane, why.to_string()));
    }
}

#[test]
fn a_state_that_does_not_fit_is_told_and_its_lane_begins_anew() {
    let fresh = job(0, 12);
    let fitting = interrupted(&shape(Rule::Bp), &fresh, &[], 3);
    let mut other_optimiser = fitting.clone();
    if let Some(state) = &mut other_optimiser.resume {
        let mean = state.tensors.remove("forward.mean.1.weight").expect("adam has it");
        state.tensors.insert("forward.velocity.1.weight".to_owned(), mean);
    }
    let mut transposed = fitting.clone();
    if let Some(state) = &mut transposed.resume {
        state.tensors.get_mut("forward.1.weight").expect("it has it").shape.reverse();
    }
    for (shape, job) in [
        (shape(Rule::Bp), &transposed),
        (shape(Rule::Fa), &fitting),
        (Shape { hidden: 31, ..shape(Rule::Bp) }, &fitting),
        (shape(Rule::Bp), &other_optimiser),
    ] {
        let mut observer = Fitting(Vec::new());
        // The other lane is not affected.
        let outcomes = run_with(shape.clone(), vec![fresh.clone(), job.clone()], &mut observer);
        assert_eq!(observer.0.iter().map(|(lane, _)| *lane).collect::<Vec<_>>(), [1]);
        assert!(observer.0[0].1.contains("of another network or optimiser"), "{:?}", observer.0);
        assert_eq!(outcomes[0], outcomes[1]);
        assert_eq!(outcomes[..1], run(shape, vec![fresh.clone()])[..]);
    }
}

/// Wants the state of each lane as soon as it has trained since the last one.
#[derive(Default)]
struct Careful {
    updates: [u64; 3],
    kept: [u64; 3],
    /// The largest number of updates of all lanes together that no state contained.
    unkept_max: u64,
}

impl Observer for Careful {
    fn updated(&mut self, lane: usize, updates: u64) {
        self.updates[lane] = updates;
        let unkept = self.updates.iter().zip(&self.kept).map(|(done, kept)| done - kept).sum();
        self.unkept_max = self.unkept_max.max(unkept);
    }
    fn wanted_state(&mut self, lanes: &mut dyn Iterator<Item = usize>) -> Option<usize> {
        lanes.filter(|&lane| self.updates[lane] - self.kept[lane] >= 5).min()
    }
    fn state(&mut self, lane: usize, state: LaneState) {
        assert_eq!(state.update, self.updates[lane], "the state as it is now");
        self.kept[lane] = state.update;
    }
    fn incompatible(&mut self, _: usize, why: &IncompatibleState) {
        panic!("{why}");
    }
    fn ended(&mut self, lane: usize, _: &LaneOutcome, _: f64) {
        self.kept[lane] = self.updates[lane];
    }
}

#[test]
fn the_states_of_all_lanes_are_offered_in_the_turn_of_each() {
    // A turn may end with five updates that no state contains. The states of waiting lanes are taken in the next lane's
    // turn.
    let mut careful = Careful::default();
    run_with(Shape { eval_every: 5, ..shape(Rule::Bp) }, (0..3).map(|seed| job(seed, 20)).collect(), &mut careful);
    assert!(careful.unkept_max <= 5 + 1, "{}", careful.unkept_max);
}
