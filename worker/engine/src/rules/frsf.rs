//! Sign-symmetric feedback of fixed random size (Liao, Leibo and Poggio 2016; Moskovitz, Litwin-Kumar and Abbott 2018):
//! errors are propagated through weights with the signs of the forward weights and with sizes drawn once.
//!
//! δ_s = σ'(z_s) ⊙ Σ_{l reads s} [δ_l · B_l]_s,  ΔW_l = δ_lᵀ · input_l,
//!
//! B_l = |R_l| ⊙ sign(W_l),  R_l of W_l's shape, drawn once as W_l was

use tch::TchError;

use super::machinery::sign_feedback::SignFeedback;
use super::{LearningRule, StepContext};
use crate::architecture::Architecture;
use crate::kernels::handles::ViewMut;
use crate::kernels::scalar::Scalar;
use crate::kernels::weights::sign_with_sizes;
use crate::model::Model;
use crate::model::group::{Change, FEEDBACK, ParameterGroup};

/// The rule.
#[derive(Debug)]
pub(super) struct FixedSizes<T>(SignFeedback<T>);

impl<T: Scalar> LearningRule<T> for FixedSizes<T> {
    fn groups(architecture: &Architecture) -> Vec<ParameterGroup> {
        vec![ParameterGroup::layerwise_feedback(architecture, Change::Fixed)]
    }

    fn new(model: &Model<T>, batch_size: usize) -> Result<Self, TchError> {
        Ok(Self(SignFeedback::new(model, batch_size)?))
    }

    fn backward(&mut self, step: &mut StepContext<'_, T>) -> Result<(), TchError> {
        self.0.backward(step, compute_feedback)
    }

    fn feedback(&mut self, model: &Model<T>, lane: usize, l: usize) -> Option<Vec<T>> {
        self.0.feedback(model, lane, l, compute_feedback)
    }
}

/// B_l = |R_l| ⊙ sign(W_l).
fn compute_feedback<T: Scalar>(b: ViewMut<'_, T>, model: &Model<T>, lane: usize, l: usize) {
    let r = model.group(FEEDBACK).raw_weight(lane, l);
    sign_with_sizes(b, r, model.forward.raw_weight(lane, l));
}
