//! Updates per second of training, beside the bare matrix products of the same update, in one run.
//!
//! Both go in short rounds that take turns, so that whatever else the machine does falls on both; the medians of the
//! rounds are compared.

use biosweep_common::clock::Clock;
use biosweep_common::configuration::{Hyperparameters, Shape};
use biosweep_common::vocabulary::Rule;
use serde::Serialize;
use tch::TchError;

use crate::data::{self, DataError, Places};
use crate::layer::{self, Arrival};
use crate::network::{HiddenMatrix, Network, Pass};
use crate::train::{Batches, Learner, TrainError};

/// What was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measured {
    /// Updates per second of training: batch, forward, rule, optimiser.
    pub updates_per_s: f64,
    /// Updates per second if an update were the matrix products of back-propagation and nothing else.
    pub floor_updates_per_s: f64,
    /// The first over the second.
    pub ratio: f64,
    /// Rounds of each.
    pub rounds: u32,
    /// Updates in a round.
    pub updates_per_round: u32,
}

/// Why nothing could be measured.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The data cannot be had.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The shape cannot be trained.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// libtorch refused.
    #[error("libtorch: {0}")]
    Libtorch(#[from] TchError),
}

/// Rounds of each kind.
const ROUNDS: u32 = 15;

/// Measures `updates` updates of this shape in all, and as many of its floor.
///
/// # Errors
/// A shape that cannot be trained.
pub fn run(shape: &Shape, hyperparameters: &Hyperparameters, updates: u32) -> Result<Measured, BenchError> {
    let _no_gradients = tch::no_grad_guard();
    let data = data::load(&shape.dataset, &Places::default())?;
    let split = data.split(hyperparameters.fold);
    let mut batches = Batches::new(&split.train, shape.batch_size, hyperparameters)?;
    let mut learner = Learner::<f32>::new(shape, &data, hyperparameters)?;
    let floor = Floor::new(&learner.network, Rule::Bp, shape.batch_size as usize)?;

    let updates_per_round = updates.div_ceil(ROUNDS).max(1);
    let clock = Clock::start();
    let (mut training, mut bare) = (Vec::new(), Vec::new());
    let mut update = 0;
    // The first round of each warms caches and is not counted.
    for round in 0..=ROUNDS {
        let start = clock.seconds();
        for _ in 0..updates_per_round {
            update += 1;
            learner.update(&data, batches.next(), update)?;
        }
        let middle = clock.seconds();
        for _ in 0..updates_per_round {
            floor.products()?;
        }
        if round > 0 {
            training.push(f64::from(updates_per_round) / (middle - start));
            bare.push(f64::from(updates_per_round) / (clock.seconds() - middle));
        }
    }
    let (updates_per_s, floor_updates_per_s) = (median(training), median(bare));
    let ratio = updates_per_s / floor_updates_per_s;
    Ok(Measured { updates_per_s, floor_updates_per_s, ratio, rounds: ROUNDS, updates_per_round })
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// The matrix products of one update of back-propagation, on memory laid out as in training.
struct Floor {
    network: Network<f32>,
    pass: Pass<f32>,
    errors: HiddenMatrix<f32>,
}

impl Floor {
    fn new(like: &Network<f32>, rule: Rule, rows: usize) -> Result<Self, TchError> {
        let network = Network::zeros(like.wiring.clone(), rule, like.activation)?;
        let pass = Pass::new(&network.wiring, rows)?;
        Ok(Self { errors: HiddenMatrix::zeros(&network.wiring, rows)?, network, pass })
    }

    fn products(&self) -> Result<(), TchError> {
        let output = self.network.wiring.topology.output();
        let out = |layer: usize| if layer == output { self.pass.logits() } else { self.pass.hidden.layer(layer) };
        let delta = |layer: usize| if layer == output { self.pass.output_delta() } else { self.errors.layer(layer) };
        for layer in 1..=output {
            let weight_t = &self.network.forward.views(0, layer).weight_t;
            drop(self.pass.input(layer).f_mm_out(out(layer), weight_t)?);
        }
        for layer in (1..=output).rev() {
            let views = self.network.forward.views(0, layer);
            if let Some(error) = self.errors.sources(layer) {
                layer::error_to_input(Arrival::First, error, delta(layer), &views.weight)?;
            }
            layer::weight_gradient(&views.weight_gradient, delta(layer), self.pass.input(layer))?;
        }
        Ok(())
    }
}
