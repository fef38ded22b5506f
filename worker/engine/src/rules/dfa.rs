//! Direct feedback alignment (Nøkland 2016): the output's error goes straight to every layer, through fixed random
//! weights.
//!
//! δ_l = (δ_{L+1} · D_l) ⊙ σ'(z_l),  D_l [classes, units of layer l], drawn once from N(0, 1/classes)

use tch::{TchError, Tensor};

use super::{LearningRule, Update, learn_all};
use crate::activation::times_derivative;
use crate::activities::Activities;
use crate::layer::{self, Arrival};
use crate::network::{Network, Pass};
use crate::scalar::Scalar;

#[derive(Debug)]
pub(super) struct DirectFeedbackAlignment<T> {
    /// δ of all hidden layers.
    deltas: Activities<T>,
    /// The same, each as [images, units]; zeros between the positions of a convolution included.
    by_image: Vec<Tensor>,
}

impl<T: Scalar> DirectFeedbackAlignment<T> {
    pub(super) fn new(network: &Network<T>, rows: usize) -> Result<Self, TchError> {
        let wiring = &network.wiring;
        let deltas = Activities::zeros(wiring, rows)?;
        let by_image = |layer: usize| {
            let matrix = deltas.layer(layer);
            // The positions of a convolution lie one after another, image after image.
            if wiring.is_convolutional() { matrix.f_view([rows as i64, -1]) } else { Ok(matrix.shallow_clone()) }
        };
        let by_image = wiring.topology.hidden().map(by_image).collect::<Result<_, _>>()?;
        Ok(Self { deltas, by_image })
    }
}

impl<T: Scalar> LearningRule<T> for DirectFeedbackAlignment<T> {
    fn learn(&mut self, network: &mut Network<T>, pass: &Pass<T>, update: &mut Update<'_, T>) -> Result<(), TchError> {
        let feedback = network.feedback.as_ref().expect("a network for direct feedback alignment has feedback weights");
        for (layer, delta) in network.wiring.topology.hidden().zip(&self.by_image) {
            let direct = &feedback.parts(update.lane, layer)[0].weight;
            layer::error_to_input(Arrival::First, delta, pass.output_delta(), direct)?;
            let (numbers, lines) = self.deltas.numbers_mut(layer);
            times_derivative(network.activation, T::of(1.0), numbers, pass.hidden.numbers(layer).0, lines);
        }
        learn_all(network, pass, &self.deltas, update)
    }
}
