//! Stochastic gradient descent, with heavy-ball momentum (Polyak 1964) where it is wanted.
//!
//! g ← g + λw;  v ← μv + g;  w ← w − ηv  (without momentum v is g, and costs no memory)

use super::{Optimise, Steps};
use crate::scalar::Scalar;

#[derive(Debug)]
pub(super) struct Sgd<T> {
    steps: Steps,
    /// v; empty without momentum.
    velocity: Vec<T>,
}

impl<T: Scalar> Sgd<T> {
    pub(super) fn new(steps: Steps, length: usize) -> Self {
        let remembered = if steps.momentum == 0.0 { 0 } else { length };
        Self { steps, velocity: vec![T::default(); remembered] }
    }
}

impl<T: Scalar> Optimise<T> for Sgd<T> {
    fn update(&mut self, values: &mut [T], gradients: &[T]) {
        let (rate, decay) = (T::of(self.steps.learning_rate), T::of(self.steps.weight_decay));
        if self.velocity.is_empty() {
            for (w, &g) in values.iter_mut().zip(gradients) {
                *w -= rate * (g + decay * *w);
            }
            return;
        }
        let momentum = T::of(self.steps.momentum);
        for ((w, &g), v) in values.iter_mut().zip(gradients).zip(&mut self.velocity) {
            *v = momentum * *v + (g + decay * *w);
            *w -= rate * *v;
        }
    }
}
