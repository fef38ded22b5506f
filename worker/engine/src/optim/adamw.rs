//! AdamW (Loshchilov and Hutter 2019): Adam whose weight decay stays out of the moments.
//!
//! m ← β₁m + (1−β₁)g;  v ← β₂v + (1−β₂)g²;  w ← (1−ηλ)w − η/(1−β₁ᵗ) · m / (√v/√(1−β₂ᵗ) + ε)

use tch::TchError;

use super::moments::Moments;
use super::{Optimise, OptimiserConfig};
use crate::kernels::scalar::Scalar;

#[derive(Debug)]
pub(super) struct AdamW<T> {
    config: OptimiserConfig,
    moments: Moments<T>,
}

impl<T: Scalar> AdamW<T> {
    pub(super) fn new(config: OptimiserConfig, length: usize) -> Result<Self, TchError> {
        Ok(Self { config, moments: Moments::new(length)? })
    }
}

impl<T: Scalar> Optimise<T> for AdamW<T> {
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
        self.moments.update(first, values, gradients, (learning_rate, 0.0, 1.0 - learning_rate * weight_decay));
    }
}
