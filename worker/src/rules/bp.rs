//! Back-propagation (Rumelhart, Hinton and Williams 1986): the gradient itself.
//!
//! δ_s = σ'(z_s) ⊙ Σ_{l reads s} [δ_l · W_l]_s

use tch::TchError;

use super::walk::Walk;
use super::{LearningRule, Surroundings, gradients_of_deltas};
use crate::network::{Network, Pass};
use crate::scalar::Scalar;

#[derive(Debug)]
pub(super) struct BackPropagation<T> {
    walk: Walk<T>,
}

impl<T: Scalar> BackPropagation<T> {
    pub(super) fn new(network: &Network<T>, rows: usize) -> Result<Self, TchError> {
        Ok(Self { walk: Walk::new(network, rows)? })
    }
}

impl<T: Scalar> LearningRule<T> for BackPropagation<T> {
    fn gradients(
        &mut self,
        network: &mut Network<T>,
        pass: &Pass<T>,
        _: &mut Surroundings<'_, T>,
    ) -> Result<(), TchError> {
        self.walk.run(network, pass, |layer| &network.forward.views(0, layer).weight)?;
        gradients_of_deltas(network, pass, &self.walk.deltas)
    }
}
