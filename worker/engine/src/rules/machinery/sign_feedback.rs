//! Sign-symmetric feedback: errors travel through weights that are computed from the forward weights at every update.
//!
//! δ_s = σ'(z_s) ⊙ Σ_{l reads s} [δ_l · B_l]_s,  ΔW_l = δ_lᵀ · input_l

use tch::TchError;

use super::layer_errors::LayerErrors;
use crate::kernels::handles::ViewMut;
use crate::kernels::scalar::Scalar;
use crate::model::Model;
use crate::model::group::{Change, ParameterGroup};
use crate::model::parameters::Parameters;
use crate::rules::StepContext;

/// Writes B_l of a lane, for the current parameters: `(b, model, lane, l)`. Layer l is above the first.
pub(in crate::rules) type ComputeFeedback<T> = fn(ViewMut<'_, T>, &Model<T>, usize, usize);

/// The buffers of a rule with such feedback.
#[derive(Debug)]
pub(in crate::rules) struct SignFeedback<T> {
    delta: LayerErrors<T>,
    /// B of one lane.
    feedback: Parameters<T>,
}

impl<T: Scalar> SignFeedback<T> {
    pub(in crate::rules) fn new(model: &Model<T>, batch_size: usize) -> Result<Self, TchError> {
        let specs = ParameterGroup::layerwise_feedback(&model.architecture, Change::Fixed).specs;
        Ok(Self { delta: LayerErrors::new(model, batch_size)?, feedback: Parameters::zeros(1, 2, specs)? })
    }

    /// The backward pass.
    pub(in crate::rules) fn backward(
        &mut self,
        step: &mut StepContext<'_, T>,
        compute_feedback: ComputeFeedback<T>,
    ) -> Result<(), TchError> {
        self.delta.begin();
        for l in step.layers().rev() {
            self.delta.complete(step, l);
            if l > 1 {
                compute_feedback(self.feedback.raw_weight_mut(0, l), step.model, step.lane, l);
            }
            self.delta.send(step, l, self.feedback.weight_slices(0, l))?;
            step.learn(l, self.delta.deltas())?;
        }
        Ok(())
    }

    /// B_l; `None` for layer 1, which sends no error.
    pub(in crate::rules) fn feedback(
        &mut self,
        model: &Model<T>,
        lane: usize,
        l: usize,
        compute_feedback: ComputeFeedback<T>,
    ) -> Option<Vec<T>> {
        if l == 1 {
            return None;
        }
        compute_feedback(self.feedback.raw_weight_mut(0, l), model, lane, l);
        Some(self.feedback.weight(0, l))
    }
}
