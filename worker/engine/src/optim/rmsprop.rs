//! RMSprop (Tieleman and Hinton 2012), with α = 0.99, ε = 1e-8, and L2 added to the gradient.
//!
//! g ← g + λw;  v ← αv + (1−α)g²;  w ← w − η · g / (√v + ε)

use tch::TchError;

use super::{Optimise, OptimiserConfig};
use crate::kernels::buffer::Buffer;
use crate::kernels::handles::{View, ViewMut};
use crate::kernels::scalar::Scalar;
use crate::kernels::update::{RmsPropConstants, rmsprop};

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
    fn state(&mut self) -> Vec<(&'static str, &mut Buffer<T>)> {
        vec![("square", &mut self.square)]
    }

    fn update(&mut self, first: usize, values: ViewMut<'_, T>, gradients: View<'_, T>) {
        let OptimiserConfig { learning_rate, weight_decay, .. } = self.config;
        let constants = RmsPropConstants { rate: learning_rate, decay: weight_decay, alpha: ALPHA, epsilon: EPSILON };
        let square = self.square.view_mut(first..first + values.length());
        rmsprop(values, gradients, square, constants);
    }
}
