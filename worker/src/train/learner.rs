//! One lane in training: its network, its rule and its optimisers.

use biosweep_common::configuration::{Hyperparameters, Shape};
use tch::TchError;

use crate::data::{Dataset, Part};
use crate::network::{Network, Pass};
use crate::optim::{self, Optimise, Steps};
use crate::random::{Purpose, Stream};
use crate::rules::{self, LearningRule, Surroundings};
use crate::scalar::Scalar;

/// A network that learns.
pub(crate) struct Learner<T: Scalar> {
    pub(crate) network: Network<T>,
    pass: Pass<T>,
    rule: Box<dyn LearningRule<T>>,
    forward_optimiser: Box<dyn Optimise<T>>,
    decoder_optimiser: Option<Box<dyn Optimise<T>>>,
    labels: Vec<i64>,
    hyperparameters: Hyperparameters,
}

impl<T: Scalar> Learner<T> {
    /// A network for this data, as it is before its first update.
    pub(crate) fn new(shape: &Shape, data: &Dataset, hyperparameters: &Hyperparameters) -> Result<Self, TchError> {
        let Hyperparameters { seed, fold, .. } = *hyperparameters;
        let network = Network::initial(shape, data.image().values(), data.classes(), seed, fold)?;
        let rows = shape.batch_size as usize;
        let steps = |learning_rate| Steps {
            learning_rate,
            weight_decay: hyperparameters.weight_decay,
            momentum: hyperparameters.momentum,
        };
        let forward_steps = steps(hyperparameters.learning_rate);
        let decoder_steps = steps(hyperparameters.decoder_learning_rate);
        let decoders = network.decoders.as_ref();
        Ok(Self {
            pass: Pass::new(&network.wiring, rows)?,
            rule: rules::new(shape.rule, &network, rows)?,
            forward_optimiser: optim::new(shape.optimizer, forward_steps, network.forward.lane_length()),
            decoder_optimiser: decoders.map(|own| optim::new(shape.optimizer, decoder_steps, own.lane_length())),
            labels: vec![0; rows],
            hyperparameters: *hyperparameters,
            network,
        })
    }

    /// One update on these images; the loss before it.
    pub(crate) fn update(&mut self, data: &Dataset, images: &[u32], update: u64) -> Result<f64, TchError> {
        data.gather(Part::Train, images, self.pass.images.slice_mut(), &mut self.labels);
        self.learn(update)
    }

    /// One update on the images that lie ready; the loss before it.
    pub(crate) fn learn(&mut self, update: u64) -> Result<f64, TchError> {
        self.pass.forward(&self.network)?;
        let loss = self.pass.loss(&self.labels);
        let Hyperparameters { seed, fold, target_step, noise_std, .. } = self.hyperparameters;
        let mut noise = |layer: usize, numbers: &mut [T]| {
            let mut stream = Stream::new(seed, fold, Purpose::Noise(layer as u32), update);
            T::fill_normal(numbers, &mut stream, 1.0);
        };
        let mut surroundings = Surroundings { target_step, noise_std, noise: &mut noise };
        self.rule.gradients(&mut self.network, &self.pass, &mut surroundings)?;
        let (values, gradients) = self.network.forward.lane_mut(0);
        self.forward_optimiser.update(values, gradients);
        if let (Some(decoders), Some(optimiser)) = (&mut self.network.decoders, &mut self.decoder_optimiser) {
            let (values, gradients) = decoders.lane_mut(0);
            optimiser.update(values, gradients);
        }
        Ok(loss)
    }
}
