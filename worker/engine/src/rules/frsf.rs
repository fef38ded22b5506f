//! Sign-symmetric feedback of fixed random size (Liao, Leibo and Poggio 2016; Moskovitz, Litwin-Kumar and Abbott 2018):
//! errors are propagated through weights with the signs of the forward weights and with sizes drawn once.
//!
//! δ_s = σ'(z_s) ⊙ Σ_{l reads s} [δ_l · B_l]_s,  ΔW_l = δ_lᵀ · input_l,
//!
//! B_l = |R_l| ⊙ sign(W_l),  R_l of W_l's shape, drawn once as W_l was

use tch::TchError;

use super::machinery::layer_errors::LayerErrors;
use super::machinery::sign_feedback::{SignFeedback, Sizes};
use super::{LearningRule, StepContext};
use crate::architecture::Architecture;
use crate::kernels::scalar::Scalar;
use crate::model::Model;
use crate::model::group::{Change, FirstDraw, ParameterGroup};

/// The rule.
#[derive(Debug)]
pub(super) struct FixedSizes<T> {
    delta: LayerErrors<T>,
    b: SignFeedback<T>,
}

impl<T: Scalar> LearningRule<T> for FixedSizes<T> {
    fn groups(architecture: &Architecture) -> Vec<ParameterGroup> {
        vec![ParameterGroup::layerwise_feedback(architecture, Change::Fixed, FirstDraw::scaled)]
    }

    fn new(model: &Model<T>, batch_size: usize) -> Result<Self, TchError> {
        Ok(Self { delta: LayerErrors::new(model, batch_size)?, b: SignFeedback::new(model, Sizes::Random)? })
    }

    fn backward(&mut self, step: &mut StepContext<'_, T>) -> Result<(), TchError> {
        self.delta.begin();
        for l in step.layers().rev() {
            self.delta.complete(step, l)?;
            // B_l = |R_l| ⊙ sign(W_l).
            let b = self.b.compute(step.model, step.lane, l);
            self.delta.send(step, l, b)?;
            step.learn(l, self.delta.deltas())?;
        }
        Ok(())
    }

    fn feedback(&mut self, model: &Model<T>, lane: usize, l: usize) -> Option<Vec<T>> {
        self.b.weight(model, lane, l)
    }
}
