//! Stochastic gradient descent, optionally with heavy-ball momentum (Polyak 1964) or Nesterov's momentum (1983).
//!
//! g ← g + λw;  v ← μv + g;  w ← w − ηv, or w ← w − η(g + μv) with Nesterov's momentum
//!
//! Without momentum w ← (1 − ηλ)w − ηg, which is one product added in place: see [`InPlaceSgd`].

use tch::TchError;

use super::{InPlaceSgd, Optimise, OptimiserConfig};
use crate::kernels::buffer::Buffer;
use crate::kernels::handles::{View, ViewMut};
use crate::kernels::scalar::Scalar;
use crate::kernels::update::{SgdConstants, sgd, sgd_with_momentum};

#[derive(Debug)]
pub(super) struct Sgd<T> {
    config: OptimiserConfig,
    /// v; `None` without momentum.
    velocity: Option<Buffer<T>>,
}

impl<T: Scalar> Sgd<T> {
    pub(super) fn new(config: OptimiserConfig, length: usize) -> Result<Self, TchError> {
        let velocity = (config.momentum != 0.0).then(|| Buffer::zeros(length)).transpose()?;
        Ok(Self { config, velocity })
    }
}

impl<T: Scalar> Optimise<T> for Sgd<T> {
    fn state(&mut self) -> Vec<(&'static str, &mut Buffer<T>)> {
        self.velocity.iter_mut().map(|velocity| ("velocity", velocity)).collect()
    }

    fn in_place_sgd(&self) -> Option<InPlaceSgd> {
        let OptimiserConfig { learning_rate, weight_decay, .. } = self.config;
        let in_place_sgd = InPlaceSgd { rate: learning_rate, keep: 1.0 - learning_rate * weight_decay };
        self.velocity.is_none().then_some(in_place_sgd)
    }

    fn update(&mut self, first: usize, values: ViewMut<'_, T>, gradients: View<'_, T>) {
        let OptimiserConfig { learning_rate, weight_decay, momentum, nesterov, .. } = self.config;
        let constants = SgdConstants { rate: learning_rate, decay: weight_decay, momentum, nesterov };
        match &mut self.velocity {
            None => sgd(values, gradients, constants),
            Some(velocity) => {
                let velocity = velocity.view_mut(first..first + values.length());
                sgd_with_momentum(values, gradients, velocity, constants);
            }
        }
    }
}
