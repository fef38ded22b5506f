//! The benchmark: updates per second of training, and of the bare matrix products of the same update.
//!
//! Both run in short alternating rounds, so that other load on the machine affects both. The result compares the
//! medians of the rounds.

use biosweep_common::configuration::{Hyperparameters, Shape};
use biosweep_common::rules::{Decoders, Errors, Learned, Rule};
use biosweep_data::{self as data, DataError, Part, Places};
use biosweep_host::clock::Clock;
use biosweep_numeric::random::{Purpose, Stream};
use serde::Serialize;
use tch::{Device, Kind, TchError, Tensor};

use crate::architecture::Architecture;
use crate::kernels::buffer::Buffer;
use crate::kernels::transfer::draw_normal;
use crate::model::group::Change;
use crate::model::parameters::ParameterSpec;
use crate::rules;
use crate::train::{Batches, Evaluator, Learner, TrainError};

/// The result of a benchmark.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measured {
    /// Updates per second of training: batch, forward, rule, optimiser.
    pub updates_per_s: f64,
    /// Updates per second of the bare matrix products of the rule.
    pub floor_updates_per_s: f64,
    /// `updates_per_s` / `floor_updates_per_s`.
    pub ratio: f64,
    /// The cost of an evaluation of 10,000 images, in updates.
    pub evaluation_updates: f64,
    /// Rounds of training, and of the bare products.
    pub rounds: u32,
    /// Updates per round.
    pub updates_per_round: u32,
}

/// The error of a benchmark.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The dataset is missing.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The shape cannot be trained.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// libtorch reports an error.
    #[error("libtorch: {0}")]
    Libtorch(#[from] TchError),
}

/// Rounds of training, and of the bare products.
const ROUNDS: u32 = 15;

/// Measures `updates` updates of this shape, and the bare products of as many updates.
///
/// # Errors
/// The shape cannot be trained.
pub fn run(shape: &Shape, hyperparameters: &Hyperparameters, updates: u32) -> Result<Measured, BenchError> {
    let _no_gradients = tch::no_grad_guard();
    let data = data::load(&shape.dataset, &Places::default())?;
    let split = data.split(hyperparameters.fold);
    let mut batches = Batches::new(&split.train, shape.batch_size, hyperparameters, 0)?;
    let mut learner = Learner::<f32>::new(shape, &data, std::slice::from_ref(hyperparameters))?;
    let mut floor = Floor::new(&learner.model.architecture, shape)?;

    let updates_per_round = updates.div_ceil(ROUNDS).max(1);
    let clock = Clock::start();
    let (mut training, mut bare) = (Vec::new(), Vec::new());
    let mut update = 0;
    // The first round warms the caches and is not counted.
    for round in 0..=ROUNDS {
        let start = clock.seconds();
        for _ in 0..updates_per_round {
            update += 1;
            learner.update(0, &data, batches.next(&split.train), update)?;
        }
        let middle = clock.seconds();
        for _ in 0..updates_per_round {
            floor.update()?;
        }
        if round > 0 {
            training.push(f64::from(updates_per_round) / (middle - start));
            bare.push(f64::from(updates_per_round) / (clock.seconds() - middle));
        }
    }
    let mut evaluator = Evaluator::new(&learner.model, &data)?;
    let evaluated: Vec<u32> = (0..10_000).map(|place| split.train[place % split.train.len()]).collect();
    let mut evaluating = Vec::new();
    for _ in 0..ROUNDS {
        let start = clock.seconds();
        evaluator.accuracy(&learner.model, 0, &data, Part::Train, &evaluated)?;
        evaluating.push(clock.seconds() - start);
    }
    let (updates_per_s, floor_updates_per_s) = (median(training), median(bare));
    let ratio = updates_per_s / floor_updates_per_s;
    let evaluation_updates = median(evaluating) * updates_per_s;
    Ok(Measured { updates_per_s, floor_updates_per_s, ratio, evaluation_updates, rounds: ROUNDS, updates_per_round })
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// The bare matrix products of one update, in plain form: activations [images, in], weights [out, in], each result in
/// its own memory. The inputs of a dense layer are a range of columns of one matrix. A convolution counts as its
/// products after unfolding; the unfolding does not count.
///
/// Random numbers that the rule draws in every update count too.
struct Floor {
    products: Vec<Product>,
    /// Memory for the draws of each layer, and their number.
    draws: (Buffer<f32>, Vec<usize>),
}

/// output = left · right.
struct Product {
    output: Tensor,
    left: Tensor,
    right: Tensor,
}

impl Floor {
    fn new(architecture: &Architecture, shape: &Shape) -> Result<Self, TchError> {
        let (rows, descriptor) = (i64::from(shape.batch_size), shape.rule.descriptor());
        let output = architecture.topology.output();
        let mut products = Vec::new();
        let matrix = |rows: i64, columns: i64| Tensor::f_randn([rows, columns], (Kind::Float, Device::Cpu));
        let hidden: i64 = architecture.topology.hidden().map(|layer| architecture.channels(layer) as i64).sum();
        let (activations, errors) = (matrix(rows, hidden)?, matrix(rows, hidden)?);
        let columns = |of: &Tensor, layers: &[usize]| {
            let before: usize = (1..layers[0]).map(|layer| architecture.channels(layer)).sum();
            let width: usize = layers.iter().map(|&layer| architecture.channels(layer)).sum();
            of.f_narrow(1, before as i64, width as i64)
        };
        let mut add = |output: Tensor, left: &Tensor, right: &Tensor| {
            products.push(Product { output, left: left.shallow_clone(), right: right.shallow_clone() });
        };
        for layer in 1..=output {
            let (inputs, outputs) = (architecture.inputs(layer).fan_in() as i64, architecture.channels(layer) as i64);
            let positions = rows * architecture.extent(layer).positions() as i64;
            let sources = architecture.topology.sources(layer);
            let side_by_side =
                !architecture.is_convolutional() && architecture.input_groups(layer).len() == 1 && sources[0] > 0;
            let input = if side_by_side { columns(&activations, sources)? } else { matrix(positions, inputs)? };
            let error = if side_by_side { columns(&errors, sources)? } else { matrix(positions, inputs)? };
            let weight = matrix(outputs, inputs)?;
            let (z, delta) = (matrix(positions, outputs)?, matrix(positions, outputs)?);
            add(z.shallow_clone(), &input, &weight.f_tr()?);
            add(matrix(outputs, inputs)?, &delta.f_tr()?, &input);
            let is_output = layer == output;
            if descriptor.errors.leave(layer, output) {
                add(error.shallow_clone(), &delta, &weight);
            }
            if descriptor.errors == Errors::Direct && !is_output {
                let units = architecture.extent(layer).units() as i64;
                add(
                    matrix(rows, units)?,
                    &matrix(rows, architecture.classes() as i64)?,
                    &matrix(architecture.classes() as i64, units)?,
                );
                if descriptor.learned == Learned::Feedback {
                    let (error, hidden) = (matrix(rows, architecture.classes() as i64)?, matrix(rows, units)?);
                    add(matrix(architecture.classes() as i64, units)?, &error.f_tr()?, &hidden);
                }
            }
            if descriptor.learned == Learned::Auxiliary && !is_output {
                let classes = architecture.classes() as i64;
                let (hidden, classifier) = (matrix(rows, outputs)?, matrix(classes, outputs)?);
                let (prediction, error) = (matrix(rows, classes)?, matrix(rows, classes)?);
                add(prediction, &hidden, &classifier.f_tr()?);
                add(matrix(rows, outputs)?, &error, &classifier);
                add(matrix(classes, outputs)?, &error.f_tr()?, &hidden);
            }
            // Inference sends errors back through the layer, and computes it anew.
            if descriptor.errors == Errors::Inference && layer > 1 {
                for _ in 0..shape.procedure.inference_steps {
                    add(error.shallow_clone(), &delta, &weight);
                    add(z.shallow_clone(), &input, &weight.f_tr()?);
                }
            }
            // Noise of each layer below is carried through this one.
            if descriptor.learned == Learned::OutputDecoders {
                for _ in 1..layer {
                    add(z.shallow_clone(), &input, &weight.f_tr()?);
                }
            }
            if descriptor.decoders == Decoders::FromOutput && !is_output {
                let classes = architecture.classes() as i64;
                let (decoder, error, to_layer) =
                    (matrix(outputs, classes)?, matrix(rows, classes)?, matrix(rows, outputs)?);
                // The target, the decoder's answer to noise, and its gradient.
                add(to_layer.shallow_clone(), &error, &decoder.f_tr()?);
                add(matrix(rows, outputs)?, &error, &decoder.f_tr()?);
                add(matrix(outputs, classes)?, &to_layer.f_tr()?, &error);
            } else if descriptor.decoders.layers(output).contains(&layer) {
                let kernel_size = (architecture.kernel_size(layer) * architecture.kernel_size(layer)) as i64;
                let (units, back) = (kernel_size * outputs, architecture.hidden_channels(layer) as i64);
                let (decoder, unfolded) = (matrix(back, units)?, matrix(positions, units)?);
                // Decoder outputs for the activations and the target differences; a linear decoder needs the differences alone.
                // If the decoder learns: its output for the noisy code, or for noise; the noisy code; the decoder gradient, which
                // has two parts in one product for decoders of differences.
                let (decoded, gradient_rows) = match descriptor.learned {
                    Learned::Decoders => (3, positions),
                    Learned::DifferenceDecoders => (2, 2 * positions),
                    _ => (2, 0),
                };
                for _ in 0..decoded {
                    add(matrix(positions, back)?, &unfolded, &decoder.f_tr()?);
                }
                if gradient_rows > 0 {
                    add(z, &matrix(positions, inputs)?, &weight.f_tr()?);
                    let (errors, codes) = (matrix(gradient_rows, back)?, matrix(gradient_rows, units)?);
                    add(matrix(back, units)?, &errors.f_tr()?, &codes);
                }
            }
        }
        let draws = draws(architecture, shape.rule, rows as usize);
        let memory = Buffer::zeros(draws.iter().copied().max().unwrap_or(0))?;
        Ok(Self { products, draws: (memory, draws) })
    }

    fn update(&mut self) -> Result<(), TchError> {
        let (memory, draws) = &mut self.draws;
        for (layer, &count) in (0..).zip(&*draws) {
            draw_normal(memory.view_mut(0..count), &mut Stream::new(0, 0, Purpose::Noise(layer), 0), 1.0);
        }
        self.products.iter().try_for_each(|Product { output, left, right }| left.f_mm_out(output, right).map(drop))
    }
}

/// The numbers of random numbers that a rule draws in an update: noise, and parameters that are drawn anew.
fn draws(architecture: &Architecture, rule: Rule, rows: usize) -> Vec<usize> {
    let output = architecture.topology.output();
    let of_sources = |layer: usize| rows * architecture.extent(layer).positions() * architecture.hidden_channels(layer);
    let of_layer = |layer: usize| rows * architecture.extent(layer).units();
    let decoders = || rule.descriptor().decoders.layers(output);
    let of_noise: Vec<usize> = match rule.descriptor().learned {
        Learned::Decoders => decoders().map(of_sources).collect(),
        Learned::DifferenceDecoders => decoders().flat_map(|layer| [of_sources(layer), of_layer(layer)]).collect(),
        Learned::OutputDecoders => decoders().map(of_layer).collect(),
        Learned::None | Learned::Feedback | Learned::Auxiliary => Vec::new(),
    };
    let groups = rules::groups::<f32>(rule, architecture);
    let redrawn = groups.iter().filter(|group| matches!(group.change, Change::Redrawn));
    of_noise.into_iter().chain(redrawn.flat_map(|group| group.specs.iter().map(ParameterSpec::count))).collect()
}
