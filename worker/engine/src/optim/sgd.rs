//! Stochastic gradient descent, optionally with heavy-ball momentum (Polyak 1964) or Nesterov's momentum (1983).
//!
//! g ← g + λw;  v ← μv + g;  w ← w − ηv, or w ← w − η(g + μv) with Nesterov's momentum
//!
//! Without momentum w ← (1 − ηλ)w − ηg, which is one product added in place: see [`InPlaceSgd`].

use biosweep_numeric::vector::wide;
use tch::TchError;

use super::{InPlaceSgd, Optimise, OptimiserConfig};
use crate::kernels::buffer::Buffer;
use crate::kernels::scalar::Scalar;

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
    fn state(&mut self) -> Vec<(&'static str, &mut [T])> {
        self.velocity.iter_mut().map(|velocity| ("velocity", velocity.slice_mut())).collect()
    }

    fn in_place_sgd(&self) -> Option<InPlaceSgd> {
        let OptimiserConfig { learning_rate, weight_decay, .. } = self.config;
        let in_place_sgd = InPlaceSgd { rate: learning_rate, keep: 1.0 - learning_rate * weight_decay };
        self.velocity.is_none().then_some(in_place_sgd)
    }

    fn update(&mut self, first: usize, values: &mut [T], gradients: &[T]) {
        match &mut self.velocity {
            None => plain(values, gradients, self.config),
            Some(velocity) => {
                let velocity = &mut velocity.slice_mut()[first..first + values.len()];
                with_momentum(values, gradients, velocity, self.config);
            }
        }
    }
}

wide! {
    fn plain<T: Scalar>(values: &mut [T], gradients: &[T], config: OptimiserConfig) {
        let (rate, decay) = (T::from_f64(config.learning_rate), T::from_f64(config.weight_decay));
        for (w, &g) in values.iter_mut().zip(gradients) {
            *w -= rate * (g + decay * *w);
        }
    }
}

wide! {
    fn with_momentum<T: Scalar>(values: &mut [T], gradients: &[T], velocity: &mut [T], config: OptimiserConfig) {
        let (rate, decay) = (T::from_f64(config.learning_rate), T::from_f64(config.weight_decay));
        let momentum = T::from_f64(config.momentum);
        // The factors of the gradient and of the velocity in the step.
        let (of_gradient, of_velocity) = if config.nesterov { (rate, rate * momentum) } else { (T::default(), rate) };
        for ((w, &g), v) in values.iter_mut().zip(gradients).zip(velocity) {
            let g = g + decay * *w;
            *v = momentum * *v + g;
            *w -= of_gradient * g + of_velocity * *v;
        }
    }
}
