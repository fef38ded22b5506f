//! The complete configuration of a trial: shape, hyperparameters and stopping rule.

mod checked;
mod key;
mod shape;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use self::checked::Checked;
pub use self::key::TrialKey;
pub use self::shape::{Convolution, Procedure, Real, Shape, Skip};
use crate::rules::Rule;
use crate::settings::{Level, Setting, Value};
use crate::vocabulary::dataset::DatasetRef;
use crate::vocabulary::{ActivationFunction, Dataset, Network, Optimizer};

/// The numeric settings of one lane. Lanes of one bundle may differ in all of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hyperparameters {
    /// Step size of the forward weights.
    pub learning_rate: f64,
    /// L2 coefficient; `weight_decay · W` is added to the gradient.
    pub weight_decay: f64,
    /// Heavy-ball momentum of sgd; 0 for none.
    pub momentum: f64,
    /// Whether the momentum is Nesterov's.
    pub nesterov: bool,
    /// η of the target propagation rules: the step size from the output layer's activations to its target.
    pub target_step: f64,
    /// Standard deviation of the noise in decoder training.
    pub noise_std: f64,
    /// Step size of the decoders.
    pub decoder_learning_rate: f64,
    /// a: the correlation of first feedback weights with the first forward weights.
    pub feedback_alignment: f64,
    /// Factor of the standard deviation of fixed or first feedback weights.
    pub feedback_scale: f64,
    /// γ: the size of the steps in which predictive coding finds its states.
    pub inference_rate: f64,
    /// The number of the split into training and validation images.
    pub fold: u32,
    /// The seed. All randomness of the trajectory derives from it and the fold.
    pub seed: u64,
}

impl Default for Hyperparameters {
    /// The defaults of a spec that sets none of them.
    fn default() -> Self {
        Self {
            learning_rate: 1e-3,
            weight_decay: 1e-5,
            momentum: 0.0,
            nesterov: false,
            target_step: 0.1,
            noise_std: 0.1,
            decoder_learning_rate: 1e-3,
            feedback_alignment: 0.0,
            feedback_scale: 1.0,
            inference_rate: 0.1,
            fold: 0,
            seed: 0,
        }
    }
}

/// The stopping rule of a trial. Trials that differ only here are one trajectory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoppingRule {
    /// The number of updates after which training ends in any case.
    pub max_updates: u64,
    /// Early stopping; `None` for none.
    pub early_stop: Option<EarlyStop>,
}

/// Ends training when the validation accuracy no longer improves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EarlyStop {
    /// The first update at which training may end.
    pub start: u64,
    /// The number of evaluations without improvement that ends training.
    pub patience: u32,
}

/// The complete configuration of a trial.
#[derive(Debug, Clone, PartialEq)]
pub struct Configuration {
    /// The settings shared by a bundle.
    pub shape: Shape,
    /// The numeric settings of the lane.
    pub hyperparameters: Hyperparameters,
    /// When the trial ends.
    pub stopping_rule: StoppingRule,
}

/// Settings by name: the form of a configuration in grids, results and messages.
pub type Point = BTreeMap<Setting, Value>;

/// Both points together; where both have a setting, the value of the second.
#[must_use]
pub fn joined(first: &Point, second: &Point) -> Point {
    first.iter().chain(second).map(|(&setting, value)| (setting, value.clone())).collect()
}

/// The version of all code that affects results: initialisation, data order, kernels. It is increased when the same
/// configuration would give different results than before.
pub const NUMERICS_VERSION: u32 = 6;

/// Why a point is not a configuration.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConfigurationError {
    /// A required setting is missing.
    #[error("setting `{setting}` is missing")]
    Missing {
        /// The missing setting.
        setting: Setting,
    },
    /// A value is outside its setting's domain.
    #[error("setting `{setting}` is {value}; it takes {}", setting.domain())]
    OutOfDomain {
        /// The setting.
        setting: Setting,
        /// The value as given.
        value: Value,
    },
}

impl Configuration {
    /// Makes a configuration from a point. Settings that do not apply to its rule, network or optimizer are ignored.
    ///
    /// # Errors
    /// A required setting that is missing, or a value outside its domain.
    pub fn from_point(point: &Point) -> Result<Self, ConfigurationError> {
        let mut configuration = Self::blank();
        for &setting in Setting::ALL {
            if let Some(value) = point.get(&setting) {
                configuration.set(setting, value)?;
            } else if let Some(value) = setting.default_value() {
                configuration.set(setting, &value)?;
            } else if setting.is_required() {
                return Err(ConfigurationError::Missing { setting });
            }
        }
        Ok(configuration)
    }

    /// A configuration in which all required settings and all settings with defaults still have to be set.
    fn blank() -> Self {
        Self {
            shape: Shape {
                dataset: DatasetRef::Named(Dataset::SyntheticDigits),
                network: Network::Nn,
                rule: Rule::Bp,
                activation: ActivationFunction::Relu,
                depth: 1,
                hidden: 1,
                parameters_as: None,
                convolution: Convolution::default(),
                skip: Skip::default(),
                procedure: Procedure::default(),
                batch_size: 1,
                optimizer: Optimizer::Adam,
                eval_every: 1,
            },
            hyperparameters: Hyperparameters::default(),
            stopping_rule: StoppingRule { max_updates: 1, early_stop: None },
        }
    }

    /// Sets a value. The patience of a trial without early stopping is ignored.
    ///
    /// # Errors
    /// A value outside the setting's domain.
    pub fn set(&mut self, setting: Setting, value: &Value) -> Result<(), ConfigurationError> {
        let Self { shape, hyperparameters: hyper, stopping_rule: stop } = self;
        let value = Checked { setting, value };
        match setting {
            Setting::Dataset => shape.dataset = value.name()?,
            Setting::Network => shape.network = value.name()?,
            Setting::Rule => shape.rule = value.name()?,
            Setting::Activation => shape.activation = value.name()?,
            Setting::Depth => shape.depth = value.narrow()?,
            Setting::Hidden => shape.hidden = value.narrow()?,
            Setting::ParametersAs => shape.parameters_as = Some(value.name()?),
            Setting::ChannelMultiplier => shape.convolution.channel_multiplier = value.narrow()?,
            Setting::DownsampleAfter => shape.convolution.downsample_after = value.integers()?.to_vec(),
            Setting::SkipInput => shape.skip.input = value.flag()?,
            Setting::SkipDensity => shape.skip.density = Real(value.real()?),
            Setting::SkipDecay => shape.skip.decay = Real(value.real()?),
            Setting::SkipSeed => shape.skip.seed = value.integer()?,
            Setting::DecoderSteps => shape.procedure.decoder_steps = value.narrow()?,
            Setting::DecoderOrder => shape.procedure.decoder_order = value.name()?,
            Setting::DecoderActivation => shape.procedure.decoder_activation = value.name()?,
            Setting::PcSolver => shape.procedure.pc_solver = value.name()?,
            Setting::InferenceSteps => shape.procedure.inference_steps = value.narrow()?,
            Setting::BatchSize => shape.batch_size = value.narrow()?,
            Setting::Optimizer => shape.optimizer = value.name()?,
            Setting::EvalEvery => shape.eval_every = value.integer()?,
            Setting::LearningRate => hyper.learning_rate = value.real()?,
            Setting::WeightDecay => hyper.weight_decay = value.real()?,
            Setting::Momentum => hyper.momentum = value.real()?,
            Setting::Nesterov => hyper.nesterov = value.flag()?,
            Setting::TargetStep => hyper.target_step = value.real()?,
            Setting::NoiseStd => hyper.noise_std = value.real()?,
            Setting::DecoderLearningRate => hyper.decoder_learning_rate = value.real()?,
            Setting::FeedbackAlignment => hyper.feedback_alignment = value.real()?,
            Setting::FeedbackScale => hyper.feedback_scale = value.real()?,
            Setting::InferenceRate => hyper.inference_rate = value.real()?,
            Setting::Fold => hyper.fold = value.narrow()?,
            Setting::Seed => hyper.seed = value.integer()?,
            Setting::EarlyStopStart => {
                let patience = stop.early_stop.map_or(0, |early_stop| early_stop.patience);
                stop.early_stop = Some(EarlyStop { start: value.integer()?, patience });
            }
            Setting::EarlyStopPatience => {
                if let Some(early_stop) = &mut stop.early_stop {
                    early_stop.patience = value.narrow()?;
                }
            }
            Setting::MaxUpdates => stop.max_updates = value.integer()?,
        }
        Ok(())
    }

    /// The settings that apply to this trial.
    #[must_use]
    pub fn to_point(&self) -> Point {
        Setting::ALL.iter().filter_map(|&setting| Some((setting, self.get(setting)?))).collect()
    }

    /// The identity of this trial on its dataset, with this engine's [`NUMERICS_VERSION`]: the hash of a JSON object
    /// with sorted keys.
    #[must_use]
    pub fn key(&self) -> TrialKey {
        let mut canonical = Vec::with_capacity(1_024);
        canonical.extend_from_slice(b"{\"dataset_digest\":");
        put_json(&mut canonical, self.shape.dataset.digest().as_ref());
        canonical.extend_from_slice(b",\"numerics_version\":");
        put_json(&mut canonical, &NUMERICS_VERSION);
        canonical.extend_from_slice(b",\"settings\":{");
        let mut separator: &[u8] = b"";
        for (setting, opening) in KEYED_SETTINGS.iter() {
            let value = match *setting {
                // The path of the data does not affect results; the digest identifies the content.
                Setting::Dataset => Some(Value::Name(self.shape.dataset.kind().into())),
                setting => self.get(setting),
            };
            if let Some(value) = value.filter(|value| !setting.is_implied(value)) {
                canonical.extend_from_slice(separator);
                canonical.extend_from_slice(opening.as_bytes());
                put_json(&mut canonical, &value);
                separator = b",";
            }
        }
        canonical.extend_from_slice(b"}}");
        TrialKey(*blake3::hash(&canonical).as_bytes())
    }

    /// The value of a setting; `None` if it has none or does not apply to this trial.
    #[must_use]
    pub fn get(&self, setting: Setting) -> Option<Value> {
        let applies = setting.applies(|other| self.get(other));
        if applies { self.value(setting) } else { None }
    }

    fn value(&self, setting: Setting) -> Option<Value> {
        let name = |name: &'static str| Value::Name(name.into());
        let (shape, hyper, stop) = (&self.shape, &self.hyperparameters, &self.stopping_rule);
        Some(match setting {
            Setting::Dataset => Value::Name(shape.dataset.name()),
            Setting::Network => name(shape.network.name()),
            Setting::Rule => name(shape.rule.name()),
            Setting::Activation => name(shape.activation.name()),
            Setting::Depth => Value::Integer(shape.depth.into()),
            Setting::Hidden => Value::Integer(shape.hidden.into()),
            Setting::ParametersAs => name(shape.parameters_as?.name()),
            Setting::ChannelMultiplier => Value::Integer(shape.convolution.channel_multiplier.into()),
            Setting::DownsampleAfter => Value::Integers(shape.convolution.downsample_after.clone()),
            Setting::SkipInput => Value::Flag(shape.skip.input),
            Setting::SkipDensity => Value::Real(shape.skip.density.0),
            Setting::SkipDecay => Value::Real(shape.skip.decay.0),
            Setting::SkipSeed => Value::Integer(shape.skip.seed),
            Setting::DecoderSteps => Value::Integer(shape.procedure.decoder_steps.into()),
            Setting::DecoderOrder => name(shape.procedure.decoder_order.name()),
            Setting::DecoderActivation => name(shape.procedure.decoder_activation.name()),
            Setting::PcSolver => name(shape.procedure.pc_solver.name()),
            Setting::InferenceSteps => Value::Integer(shape.procedure.inference_steps.into()),
            Setting::BatchSize => Value::Integer(shape.batch_size.into()),
            Setting::Optimizer => name(shape.optimizer.name()),
            Setting::EvalEvery => Value::Integer(shape.eval_every),
            Setting::LearningRate => Value::Real(hyper.learning_rate),
            Setting::WeightDecay => Value::Real(hyper.weight_decay),
            Setting::Momentum => Value::Real(hyper.momentum),
            Setting::Nesterov => Value::Flag(hyper.nesterov),
            Setting::TargetStep => Value::Real(hyper.target_step),
            Setting::NoiseStd => Value::Real(hyper.noise_std),
            Setting::DecoderLearningRate => Value::Real(hyper.decoder_learning_rate),
            Setting::FeedbackAlignment => Value::Real(hyper.feedback_alignment),
            Setting::FeedbackScale => Value::Real(hyper.feedback_scale),
            Setting::InferenceRate => Value::Real(hyper.inference_rate),
            Setting::Fold => Value::Integer(hyper.fold.into()),
            Setting::Seed => Value::Integer(hyper.seed),
            Setting::EarlyStopStart => Value::Integer(stop.early_stop?.start),
            Setting::EarlyStopPatience => Value::Integer(stop.early_stop?.patience.into()),
            Setting::MaxUpdates => Value::Integer(stop.max_updates),
        })
    }
}

/// The settings that apply to a trajectory: those of its trials without the stopping rule.
#[must_use]
pub fn trajectory_point(shape: &Shape, hyperparameters: Hyperparameters) -> Point {
    let stopping_rule = StoppingRule { max_updates: 1, early_stop: None };
    let mut point = Configuration { shape: shape.clone(), hyperparameters, stopping_rule }.to_point();
    point.retain(|setting, _| setting.level() != Level::Stop);
    point
}

/// The settings in alphabetical order, each with the JSON text before its value.
static KEYED_SETTINGS: LazyLock<Vec<(Setting, String)>> = LazyLock::new(|| {
    let mut settings = Setting::ALL.to_vec();
    settings.sort_by_key(|setting| setting.name());
    settings.into_iter().map(|setting| (setting, format!("\"{}\":", setting.name()))).collect()
});

fn put_json<T: serde::Serialize + ?Sized>(bytes: &mut Vec<u8>, value: &T) {
    serde_json::to_writer(bytes, value).expect("names and numbers can be written as JSON to memory");
}

#[cfg(test)]
mod tests;
