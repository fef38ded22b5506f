//! Optimisers: how a gradient moves the parameters. One file an optimiser, each one fused loop over flat slices.

mod adam;
mod sgd;

use biosweep_common::vocabulary::Optimizer;

use crate::scalar::Scalar;

/// Moves parameters by their gradients, and remembers what it has to.
pub trait Optimise<T: Scalar> {
    /// One update of all parameters; `weight_decay · w` is added to every gradient.
    fn update(&mut self, values: &mut [T], gradients: &[T]);
}

/// How far to move.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Steps {
    /// Step size.
    pub learning_rate: f64,
    /// L2 coefficient.
    pub weight_decay: f64,
    /// Heavy-ball momentum of sgd; 0 is none.
    pub momentum: f64,
}

/// An optimiser of so many parameters.
#[must_use]
pub fn new<T: Scalar>(optimizer: Optimizer, steps: Steps, length: usize) -> Box<dyn Optimise<T>> {
    match optimizer {
        Optimizer::Sgd => Box::new(sgd::Sgd::new(steps, length)),
        Optimizer::Adam => Box::new(adam::Adam::new(steps, length)),
    }
}

#[cfg(test)]
mod tests;
