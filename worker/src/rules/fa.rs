//! Feedback alignment (Lillicrap, Cownden, Tweed and Akerman 2014): errors travel back through fixed random weights.
//!
//! δ_s = σ'(z_s) ⊙ Σ_{l reads s} [δ_l · B_l]_s,  B_l of W_l's shape, drawn once as W_l was

use tch::TchError;

use super::walk::Walk;
use super::{LearningRule, Surroundings, gradients_of_deltas};
use crate::network::{Network, Pass};
use crate::scalar::Scalar;

#[derive(Debug)]
pub(super) struct FeedbackAlignment<T> {
    walk: Walk<T>,
}

impl<T: Scalar> FeedbackAlignment<T> {
    pub(super) fn new(network: &Network<T>, rows: usize) -> Result<Self, TchError> {
        Ok(Self { walk: Walk::new(network, rows)? })
    }
}

impl<T: Scalar> LearningRule<T> for FeedbackAlignment<T> {
    fn gradients(
        &mut self,
        network: &mut Network<T>,
        pass: &Pass<T>,
        _: &mut Surroundings<'_, T>,
    ) -> Result<(), TchError> {
        let feedback = network.feedback.as_ref().expect("a network for feedback alignment has feedback weights");
        self.walk.run(network, pass, |layer| &feedback.views(0, layer).weight)?;
        gradients_of_deltas(network, pass, &self.walk.deltas)
    }
}
