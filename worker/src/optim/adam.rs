//! Adam (Kingma and Ba 2015), with bias correction, β = (0.9, 0.999), ε = 1e-8, and L2 added to the gradient.
//!
//! g ← g + λw;  m ← β₁m + (1−β₁)g;  v ← β₂v + (1−β₂)g²;  w ← w − η/(1−β₁ᵗ) · m / (√v/√(1−β₂ᵗ) + ε)

use super::{Optimise, Steps};
use crate::scalar::Scalar;

const BETA_1: f64 = 0.9;
const BETA_2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

#[derive(Debug)]
pub(super) struct Adam<T> {
    steps: Steps,
    mean: Vec<T>,
    square: Vec<T>,
    updates: i32,
}

impl<T: Scalar> Adam<T> {
    pub(super) fn new(steps: Steps, length: usize) -> Self {
        Self { steps, mean: vec![T::default(); length], square: vec![T::default(); length], updates: 0 }
    }
}

impl<T: Scalar> Optimise<T> for Adam<T> {
    fn update(&mut self, values: &mut [T], gradients: &[T]) {
        // Past two thousand million updates the corrections have long been 1.
        self.updates = self.updates.saturating_add(1);
        let correction = |beta: f64| 1.0 - beta.powi(self.updates);
        let step = T::of(self.steps.learning_rate / correction(BETA_1));
        let root = T::of(1.0 / correction(BETA_2).sqrt());
        let (decay, epsilon) = (T::of(self.steps.weight_decay), T::of(EPSILON));
        let (beta_1, rest_1) = (T::of(BETA_1), T::of(1.0 - BETA_1));
        let (beta_2, rest_2) = (T::of(BETA_2), T::of(1.0 - BETA_2));
        let (tiny_gradient, tiny_mean, tiny_square) = (T::of(1e-17), T::of(1e-30), T::of(1e-36));
        let length = values.len();
        let (gradients, mean, square) = (&gradients[..length], &mut self.mean[..length], &mut self.square[..length]);
        // By index over slices of one known length: so it becomes one vector loop.
        for place in 0..length {
            let w = values[place];
            let g = flush(gradients[place] + decay * w, tiny_gradient);
            let m = flush(beta_1 * mean[place] + rest_1 * g, tiny_mean);
            let v = flush(beta_2 * square[place] + rest_2 * (g * g), tiny_square);
            mean[place] = m;
            square[place] = v;
            values[place] = w - step * m / (v.sqrt() * root + epsilon);
        }
    }
}

/// Zero for numbers nearer to zero than `tiny`. A weight that no image uses decays towards zero, and its moments with it,
/// into numbers below the normal range, with which processors compute many times slower. The bounds lie so far below ε
/// that no weight that matters moves otherwise.
fn flush<T: Scalar>(number: T, tiny: T) -> T {
    if number < tiny && number > -tiny { T::default() } else { number }
}
