//! One trial, complete: what is trained, by what numbers, and when it stops.

mod checked;
mod key;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use self::checked::Checked;
pub use self::key::TrialKey;
use crate::dataset::DatasetRef;
use crate::rules::Rule;
use crate::settings::{Level, Setting, Value};
use crate::vocabulary::{ActivationFunction, Dataset, Network, Optimizer};

/// What must be equal for two trajectories to train as lanes of one program.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shape {
    /// What is learned.
    pub dataset: DatasetRef,
    /// The kind of layer and how layers are wired.
    pub network: Network,
    /// What stands in the place of the gradient.
    pub rule: Rule,
    /// The non-linearity of the hidden layers.
    pub activation: ActivationFunction,
    /// Number of hidden layers, at least 1.
    pub depth: u32,
    /// Units of each hidden layer of a fully connected network.
    pub hidden: u32,
    /// How a convolutional network is built.
    pub convolution: Convolution,
    /// Which skip connections there are beside those that the network's name says.
    pub skip: Skip,
    /// Images in one update.
    pub batch_size: u32,
    /// What moves the weights.
    pub optimizer: Optimizer,
    /// Updates between two evaluations.
    pub eval_every: u64,
}

/// How a convolutional network is built; of no use to others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Convolution {
    /// Channels of layer l, divided by l.
    pub channel_multiplier: u32,
    /// The layers after which the resolution halves, as numbers from 1.
    pub downsample_after: Vec<u64>,
}

impl Default for Convolution {
    fn default() -> Self {
        Self { channel_multiplier: 16, downsample_after: vec![1, 2] }
    }
}

/// Which skip connections there are, where the network's name leaves it open.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Skip {
    /// Whether every dense layer reads the input too (dn).
    pub input: bool,
    /// The share of all possible skip connections that is expected to be there (lognormal).
    pub density: Real,
    /// σ of their log-normal decay with distance (lognormal).
    pub decay: Real,
    /// What they are drawn from (lognormal).
    pub seed: u64,
}

impl Default for Skip {
    fn default() -> Self {
        Self { input: false, density: Real(0.3), decay: Real(1.0), seed: 0 }
    }
}

/// A real number that is never NaN, so that things that hold it can be compared and sorted.
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

/// The numbers of one lane; lanes of one bundle may differ in all of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hyperparameters {
    /// Step of the forward weights.
    pub learning_rate: f64,
    /// L2 coefficient; `weight_decay · W` is added to the gradient.
    pub weight_decay: f64,
    /// Heavy-ball momentum of sgd; 0 is none.
    pub momentum: f64,
    /// Whether the momentum looks ahead.
    pub nesterov: bool,
    /// η of the target propagation rules: the step of the output layer's target for its sources.
    pub target_step: f64,
    /// Standard deviation of the noise the decoders learn to undo.
    pub noise_std: f64,
    /// Step of the decoders.
    pub decoder_learning_rate: f64,
    /// Which of the splits into training and validation images.
    pub fold: u32,
    /// What all randomness of the trajectory derives from, together with the fold.
    pub seed: u64,
}

impl Default for Hyperparameters {
    /// What a spec that names none of them means.
    fn default() -> Self {
        Self {
            learning_rate: 1e-3,
            weight_decay: 1e-5,
            momentum: 0.0,
            nesterov: false,
            target_step: 0.1,
            noise_std: 0.1,
            decoder_learning_rate: 1e-3,
            fold: 0,
            seed: 0,
        }
    }
}

/// When a trial ends; trials that differ only here are one trajectory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoppingRule {
    /// Updates after which training ends in any case.
    pub max_updates: u64,
    /// Early stopping, where wanted.
    pub early_stop: Option<EarlyStop>,
}

/// Ends training once the validation accuracy has ceased to improve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EarlyStop {
    /// The first update at which training may end.
    pub start: u64,
    /// Evaluations without improvement that end it.
    pub patience: u32,
}

/// A complete trial.
#[derive(Debug, Clone, PartialEq)]
pub struct Configuration {
    /// What is trained.
    pub shape: Shape,
    /// By what numbers.
    pub hyperparameters: Hyperparameters,
    /// Until when.
    pub stopping_rule: StoppingRule,
}

/// Settings by name: a configuration in the form that grids, results and messages share.
pub type Point = BTreeMap<Setting, Value>;

/// The version of everything that decides the numbers a configuration leads to: initialisation, data order, kernels.
/// It grows when the same configuration would give other results than before.
pub const NUMERICS_VERSION: u32 = 4;

/// Why a point is no configuration.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConfigurationError {
    /// A setting that every trial has to name is absent.
    #[error("setting `{setting}` is missing")]
    Missing {
        /// The absent setting.
        setting: Setting,
    },
    /// A value outside its setting's domain.
    #[error("setting `{setting}` is {value}; it takes {}", setting.domain())]
    OutOfDomain {
        /// The setting.
        setting: Setting,
        /// The value as given.
        value: Value,
    },
}

impl Configuration {
    /// Reads a configuration from a point; settings that do not apply to its rule, network or optimizer are left aside.
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

    /// One in which every setting that has to be named, or has a default, is still to be set.
    fn blank() -> Self {
        Self {
            shape: Shape {
                dataset: DatasetRef::Named(Dataset::SyntheticDigits),
                network: Network::Nn,
                rule: Rule::Bp,
                activation: ActivationFunction::Relu,
                depth: 1,
                hidden: 1,
                convolution: Convolution::default(),
                skip: Skip::default(),
                batch_size: 1,
                optimizer: Optimizer::Adam,
                eval_every: 1,
            },
            hyperparameters: Hyperparameters::default(),
            stopping_rule: StoppingRule { max_updates: 1, early_stop: None },
        }
    }

    /// Gives a setting another value. The patience of a trial that does not stop early is left aside.
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
            Setting::ChannelMultiplier => shape.convolution.channel_multiplier = value.narrow()?,
            Setting::DownsampleAfter => shape.convolution.downsample_after = value.integers()?.to_vec(),
            Setting::SkipInput => shape.skip.input = value.flag()?,
            Setting::SkipDensity => shape.skip.density = Real(value.real()?),
            Setting::SkipDecay => shape.skip.decay = Real(value.real()?),
            Setting::SkipSeed => shape.skip.seed = value.integer()?,
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

    /// The settings that apply to this trial, and no others.
    #[must_use]
    pub fn to_point(&self) -> Point {
        Setting::ALL.iter().filter_map(|&setting| Some((setting, self.get(setting)?))).collect()
    }

    /// The identity of this trial on its dataset, under this engine's [`NUMERICS_VERSION`]: the hash of a JSON object
    /// whose keys are sorted.
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
                // Where data lies decides nothing; what it holds is in the digest.
                Setting::Dataset => Some(Value::Name(self.shape.dataset.kind().into())),
                setting => self.get(setting),
            };
            if let Some(value) = value {
                canonical.extend_from_slice(separator);
                canonical.extend_from_slice(opening.as_bytes());
                put_json(&mut canonical, &value);
                separator = b",";
            }
        }
        canonical.extend_from_slice(b"}}");
        TrialKey(*blake3::hash(&canonical).as_bytes())
    }

    /// The value of a setting, where it has one and applies to this trial.
    #[must_use]
    pub fn get(&self, setting: Setting) -> Option<Value> {
        let applies = setting.condition().is_none_or(|condition| (condition.holds)(self.get(condition.on).as_ref()));
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
            Setting::ChannelMultiplier => Value::Integer(shape.convolution.channel_multiplier.into()),
            Setting::DownsampleAfter => Value::Integers(shape.convolution.downsample_after.clone()),
            Setting::SkipInput => Value::Flag(shape.skip.input),
            Setting::SkipDensity => Value::Real(shape.skip.density.0),
            Setting::SkipDecay => Value::Real(shape.skip.decay.0),
            Setting::SkipSeed => Value::Integer(shape.skip.seed),
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
            Setting::Fold => Value::Integer(hyper.fold.into()),
            Setting::Seed => Value::Integer(hyper.seed),
            Setting::EarlyStopStart => Value::Integer(stop.early_stop?.start),
            Setting::EarlyStopPatience => Value::Integer(stop.early_stop?.patience.into()),
            Setting::MaxUpdates => Value::Integer(stop.max_updates),
        })
    }
}

/// The settings that apply to a trajectory: those of its trials but the ones that say when to stop.
#[must_use]
pub fn trajectory_point(shape: &Shape, hyperparameters: Hyperparameters) -> Point {
    let stopping_rule = StoppingRule { max_updates: 1, early_stop: None };
    let mut point = Configuration { shape: shape.clone(), hyperparameters, stopping_rule }.to_point();
    point.retain(|setting, _| setting.level() != Level::Stop);
    point
}

/// The settings in the order of their names, each with what stands before its value in JSON.
static KEYED_SETTINGS: LazyLock<Vec<(Setting, String)>> = LazyLock::new(|| {
    let mut settings = Setting::ALL.to_vec();
    settings.sort_by_key(|setting| setting.name());
    settings.into_iter().map(|setting| (setting, format!("\"{}\":", setting.name()))).collect()
});

fn put_json<T: serde::Serialize + ?Sized>(bytes: &mut Vec<u8>, value: &T) {
    serde_json::to_writer(bytes, value)
        .expect("names and numbers have a form in JSON, and memory takes what is written");
}

#[cfg(test)]
mod tests;
