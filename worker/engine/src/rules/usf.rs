//! Sign-symmetric feedback of uniform size (Liao, Leibo and Poggio 2016; Moskovitz, Litwin-Kumar and Abbott 2018):
//! errors are propagated through the signs of the forward weights.
//!
//! δ_s = σ'(z_s) ⊙ Σ_{l reads s} [δ_l · B_l]_s,  ΔW_l = δ_lᵀ · input_l,  B_l = sign(W_l) / √fan_in

use tch::TchError;

use super::machinery::sign_feedback::SignFeedback;
use super::{LearningRule, StepContext};
use crate::architecture::Architecture;
use crate::kernels::handles::ViewMut;
use crate::kernels::scalar::Scalar;
use crate::kernels::weights::sign_with_size;
use crate::model::Model;
use crate::model::group::ParameterGroup;

/// The rule.
#[derive(Debug)]
pub(super) struct UniformSigns<T>(SignFeedback<T>);

impl<T: Scalar> LearningRule<T> for UniformSigns<T> {
    fn groups(_: &Architecture) -> Vec<ParameterGroup> {
        Vec::new()
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

/// B_l = sign(W_l) / √fan_in.
fn compute_feedback<T: Scalar>(b: ViewMut<'_, T>, model: &Model<T>, lane: usize, l: usize) {
    let fan_in = model.architecture.inputs(l).fan_in() as f64;
    sign_with_size(b, T::from_f64(1.0 / fan_in.sqrt()), model.forward.raw_weight(lane, l));
}
