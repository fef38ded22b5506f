//! One trial, complete: what is trained, by what numbers, and when it stops.

use std::collections::BTreeMap;
use std::fmt;

use crate::dataset::DatasetRef;
use crate::settings::{Level, Setting, Value};
use crate::vocabulary::{Activation, Network, Optimizer, Rule};

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
    pub activation: Activation,
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
pub const NUMERICS_VERSION: u32 = 3;

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

/// The identity of a trial: equal keys mean equal results.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrialKey(pub [u8; 32]);

impl fmt::Display for TrialKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(blake3::Hash::from_bytes(self.0).to_hex().as_str())
    }
}

impl fmt::Debug for TrialKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrialKey({self})")
    }
}

impl Configuration {
    /// Reads a configuration from a point; settings that do not apply to its rule, network or optimizer are left aside.
    ///
    /// # Errors
    /// A required setting that is missing, or a value outside its domain.
    pub fn from_point(point: &Point) -> Result<Self, ConfigurationError> {
        let point = Reader(point);
        Ok(Self {
            shape: Shape {
                dataset: point.name(Setting::Dataset)?,
                network: point.name(Setting::Network)?,
                rule: point.name(Setting::Rule)?,
                activation: point.name(Setting::Activation)?,
                depth: point.narrow(Setting::Depth)?,
                hidden: point.narrow(Setting::Hidden)?,
                convolution: Convolution {
                    channel_multiplier: point.narrow(Setting::ChannelMultiplier)?,
                    downsample_after: point.integers(Setting::DownsampleAfter)?,
                },
                skip: Skip {
                    input: point.flag(Setting::SkipInput)?,
                    density: Real(point.real(Setting::SkipDensity)?),
                    decay: Real(point.real(Setting::SkipDecay)?),
                    seed: point.integer(Setting::SkipSeed)?,
                },
                batch_size: point.narrow(Setting::BatchSize)?,
                optimizer: point.name(Setting::Optimizer)?,
                eval_every: point.integer(Setting::EvalEvery)?,
            },
            hyperparameters: Hyperparameters {
                learning_rate: point.real(Setting::LearningRate)?,
                weight_decay: point.real(Setting::WeightDecay)?,
                momentum: point.real(Setting::Momentum)?,
                nesterov: point.flag(Setting::Nesterov)?,
                target_step: point.real(Setting::TargetStep)?,
                noise_std: point.real(Setting::NoiseStd)?,
                decoder_learning_rate: point.real(Setting::DecoderLearningRate)?,
                fold: point.narrow(Setting::Fold)?,
                seed: point.integer(Setting::Seed)?,
            },
            stopping_rule: StoppingRule {
                max_updates: point.integer(Setting::MaxUpdates)?,
                early_stop: match point.0.get(&Setting::EarlyStopStart) {
                    None => None,
                    Some(_) => Some(EarlyStop {
                        start: point.integer(Setting::EarlyStopStart)?,
                        patience: point.narrow(Setting::EarlyStopPatience)?,
                    }),
                },
            },
        })
    }

    /// The settings that apply to this trial, and no others.
    #[must_use]
    pub fn to_point(&self) -> Point {
        let mut point: Point =
            Setting::ALL.iter().filter_map(|&setting| Some((setting, self.value(setting)?))).collect();
        for &setting in Setting::ALL {
            let applies = setting.condition().is_none_or(|condition| (condition.holds)(point.get(&condition.on)));
            if !applies {
                point.remove(&setting);
            }
        }
        point
    }

    /// The identity of this trial on its dataset, under this engine's [`NUMERICS_VERSION`].
    #[must_use]
    pub fn key(&self) -> TrialKey {
        let mut point = self.to_point();
        // Where data lies decides nothing; what it holds is in the digest.
        point.insert(Setting::Dataset, Value::Name(self.shape.dataset.kind().to_owned()));
        let settings: BTreeMap<&str, &Value> = point.iter().map(|(setting, value)| (setting.name(), value)).collect();
        let canonical = serde_json::json!({
            "settings": settings,
            "dataset_digest": self.shape.dataset.digest(),
            "numerics_version": NUMERICS_VERSION,
        });
        TrialKey(*blake3::hash(canonical.to_string().as_bytes()).as_bytes())
    }

    fn value(&self, setting: Setting) -> Option<Value> {
        let name = |name: &str| Value::Name(name.to_owned());
        let (shape, hyper, stop) = (&self.shape, &self.hyperparameters, &self.stopping_rule);
        Some(match setting {
            Setting::Dataset => name(&shape.dataset.to_string()),
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

/// Reads checked values out of a point, with defaults where it names none.
struct Reader<'a>(&'a Point);

impl Reader<'_> {
    fn get(&self, setting: Setting) -> Result<Value, ConfigurationError> {
        let value = match self.0.get(&setting) {
            Some(value) => value.clone(),
            None => setting.default_value().ok_or(ConfigurationError::Missing { setting })?,
        };
        if setting.domain().contains(&value) {
            Ok(value)
        } else {
            Err(ConfigurationError::OutOfDomain { setting, value })
        }
    }

    fn name<T: std::str::FromStr>(&self, setting: Setting) -> Result<T, ConfigurationError> {
        let value = self.get(setting)?;
        match &value {
            Value::Name(name) => name.parse().map_err(|_| ConfigurationError::OutOfDomain { setting, value }),
            _ => Err(ConfigurationError::OutOfDomain { setting, value }),
        }
    }

    fn integer(&self, setting: Setting) -> Result<u64, ConfigurationError> {
        match self.get(setting)? {
            Value::Integer(number) => Ok(number),
            value => Err(ConfigurationError::OutOfDomain { setting, value }),
        }
    }

    fn narrow(&self, setting: Setting) -> Result<u32, ConfigurationError> {
        let number = self.integer(setting)?;
        u32::try_from(number).map_err(|_| ConfigurationError::OutOfDomain { setting, value: Value::Integer(number) })
    }

    fn integers(&self, setting: Setting) -> Result<Vec<u64>, ConfigurationError> {
        match self.get(setting)? {
            Value::Integers(numbers) => Ok(numbers),
            value => Err(ConfigurationError::OutOfDomain { setting, value }),
        }
    }

    fn flag(&self, setting: Setting) -> Result<bool, ConfigurationError> {
        match self.get(setting)? {
            Value::Flag(flag) => Ok(flag),
            value => Err(ConfigurationError::OutOfDomain { setting, value }),
        }
    }

    fn real(&self, setting: Setting) -> Result<f64, ConfigurationError> {
        match self.get(setting)? {
            Value::Real(number) => Ok(number),
            value => Err(ConfigurationError::OutOfDomain { setting, value }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(settings: &[(Setting, Value)]) -> Point {
        let name = |name: &str| Value::Name(name.to_owned());
        let mut point = Point::from([
            (Setting::Dataset, name("mnist")),
            (Setting::Network, name("nn")),
            (Setting::Rule, name("bp")),
            (Setting::Depth, Value::Integer(5)),
        ]);
        point.extend(settings.iter().cloned());
        point
    }

    fn configuration(settings: &[(Setting, Value)]) -> Configuration {
        Configuration::from_point(&point(settings)).expect("a configuration")
    }

    #[test]
    fn a_configuration_survives_the_way_through_a_point() {
        let configuration = configuration(&[
            (Setting::Rule, Value::Name("dtp".to_owned())),
            (Setting::EarlyStopStart, Value::Integer(7)),
            (Setting::TargetStep, Value::Real(0.3)),
        ]);
        assert_eq!(Configuration::from_point(&configuration.to_point()), Ok(configuration));
    }

    #[test]
    fn the_default_numbers_are_those_of_a_spec_that_names_none() {
        assert_eq!(configuration(&[]).hyperparameters, Hyperparameters::default());
    }

    #[test]
    fn a_setting_that_does_not_apply_leaves_the_key_alone() {
        let plain = configuration(&[]);
        assert_eq!(plain.key(), configuration(&[(Setting::TargetStep, Value::Real(0.5))]).key());
        assert_ne!(plain.key(), configuration(&[(Setting::LearningRate, Value::Real(0.5))]).key());
        assert_ne!(plain.key(), configuration(&[(Setting::EarlyStopStart, Value::Integer(0))]).key());
    }

    #[test]
    fn the_key_of_own_data_depends_on_what_it_holds_and_not_on_where_it_lies() {
        let key = |directory: &str, digit: &str| {
            let name = format!("npy:{directory}#{}", digit.repeat(64));
            let configuration = configuration(&[(Setting::Dataset, Value::Name(name.clone()))]);
            assert_eq!(configuration.to_point()[&Setting::Dataset], Value::Name(name));
            configuration.key()
        };
        assert_eq!(key("/here", "a"), key("/there", "a"));
        assert_ne!(key("/here", "a"), key("/here", "b"));
    }

    #[test]
    fn a_missing_or_impossible_value_is_named() {
        let mut without_depth = point(&[]);
        without_depth.remove(&Setting::Depth);
        let error = Configuration::from_point(&without_depth).expect_err("no depth");
        assert_eq!(error.to_string(), "setting `depth` is missing");
        let error = Configuration::from_point(&point(&[(Setting::LearningRate, Value::Real(f64::NAN))]));
        assert!(matches!(error, Err(ConfigurationError::OutOfDomain { setting: Setting::LearningRate, .. })));
    }
}
