//! Stochastic gradient descent, with heavy-ball momentum (Polyak 1964) or Nesterov's (1983) where it is wanted.
//!
//! g ← g + λw;  v ← μv + g;  w ← w − ηv, or w ← w − η(g + μv) with Nesterov's momentum
//!
//! Without momentum w ← (1 − ηλ)w − ηg, which is one product added in place: see [`Direct`].

use biosweep_numeric::vector::wide;
use tch::TchError;

use super::{Direct, Optimise, Steps};
use crate::buffer::Buffer;
use crate::scalar::Scalar;

#[derive(Debug)]
pub(super) struct Sgd<T> {
    steps: Steps,
    /// v; none without momentum.
    velocity: Option<Buffer<T>>,
}

impl<T: Scalar> Sgd<T> {
    pub(super) fn new(steps: Steps, length: usize) -> Result<Self, TchError> {
        let velocity = (steps.momentum != 0.0).then(|| Buffer::zeros(length)).transpose()?;
        Ok(Self { steps, velocity })
    }
}

impl<T: Scalar> Optimise<T> for Sgd<T> {
    fn memory(&mut self) -> Vec<(&'static str, &mut [T])> {
        self.velocity.iter_mut().map(|velocity| ("velocity", velocity.slice_mut())).collect()
    }

    fn direct(&self) -> Option<Direct> {
        let Steps { learning_rate, weight_decay, .. } = self.steps;
        let direct = Direct { rate: learning_rate, keep: 1.0 - learning_rate * weight_decay };
        self.velocity.is_none().then_some(direct)
    }

    fn update(&mut self, first: usize, values: &mut [T], gradients: &[T]) {
        match &mut self.velocity {
            None => plain(values, gradients, self.steps),
            Some(velocity) => {
                let velocity = &mut velocity.slice_mut()[first..first + values.len()];
                with_momentum(values, gradients, velocity, self.steps);
            }
        }
    }
}

wide! {
    fn plain<T: Scalar>(values: &mut [T], gradients: &[T], steps: Steps) {
        let (rate, decay) = (T::of(steps.learning_rate), T::of(steps.weight_decay));
        for (w, &g) in values.iter_mut().zip(gradients) {
            *w -= rate * (g + decay * *w);
        }
    }
}

wide! {
    fn with_momentum<T: Scalar>(values: &mut [T], gradients: &[T], velocity: &mut [T], steps: Steps) {
        let (rate, decay) = (T::of(steps.learning_rate), T::of(steps.weight_decay));
        let momentum = T::of(steps.momentum);
        // What of the gradient the step has beside the velocity, and what of the velocity.
        let (of_gradient, of_velocity) = if steps.nesterov { (rate, rate * momentum) } else { (T::default(), rate) };
        for ((w, &g), v) in values.iter_mut().zip(gradients).zip(velocity) {
            let g = g + decay * *w;
            *v = momentum * *v + g;
            *w -= of_gradient * g + of_velocity * *v;
        }
    }
}
