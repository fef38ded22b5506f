//! Optimisers: how a gradient moves the parameters. One file an optimiser, each one fused loop over flat slices.

mod adam;
mod adamw;
mod moments;
mod rmsprop;
mod sgd;

use biosweep_common::vocabulary::Optimizer;
use tch::TchError;

use crate::kernels::scalar::Scalar;

/// Moves parameters by their gradients, and remembers what it has to.
pub trait Optimise<T: Scalar> {
    /// Begins an update of all parameters.
    fn begin(&mut self) {}

    /// Updates the parameters from number `first` on; `weight_decay · w` is added to every gradient.
    fn update(&mut self, first: usize, values: &mut [T], gradients: &[T]);

    /// What it remembers beside the number of updates, by name: each as long as the parameters.
    fn state(&mut self) -> Vec<(&'static str, &mut [T])>;

    /// Goes on after so many updates.
    fn resume(&mut self, _updates: u64) {}

    /// How gradients may go into the parameters at once, where nothing else is to be done with them.
    fn in_place_sgd(&self) -> Option<InPlaceSgd> {
        None
    }
}

/// w ← keep · w − rate · gradient: an update that remembers nothing. Errors can carry the rate, and then the update is
/// one matrix product added in place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InPlaceSgd {
    /// Step size.
    pub rate: f64,
    /// What weight decay leaves of a parameter.
    pub keep: f64,
}

/// How far to move.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OptimiserConfig {
    /// Step size.
    pub learning_rate: f64,
    /// L2 coefficient.
    pub weight_decay: f64,
    /// Heavy-ball momentum of sgd; 0 is none.
    pub momentum: f64,
    /// Whether the momentum looks ahead.
    pub nesterov: bool,
}

/// An optimiser of so many parameters.
///
/// # Errors
/// Memory that cannot be had.
pub fn new<T: Scalar>(
    optimizer: Optimizer,
    config: OptimiserConfig,
    length: usize,
) -> Result<Box<dyn Optimise<T>>, TchError> {
    Ok(match optimizer {
        Optimizer::Sgd => Box::new(sgd::Sgd::new(config, length)?),
        Optimizer::Adam => Box::new(adam::Adam::new(config, length)?),
        Optimizer::Adamw => Box::new(adamw::AdamW::new(config, length)?),
        Optimizer::Rmsprop => Box::new(rmsprop::RmsProp::new(config, length)?),
    })
}

#[cfg(test)]
mod tests;
