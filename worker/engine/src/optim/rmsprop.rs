//! RMSprop (Tieleman and Hinton 2012), with α = 0.99, ε = 1e-8, and L2 added to the gradient.
//!
//! g ← g + λw;  v ← αv + (1−α)g²;  w ← w − η · g / (√v + ε)

use biosweep_numeric::vector::wide;
use tch::TchError;

use super::moments::{TINY_GRADIENT, flush};
use super::{Optimise, Steps};
use crate::buffer::Buffer;
use crate::scalar::Scalar;

const ALPHA: f64 = 0.99;
const EPSILON: f64 = 1e-8;

#[derive(Debug)]
pub(super) struct RmsProp<T> {
    steps: Steps,
    square: Buffer<T>,
}

impl<T: Scalar> RmsProp<T> {
    pub(super) fn new(steps: Steps, length: usize) -> Result<Self, TchError> {
        Ok(Self { steps, square: Buffer::zeros(length)? })
    }
}

impl<T: Scalar> Optimise<T> for RmsProp<T> {
    fn memory(&mut self) -> Vec<(&'static str, &mut [T])> {
        vec![("square", self.square.slice_mut())]
    }

    fn update(&mut self, first: usize, values: &mut [T], gradients: &[T]) {
        let square = &mut self.square.slice_mut()[first..first + values.len()];
        step(values, gradients, square, self.steps);
    }
}

wide! {
    fn step<T: Scalar>(values: &mut [T], gradients: &[T], square: &mut [T], steps: Steps) {
        let (rate, decay) = (T::of(steps.learning_rate), T::of(steps.weight_decay));
        let (alpha, rest, epsilon) = (T::of(ALPHA), T::of(1.0 - ALPHA), T::of(EPSILON));
        let (tiny_gradient, tiny_square) = (T::of(TINY_GRADIENT), T::of(1e-35));
        for ((w, &g), v) in values.iter_mut().zip(gradients).zip(square) {
            let g = flush(decay.mul_add(*w, g), tiny_gradient);
            *v = flush(alpha * *v + rest * (g * g), tiny_square);
            *w -= rate * g * (*v * v.inverse_root() + epsilon).inverse();
        }
    }
}
