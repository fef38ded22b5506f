//! The table of all settings: name, level, values, default and condition.

mod assignment;
mod domain;
pub mod place;
mod value;

use std::borrow::Borrow;
use std::fmt;

use serde::Serialize;

use crate::rules;
use crate::rules::Rule;
use crate::vocabulary::{
    ActivationFunction, DecoderActivation, DecoderOrder, Network, Optimizer, ParametersAs, PcSolver,
};

pub use assignment::{AssignmentError, assignment, assignments};
pub use domain::{CUSTOM_DATA, Domain};
pub use value::{Value, short_real};

/// The level of a setting: where its value may differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Equal in all lanes of a bundle.
    Shape,
    /// May differ between lanes.
    Lane,
    /// May differ between trials of a trajectory: it says only when to stop.
    Stop,
}

/// The condition under which a setting applies.
#[derive(Debug, Clone, Copy)]
pub struct Condition {
    /// The setting that the condition depends on.
    pub on: Setting,
    /// Whether the condition holds for this value of it, or its absence.
    pub holds: fn(Option<&Value>) -> bool,
    /// Where the setting applies: the end of the sentence "it applies to …".
    pub belongs_to: fn() -> String,
}

/// Declares [`Setting`] and its table, one row a setting.
macro_rules! settings {
    ($($(#[doc = $doc:literal])+ $variant:ident {
        name: $name:literal, level: $level:ident, domain: $domain:expr, default: $default:expr, only: $only:expr,
    })+) => {
        /// A setting of a trial, most significant in a grid's index first.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Setting { $($(#[doc = $doc])+ $variant,)+ }

        impl Setting {
            /// Every setting, most significant first: shape, then lane, then stop.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name in spec files, results and messages.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The meaning, as one sentence.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+).trim_ascii(),)+ }
            }

            /// The level of the setting.
            #[must_use]
            pub const fn level(self) -> Level {
                match self { $(Self::$variant => Level::$level,)+ }
            }

            /// The values it takes.
            #[must_use]
            pub const fn domain(self) -> Domain {
                match self { $(Self::$variant => $domain,)+ }
            }

            /// The default; `None` if the setting is required or may be absent.
            #[must_use]
            pub fn default_value(self) -> Option<Value> {
                match self { $(Self::$variant => $default,)+ }
            }

            /// The condition under which it applies; `None` if it applies to every trial.
            #[must_use]
            pub const fn condition(self) -> Option<Condition> {
                match self { $(Self::$variant => $only,)+ }
            }
        }
    };
}

const fn count(min: u64) -> Domain {
    Domain::Integer { min, max: u32::MAX as u64 }
}

const STEPS: Domain = Domain::Integer { min: 1, max: 10_000 };
const UPDATES: Domain = Domain::Integer { min: 1, max: 1 << 53 };
const SEEDS: Domain = Domain::Integer { min: 0, max: i64::MAX as u64 };

fn named<T: std::str::FromStr>(value: Option<&Value>, holds: fn(T) -> bool) -> bool {
    matches!(value, Some(Value::Name(name)) if name.parse().is_ok_and(holds))
}

/// The condition of a setting that applies to some rules only: those that list it in their descriptors.
macro_rules! of_rules {
    ($name:literal) => {
        Some(Condition {
            on: Setting::Rule,
            holds: |rule| named(rule, |rule: Rule| rule.descriptor().hyperparameters.contains(&$name)),
            belongs_to: || rules::in_words(|rule| rule.hyperparameters.contains(&$name)),
        })
    };
}
const DENSE: Option<Condition> = Some(Condition {
    on: Setting::Network,
    holds: |network| named(network, |network: Network| network == Network::Dn),
    belongs_to: || "the network dn".to_owned(),
});
const LOGNORMAL: Option<Condition> = Some(Condition {
    on: Setting::Network,
    holds: |network| named(network, |network: Network| network == Network::Lognormal),
    belongs_to: || "the network lognormal".to_owned(),
});
const FULLY_CONNECTED: Option<Condition> = Some(Condition {
    on: Setting::Network,
    holds: |network| named(network, |network: Network| !network.is_convolutional()),
    belongs_to: || "fully connected networks".to_owned(),
});
const RESIZABLE: Option<Condition> = Some(Condition {
    on: Setting::Network,
    holds: |network| named(network, Network::takes_parameters_as),
    belongs_to: || "the networks nn, readout, residual".to_owned(),
});
const CONVOLUTIONAL: Option<Condition> = Some(Condition {
    on: Setting::Network,
    holds: |network| named(network, Network::is_convolutional),
    belongs_to: || "the convolutional networks (convnet, dense_convnet)".to_owned(),
});
const SGD: Option<Condition> = Some(Condition {
    on: Setting::Optimizer,
    holds: |optimizer| named(optimizer, |optimizer: Optimizer| optimizer == Optimizer::Sgd),
    belongs_to: || "the optimizer sgd".to_owned(),
});
const MOMENTUM: Option<Condition> = Some(Condition {
    on: Setting::Momentum,
    holds: |momentum| matches!(momentum, Some(Value::Real(momentum)) if *momentum > 0.0),
    belongs_to: || "the optimizer sgd with a momentum above 0".to_owned(),
});
const EARLY_STOPPING: Option<Condition> = Some(Condition {
    on: Setting::EarlyStopStart,
    holds: |start| start.is_some(),
    belongs_to: || "trials with an early_stop_start".to_owned(),
});

settings! {
    /// The dataset to learn.
    Dataset { name: "dataset", level: Shape, domain: Domain::Dataset, default: None, only: None, }
    /// Kind of layers and connectivity.
    Network { name: "network", level: Shape, domain: Domain::Names(Network::NAMES), default: None, only: None, }
    /// The learning rule.
    Rule { name: "rule", level: Shape, domain: Domain::Names(Rule::NAMES), default: None, only: None, }
    /// Activation function of the hidden layers.
    Activation {
        name: "activation", level: Shape, domain: Domain::Names(ActivationFunction::NAMES),
        default: Some(Value::Name(ActivationFunction::Relu.name().into())), only: None,
    }
    /// Number of hidden layers.
    Depth { name: "depth", level: Shape, domain: Domain::Integer { min: 1, max: 1_000 }, default: None, only: None, }
    /// Units of each hidden layer.
    Hidden {
        name: "hidden", level: Shape, domain: Domain::Integer { min: 1, max: 65_536 },
        default: Some(Value::Integer(128)), only: FULLY_CONNECTED,
    }
    /// Network of the same depth and `hidden` whose number of forward parameters decides the units instead.
    ParametersAs {
        name: "parameters_as", level: Shape, domain: Domain::Names(ParametersAs::NAMES), default: None,
        only: RESIZABLE,
    }
    /// Channels of convolutional layer l are l times this.
    ChannelMultiplier {
        name: "channel_multiplier", level: Shape, domain: Domain::Integer { min: 1, max: 4_096 },
        default: Some(Value::Integer(16)), only: CONVOLUTIONAL,
    }
    /// The convolutional layers after which the resolution is halved.
    DownsampleAfter {
        name: "downsample_after", level: Shape, domain: Domain::Layers,
        default: Some(Value::Integers(vec![1, 2])), only: CONVOLUTIONAL,
    }
    /// Whether every dense layer also has the input as a source.
    SkipInput {
        name: "skip_input", level: Shape, domain: Domain::Flag, default: Some(Value::Flag(false)), only: DENSE,
    }
    /// Expected fraction of all possible skip connections that exist.
    SkipDensity {
        name: "skip_density", level: Shape, domain: Domain::Share, default: Some(Value::Real(0.3)), only: LOGNORMAL,
    }
    /// σ of the log-normal decay of skip connections with distance.
    SkipDecay {
        name: "skip_decay", level: Shape, domain: Domain::Positive, default: Some(Value::Real(1.0)), only: LOGNORMAL,
    }
    /// Seed of the random skip connections.
    SkipSeed {
        name: "skip_seed", level: Shape, domain: SEEDS, default: Some(Value::Integer(0)), only: LOGNORMAL,
    }
    /// Updates of the decoders in one update, each with noise of its own.
    DecoderSteps {
        name: "decoder_steps", level: Shape, domain: STEPS, default: Some(Value::Integer(1)),
        only: of_rules!("decoder_steps"),
    }
    /// Whether targets see the decoders as they were before the update, or after they have learned.
    DecoderOrder {
        name: "decoder_order", level: Shape, domain: Domain::Names(DecoderOrder::NAMES),
        default: Some(Value::Name(DecoderOrder::Same.name().into())), only: of_rules!("decoder_order"),
    }
    /// Activation function of the decoders.
    DecoderActivation {
        name: "decoder_activation", level: Shape, domain: Domain::Names(DecoderActivation::NAMES),
        default: Some(Value::Name(DecoderActivation::Same.name().into())), only: of_rules!("decoder_activation"),
    }
    /// How predictive coding finds its states.
    PcSolver {
        name: "pc_solver", level: Shape, domain: Domain::Names(PcSolver::NAMES),
        default: Some(Value::Name(PcSolver::State.name().into())), only: of_rules!("pc_solver"),
    }
    /// Steps in which predictive coding finds its states.
    InferenceSteps {
        name: "inference_steps", level: Shape, domain: STEPS, default: Some(Value::Integer(20)),
        only: of_rules!("inference_steps"),
    }
    /// Images in one update.
    BatchSize {
        name: "batch_size", level: Shape, domain: Domain::Integer { min: 1, max: 65_536 },
        default: Some(Value::Integer(128)), only: None,
    }
    /// The optimizer.
    Optimizer {
        name: "optimizer", level: Shape, domain: Domain::Names(Optimizer::NAMES),
        default: Some(Value::Name(Optimizer::Adam.name().into())), only: None,
    }
    /// Updates between two evaluations.
    EvalEvery { name: "eval_every", level: Shape, domain: UPDATES, default: Some(Value::Integer(390)), only: None, }
    /// Step size of the forward weights.
    LearningRate {
        name: "learning_rate", level: Lane, domain: Domain::Positive, default: Some(Value::Real(1e-3)), only: None,
    }
    /// L2 coefficient.
    WeightDecay {
        name: "weight_decay", level: Lane, domain: Domain::NonNegative, default: Some(Value::Real(1e-5)), only: None,
    }
    /// Heavy-ball momentum.
    Momentum { name: "momentum", level: Lane, domain: Domain::Fraction, default: Some(Value::Real(0.0)), only: SGD, }
    /// Whether the momentum is Nesterov's (1983).
    Nesterov {
        name: "nesterov", level: Lane, domain: Domain::Flag, default: Some(Value::Flag(false)), only: MOMENTUM,
    }
    /// Step size from the output layer's activations to its target.
    TargetStep {
        name: "target_step", level: Lane, domain: Domain::Positive, default: Some(Value::Real(0.1)),
        only: of_rules!("target_step"),
    }
    /// Standard deviation of the noise in decoder training.
    NoiseStd {
        name: "noise_std", level: Lane, domain: Domain::NonNegative, default: Some(Value::Real(0.1)),
        only: of_rules!("noise_std"),
    }
    /// Step size of the decoders.
    DecoderLearningRate {
        name: "decoder_learning_rate", level: Lane, domain: Domain::Positive, default: Some(Value::Real(1e-3)),
        only: of_rules!("decoder_learning_rate"),
    }
    /// Correlation of first feedback weights with first forward weights.
    FeedbackAlignment {
        name: "feedback_alignment", level: Lane, domain: Domain::Correlation, default: Some(Value::Real(0.0)),
        only: of_rules!("feedback_alignment"),
    }
    /// Factor of the standard deviation of fixed or first feedback weights.
    FeedbackScale {
        name: "feedback_scale", level: Lane, domain: Domain::Positive, default: Some(Value::Real(1.0)),
        only: of_rules!("feedback_scale"),
    }
    /// Size of the steps in which predictive coding finds its states.
    InferenceRate {
        name: "inference_rate", level: Lane, domain: Domain::Positive, default: Some(Value::Real(0.1)),
        only: of_rules!("inference_rate"),
    }
    /// Number of the split into training and validation images.
    Fold {
        name: "fold", level: Lane, domain: Domain::Integer { min: 0, max: FOLDS - 1 },
        default: Some(Value::Integer(0)), only: None,
    }
    /// Seed of all randomness, together with the fold.
    Seed { name: "seed", level: Lane, domain: SEEDS, default: Some(Value::Integer(0)), only: None, }
    /// The first update at which early stopping may end training; without it, there is no early stopping.
    EarlyStopStart {
        name: "early_stop_start", level: Stop, domain: Domain::Integer { min: 0, max: 1 << 53 }, default: None,
        only: None,
    }
    /// Number of evaluations without improvement that ends training.
    EarlyStopPatience {
        name: "early_stop_patience", level: Stop, domain: count(1), default: Some(Value::Integer(10)),
        only: EARLY_STOPPING,
    }
    /// Number of updates after which training ends in any case.
    MaxUpdates { name: "max_updates", level: Stop, domain: UPDATES, default: Some(Value::Integer(3_900)), only: None, }
}

/// Number of splits into training and validation images.
pub const FOLDS: u64 = 10;

impl Setting {
    /// The setting with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|setting| setting.name() == name)
    }

    /// Whether the setting was added when there were sweeps and exports without it.
    #[must_use]
    pub const fn is_later(self) -> bool {
        matches!(
            self,
            Self::ParametersAs
                | Self::DecoderSteps
                | Self::DecoderOrder
                | Self::DecoderActivation
                | Self::PcSolver
                | Self::InferenceSteps
                | Self::FeedbackAlignment
                | Self::FeedbackScale
                | Self::InferenceRate
        )
    }

    /// Whether a value is left out of keys and digests: the default of a setting that was added later. Keys and digests of earlier
    /// sweeps, which have no such setting, stay as they are.
    #[must_use]
    pub fn is_implied(self, value: &Value) -> bool {
        self.is_later() && self.default_value().as_ref() == Some(value)
    }

    /// Whether it applies where other settings have these values.
    pub fn applies<V: Borrow<Value>>(self, value: impl FnOnce(Self) -> Option<V>) -> bool {
        self.condition().is_none_or(|condition| (condition.holds)(value(condition.on).as_ref().map(Borrow::borrow)))
    }

    /// Whether a spec must set it.
    #[must_use]
    pub fn is_required(self) -> bool {
        matches!(self, Self::Dataset | Self::Network | Self::Rule | Self::Depth)
    }
}

impl Serialize for Setting {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests;
