//! The settings of a shape: those that all lanes of a bundle share.

use crate::rules::Rule;
use crate::vocabulary::dataset::DatasetRef;
use crate::vocabulary::{
    ActivationFunction, DecoderActivation, DecoderOrder, Network, Optimizer, ParametersAs, PcSolver,
};

/// The settings that must be equal for trajectories to train as lanes of one bundle.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shape {
    /// The dataset to learn.
    pub dataset: DatasetRef,
    /// The kind of layers and their connections.
    pub network: Network,
    /// The learning rule.
    pub rule: Rule,
    /// The activation function of the hidden layers.
    pub activation: ActivationFunction,
    /// Number of hidden layers, at least 1.
    pub depth: u32,
    /// Units of each hidden layer of a fully connected network.
    pub hidden: u32,
    /// The network whose number of forward parameters decides the units in place of `hidden`; other networks than chains
    /// ignore it.
    pub parameters_as: Option<ParametersAs>,
    /// The settings of convolutional networks.
    pub convolution: Convolution,
    /// The skip connections beyond those that the network's name implies.
    pub skip: Skip,
    /// What a learning rule does in an update, for rules that have a choice.
    pub procedure: Procedure,
    /// Images in one update.
    pub batch_size: u32,
    /// The optimiser.
    pub optimizer: Optimizer,
    /// Updates between two evaluations.
    pub eval_every: u64,
}

/// The settings of convolutional networks; other networks ignore them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Convolution {
    /// Channels of layer l are l times this.
    pub channel_multiplier: u32,
    /// The layers after which the resolution is halved, counted from 1.
    pub downsample_after: Vec<u64>,
}

impl Default for Convolution {
    fn default() -> Self {
        Self { channel_multiplier: 16, downsample_after: vec![1, 2] }
    }
}

/// The settings of skip connections, for networks that have a choice.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Skip {
    /// Whether every dense layer also has the input as a source (dn).
    pub input: bool,
    /// The expected fraction of all possible skip connections that exist (lognormal).
    pub density: Real,
    /// σ of the log-normal decay with distance (lognormal).
    pub decay: Real,
    /// The seed of the random skip connections (lognormal).
    pub seed: u64,
}

impl Default for Skip {
    fn default() -> Self {
        Self { input: false, density: Real(0.3), decay: Real(1.0), seed: 0 }
    }
}

/// What a learning rule does in an update; other rules ignore it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Procedure {
    /// Updates of the decoders.
    pub decoder_steps: u32,
    /// When the decoders learn.
    pub decoder_order: DecoderOrder,
    /// The activation function of the decoders.
    pub decoder_activation: DecoderActivation,
    /// How predictive coding finds its states.
    pub pc_solver: PcSolver,
    /// Steps in which predictive coding finds its states.
    pub inference_steps: u32,
}

impl Default for Procedure {
    fn default() -> Self {
        Self {
            decoder_steps: 1,
            decoder_order: DecoderOrder::Same,
            decoder_activation: DecoderActivation::Same,
            pc_solver: PcSolver::State,
            inference_steps: 20,
        }
    }
}

/// A real number that is never NaN, so that types with it can be compared and sorted.
#[derive(Debug, Clone, Copy)]
pub struct Real(pub f64);

impl PartialEq for Real {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Real {}

impl PartialOrd for Real {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Real {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl std::hash::Hash for Real {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}
