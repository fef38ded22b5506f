//! RMSprop (Tieleman and Hinton 2012), with α = 0.99, ε = 1e-8, and L2 added to the gradient.
//!
//! g ← g + λw;  v ← αv + (1−α)g²;  w ← w − η · g / (√v + ε)

use biosweep_numeric::vector::wide;
use tch::TchError;

use super::moments::{TINY_GRADIENT, flush};
use super::{Optimise, OptimiserConfig};
use crate::kernels::buffer::Buffer;
use crate::kernels::scalar::Scalar;

const ALPHA: f64 = 0.99;
const EPSILON: f64 = 1e-8;

#[derive(Debug)]
pub(super) struct RmsProp<T> {
    config: OptimiserConfig,
    square: Buffer<T>,
}

impl<T: Scalar> RmsProp<T> {
    pub(super) fn new(config: OptimiserConfig, length: usize) -> Result<Self, TchError> {
        Ok(Self { config, square: Buffer::zeros(length)? })
    }
}

impl<T: Scalar> Optimise<T> for RmsProp<T> {
    fn state(&mut self) -> Vec<(&'static str, &mut [T])> {
        vec![("square", self.square.slice_mut())]
    }

    fn update(&mut self, first: usize, values: &mut [T], gradients: &[T]) {
        let square = &mut self.square.slice_mut()[first..first + values.len()];
        step(values, gradients, square, self.config);
    }
}

wide! {
    fn step<T: Scalar>(values: &mut [T], gradients: &[T], square: &mut [T], config: OptimiserConfig) {
        let (rate, decay) = (T::from_f64(config.learning_rate), T::from_f64(config.weight_decay));
        let (alpha, rest, epsilon) = (T::from_f64(ALPHA), T::from_f64(1.0 - ALPHA), T::from_f64(EPSILON));
        let (tiny_gradient, tiny_square) = (T::from_f64(TINY_GRADIENT), T::from_f64(1e-35));
        for ((w, &g), v) in values.iter_mut().zip(gradients).zip(square) {
            let g = flush(decay.mul_add(*w, g), tiny_gradient);
            *v = flush(alpha * *v + rest * (g * g), tiny_square);
            *w -= rate * g * (*v * v.inverse_sqrt() + epsilon).inverse();
        }
    }
}
