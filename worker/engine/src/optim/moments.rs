//! Adam and AdamW: running means of gradients and of squared gradients.

use tch::TchError;

use super::Optimise;
use crate::kernels::buffer::Buffer;
use crate::kernels::handles::{View, ViewMut};
use crate::kernels::scalar::Scalar;
use crate::kernels::update::{AdamConstants, adam, flush_moments};

const BETA_1: f64 = 0.9;
const BETA_2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// Steps between two flushes of subnormal moments to zero. In this number of steps a mean decays a thousandfold,
/// from the bound to a value within the normal range.
const FLUSH_EVERY: i32 = 64;

/// How weight decay enters an update.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decay {
    /// The multiple of the weights that is added to their gradients.
    pub(super) added: f64,
    /// The factor of the weights themselves.
    pub(super) kept: f64,
}

/// Adam or AdamW, by how the weights decay.
#[derive(Debug)]
pub(super) struct Moments<T> {
    learning_rate: f64,
    decay: Decay,
    mean: Buffer<T>,
    square: Buffer<T>,
    steps: i32,
}

impl<T: Scalar> Moments<T> {
    pub(super) fn new(learning_rate: f64, decay: Decay, length: usize) -> Result<Self, TchError> {
        let (mean, square) = (Buffer::zeros(length)?, Buffer::zeros(length)?);
        Ok(Self { learning_rate, decay, mean, square, steps: 0 })
    }
}

impl<T: Scalar> Optimise<T> for Moments<T> {
    fn begin(&mut self, step: u64) {
        // The corrections are 1 long before two thousand million steps.
        self.steps = i32::try_from(step).unwrap_or(i32::MAX);
    }

    fn state(&mut self) -> Vec<(&'static str, &mut Buffer<T>)> {
        vec![("mean", &mut self.mean), ("square", &mut self.square)]
    }

    /// m ← β₁m + (1−β₁)g;  v ← β₂v + (1−β₂)g²;  w ← kept·w − η/(1−β₁ᵗ) · m / (√v/√(1−β₂ᵗ) + ε),
    /// where g includes `added · w`.
    fn update(&mut self, first: usize, values: ViewMut<'_, T>, gradients: View<'_, T>) {
        let correction = |beta: f64| 1.0 - beta.powi(self.steps);
        let constants = AdamConstants {
            keep: self.decay.kept,
            decay: self.decay.added,
            step: self.learning_rate / correction(BETA_1),
            root: 1.0 / correction(BETA_2).sqrt(),
            beta: (BETA_1, BETA_2),
            epsilon: EPSILON,
        };
        let range = first..first + values.length();
        if self.steps % FLUSH_EVERY == 0 {
            flush_moments(self.mean.view_mut(range.clone()), self.square.view_mut(range.clone()));
        }
        let (mean, square) = (self.mean.view_mut(range.clone()), self.square.view_mut(range));
        adam(values, gradients, mean, square, constants);
    }
}
