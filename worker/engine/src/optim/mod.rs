//! Optimisers: updates of parameters by their gradients. Each optimiser is one file, and one fused loop in
//! [`crate::kernels::update`].

mod adam;
mod adamw;
mod moments;
mod rmsprop;
mod sgd;

use biosweep_common::configuration::Hyperparameters;
use biosweep_common::vocabulary::Optimizer;
use tch::TchError;

use crate::kernels::buffer::Buffer;
use crate::kernels::handles::{View, ViewMut};
use crate::kernels::scalar::Scalar;

/// An optimiser of one parameter group in one lane, and the steps that it has done.
pub struct Optimiser<T> {
    method: Box<dyn Optimise<T>>,
    steps: u64,
}

/// The method of an optimiser, with its state.
pub(crate) trait Optimise<T: Scalar> {
    /// Begins a step of all parameters. The first step has the number 1.
    fn begin(&mut self, _step: u64) {}

    /// Updates the parameters from index `first` on, weight decay included.
    fn update(&mut self, first: usize, values: ViewMut<'_, T>, gradients: View<'_, T>);

    /// The state beside the number of steps, by name. Each buffer is as long as the parameters.
    fn state(&mut self) -> Vec<(&'static str, &mut Buffer<T>)>;

    /// In-place SGD, if the optimiser is nothing more than that.
    fn in_place_sgd(&self) -> Option<InPlaceSgd> {
        None
    }
}

/// In-place SGD: w ← keep · w − rate · gradient, without state. The weights need no gradient in memory: the matrix
/// product is added in place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InPlaceSgd {
    /// The learning rate.
    pub rate: f64,
    /// The factor of weight decay.
    pub keep: f64,
}

/// The kind and the hyperparameters of an optimiser.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OptimiserConfig {
    /// The kind.
    pub optimizer: Optimizer,
    /// The learning rate.
    pub learning_rate: f64,
    /// The L2 coefficient.
    pub weight_decay: f64,
    /// The heavy-ball momentum of sgd; 0 means none.
    pub momentum: f64,
    /// Whether the momentum is Nesterov's.
    pub nesterov: bool,
}

impl OptimiserConfig {
    /// The optimiser of the forward weights.
    #[must_use]
    pub fn of_forward(optimizer: Optimizer, own: &Hyperparameters) -> Self {
        let Hyperparameters { learning_rate, weight_decay, momentum, nesterov, .. } = *own;
        Self { optimizer, learning_rate, weight_decay, momentum, nesterov }
    }
}

impl<T: Scalar> Optimiser<T> {
    /// An optimiser of `length` parameters.
    ///
    /// # Errors
    /// Memory allocation fails.
    pub fn new(config: OptimiserConfig, length: usize) -> Result<Self, TchError> {
        let method: Box<dyn Optimise<T>> = match config.optimizer {
            Optimizer::Sgd => Box::new(sgd::Sgd::new(config, length)?),
            Optimizer::Adam => Box::new(adam::optimiser(config, length)?),
            Optimizer::Adamw => Box::new(adamw::optimiser(config, length)?),
            Optimizer::Rmsprop => Box::new(rmsprop::RmsProp::new(config, length)?),
        };
        Ok(Self { method, steps: 0 })
    }

    /// Begins a step of all parameters.
    pub fn begin(&mut self) {
        self.steps += 1;
        self.method.begin(self.steps);
    }

    /// Updates the parameters from index `first` on, weight decay included. Each parameter is updated once in a step.
    ///
    /// # Panics
    /// No step has begun.
    pub fn update(&mut self, first: usize, values: ViewMut<'_, T>, gradients: View<'_, T>) {
        assert!(self.steps > 0, "an update outside a step");
        self.method.update(first, values, gradients);
    }

    /// The state beside the number of steps, by name. Each buffer is as long as the parameters.
    pub fn state(&mut self) -> Vec<(&'static str, &mut Buffer<T>)> {
        self.method.state()
    }

    /// The steps that have begun.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Resumes after this number of steps.
    pub fn resume(&mut self, steps: u64) {
        self.steps = steps;
    }

    /// In-place SGD, if the optimiser is nothing more than that.
    #[must_use]
    pub fn in_place_sgd(&self) -> Option<InPlaceSgd> {
        self.method.in_place_sgd()
    }
}

#[cfg(test)]
mod tests;
