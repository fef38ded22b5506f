//! Sign-symmetric feedback of uniform size (Liao, Leibo and Poggio 2016; Moskovitz, Litwin-Kumar and Abbott 2018):
//! errors are propagated through the signs of the forward weights.
//!
//! δ_s = σ'(z_s) ⊙ Σ_{l reads s} [δ_l · B_l]_s,  ΔW_l = δ_lᵀ · input_l,  B_l = sign(W_l) / √fan_in

use tch::TchError;

use super::machinery::layer_errors::LayerErrors;
use super::machinery::sign_feedback::{SignFeedback, Sizes};
use super::{LearningRule, StepContext};
use crate::architecture::Architecture;
use crate::kernels::scalar::Scalar;
use crate::model::Model;
use crate::model::group::ParameterGroup;

/// The rule.
#[derive(Debug)]
pub(super) struct UniformSigns<T> {
    delta: LayerErrors<T>,
    b: SignFeedback<T>,
}

impl<T: Scalar> LearningRule<T> for UniformSigns<T> {
    fn groups(_: &Architecture) -> Vec<ParameterGroup> {
        Vec::new()
    }

    fn new(model: &Model<T>, batch_size: usize) -> Result<Self, TchError> {
        Ok(Self { delta: LayerErrors::new(model, batch_size)?, b: SignFeedback::new(model, Sizes::Uniform)? })
    }

    fn backward(&mut self, step: &mut StepContext<'_, T>) -> Result<(), TchError> {
        self.delta.begin();
        for l in step.layers().rev() {
            self.delta.complete(step, l)?;
            // B_l = sign(W_l) / √fan_in.
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
