//! Optimisers: updates of parameters by their gradients. Each optimiser is one file, and one fused loop over flat
//! slices.

mod adam;
mod adamw;
mod moments;
mod rmsprop;
mod sgd;

use biosweep_common::vocabulary::Optimizer;
use tch::TchError;

use crate::kernels::scalar::Scalar;

/// An optimiser with its state.
pub trait Optimise<T: Scalar> {
    /// Begins an update of all parameters.
    fn begin(&mut self) {}

    /// Updates the parameters from index `first` on, weight decay included.
    fn update(&mut self, first: usize, values: &mut [T], gradients: &[T]);

    /// The state beside the number of updates, by name. Each slice is as long as the parameters.
    fn state(&mut self) -> Vec<(&'static str, &mut [T])>;

    /// Resumes after `_updates` updates.
    fn resume(&mut self, _updates: u64) {}

    /// In-place SGD, if the optimiser is nothing more than that.
    fn in_place_sgd(&self) -> Option<InPlaceSgd> {
        None
    }
}

/// In-place SGD: w ← keep · w − rate · gradient, without state. If the errors carry the rate, the update is one matrix
/// product that is added in place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InPlaceSgd {
    /// The learning rate.
    pub rate: f64,
    /// The factor of weight decay.
    pub keep: f64,
}

/// The hyperparameters of an optimiser.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OptimiserConfig {
    /// The learning rate.
    pub learning_rate: f64,
    /// The L2 coefficient.
    pub weight_decay: f64,
    /// The heavy-ball momentum of sgd; 0 means none.
    pub momentum: f64,
    /// Whether the momentum is Nesterov's.
    pub nesterov: bool,
}

/// An optimiser of `length` parameters.
///
/// # Errors
/// Memory allocation fails.
pub fn new<T: Scalar>(
    optimizer: Optimizer,
    config: OptimiserConfig,
    length: usize,
) -> Result<Box<dyn Optimise<T>>, TchError> {
    Ok(match optimizer {
        Optimizer::Sgd => Box::new(sgd::Sgd::new(config, length)?),
        Optimizer::Adam => Box::new(adam::optimiser(config, length)?),
        Optimizer::Adamw => Box::new(adamw::optimiser(config, length)?),
        Optimizer::Rmsprop => Box::new(rmsprop::RmsProp::new(config, length)?),
    })
}

#[cfg(test)]
mod tests;
