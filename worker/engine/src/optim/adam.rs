//! Adam (Kingma and Ba 2015), with bias correction, β = (0.9, 0.999), ε = 1e-8, and L2 added to the gradient.
//!
//! g ← g + λw;  m ← β₁m + (1−β₁)g;  v ← β₂v + (1−β₂)g²;  w ← w − η/(1−β₁ᵗ) · m / (√v/√(1−β₂ᵗ) + ε)

use tch::TchError;

use super::moments::Moments;
use super::{Optimise, OptimiserConfig};
use crate::kernels::scalar::Scalar;

#[derive(Debug)]
pub(super) struct Adam<T> {
    config: OptimiserConfig,
    moments: Moments<T>,
}

impl<T: Scalar> Adam<T> {
    pub(super) fn new(config: OptimiserConfig, length: usize) -> Result<Self, TchError> {
        Ok(Self { config, moments: Moments::new(length)? })
    }
}

impl<T: Scalar> Optimise<T> for Adam<T> {
    fn begin(&mut self) {
        self.moments.begin();
    }

    fn state(&mut self) -> Vec<(&'static str, &mut [T])> {
        self.moments.state()
    }

    fn resume(&mut self, updates: u64) {
        self.moments.resume(updates);
    }

    fn update(&mut self, first: usize, values: &mut [T], gradients: &[T]) {
        let OptimiserConfig { learning_rate, weight_decay, .. } = self.config;
        self.moments.update(first, values, gradients, (learning_rate, weight_decay, 1.0));
    }
}
