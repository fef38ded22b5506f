//! A case: rule, network and settings of one update, as a JSON file.

use std::fs;
use std::path::Path;

use biosweep_common::configuration::{Hyperparameters, Procedure, Real, Skip};
use biosweep_common::rules::Rule;
use biosweep_common::vocabulary::{ActivationFunction, DecoderActivation, DecoderOrder, Network, PcSolver};
use serde::Deserialize;

use super::StepError;

/// The settings of one update. Layer sizes and batch size follow from the tensors; other keys are ignored.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Case {
    /// The learning rule.
    pub rule: Rule,
    /// The kind of network.
    pub network: Network,
    /// The activation function of the hidden layers.
    pub activation: ActivationFunction,
    /// The number of hidden layers.
    pub depth: usize,
    /// The channel multiplier of a convolutional network: layer l has this number of channels, divided by l.
    #[serde(default = "sixteen")]
    pub channel_multiplier: u32,
    /// The layers after which the resolution halves.
    #[serde(default = "first_two")]
    pub downsample_after: Vec<u64>,
    /// Whether every dense layer has the input as a source.
    #[serde(default)]
    pub skip_input: bool,
    /// The density of skip connections of a log-normal network.
    #[serde(default = "three_tenths")]
    pub skip_density: f64,
    /// σ of the decay of skip connections with distance.
    #[serde(default = "one")]
    pub skip_decay: f64,
    /// The seed of the skip connections.
    #[serde(default)]
    pub skip_seed: u64,
    /// η of target propagation.
    #[serde(default = "tenth")]
    pub target_step: f64,
    /// The standard deviation of the noise on the inputs of decoders.
    #[serde(default = "tenth")]
    pub noise_std: f64,
    /// Updates of the decoders.
    #[serde(default = "one_step")]
    pub decoder_steps: u32,
    /// Whether targets see the decoders as they are in the file, or after these updates: of SGD, without weight decay.
    #[serde(default = "with_weights")]
    pub decoder_order: DecoderOrder,
    /// Step size of the decoders.
    #[serde(default = "thousandth")]
    pub decoder_learning_rate: f64,
    /// The activation function of the decoders.
    #[serde(default = "of_network")]
    pub decoder_activation: DecoderActivation,
    /// How predictive coding finds its states.
    #[serde(default = "by_states")]
    pub pc_solver: PcSolver,
    /// Steps in which predictive coding finds its states.
    #[serde(default = "twenty")]
    pub inference_steps: u32,
    /// Size of these steps.
    #[serde(default = "tenth")]
    pub inference_rate: f64,
}

fn one_step() -> u32 {
    1
}

fn twenty() -> u32 {
    20
}

fn with_weights() -> DecoderOrder {
    DecoderOrder::Same
}

fn of_network() -> DecoderActivation {
    DecoderActivation::Same
}

fn by_states() -> PcSolver {
    PcSolver::State
}

fn thousandth() -> f64 {
    0.001
}

fn tenth() -> f64 {
    0.1
}

fn three_tenths() -> f64 {
    0.3
}

fn one() -> f64 {
    1.0
}

fn sixteen() -> u32 {
    16
}

fn first_two() -> Vec<u64> {
    vec![1, 2]
}

impl Case {
    /// Reads a case.
    ///
    /// # Errors
    /// The file cannot be read, or it is not a case.
    pub fn read(path: &Path) -> Result<Self, StepError> {
        let text = fs::read_to_string(path).map_err(|error| StepError::File {
            what: "read",
            path: path.to_owned(),
            why: error.to_string(),
        })?;
        let refused = |why: String| StepError::Case { path: path.to_owned(), why };
        let case: Self = serde_json::from_str(&text).map_err(|error| refused(error.to_string()))?;
        if case.depth == 0 {
            return Err(refused("a network has at least one hidden layer; `depth` is 0".to_owned()));
        }
        if !case.rule.trains(case.network) {
            return Err(refused(format!("the rule {} is not defined for the network {}", case.rule, case.network)));
        }
        if case.decoder_steps != 1 && case.decoder_order == DecoderOrder::Same {
            return Err(refused("`decoder_steps` above 1 needs `decoder_order` \"before\"".to_owned()));
        }
        Ok(case)
    }

    /// The hyperparameters. Those that no update of gradients uses have their defaults.
    #[must_use]
    pub fn hyperparameters(&self) -> Hyperparameters {
        let Self { target_step, noise_std, decoder_learning_rate, inference_rate, .. } = *self;
        Hyperparameters { target_step, noise_std, decoder_learning_rate, inference_rate, ..Hyperparameters::default() }
    }

    /// What the rule does in the update.
    #[must_use]
    pub fn procedure(&self) -> Procedure {
        let Self { decoder_steps, decoder_order, decoder_activation, pc_solver, inference_steps, .. } = *self;
        Procedure { decoder_steps, decoder_order, decoder_activation, pc_solver, inference_steps }
    }

    /// The settings of skip connections.
    #[must_use]
    pub fn skip(&self) -> Skip {
        let (density, decay) = (Real(self.skip_density), Real(self.skip_decay));
        Skip { input: self.skip_input, density, decay, seed: self.skip_seed }
    }
}
