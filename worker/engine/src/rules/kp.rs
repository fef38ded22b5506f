//! Kolen-Pollack learning (Kolen and Pollack 1994; Akrout, Wilson, Humphreys, Lillicrap and Tweed 2019): feedback alignment whose
//! feedback weights learn as the forward weights do. With weight decay, the difference of both fades.
//!
//! δ_s = σ'(z_s) ⊙ Σ_{l reads s} [δ_l · B_l]_s,  ΔW_l = δ_lᵀ · input_l,
//!
//! ∂B_l = δ_lᵀ · input_l,  B_l of W_l's shape, at first B_l = s (a W_l(0) + √(1 − a²) R_l) as in fa; the same optimiser, learning rate and weight decay

use tch::TchError;

use super::machinery::layer_errors::LayerErrors;
use super::{LearningRule, StepContext};
use crate::architecture::Architecture;
use crate::kernels::scalar::Scalar;
use crate::model::Model;
use crate::model::group::{Change, FEEDBACK, FirstDraw, ParameterGroup};

/// The rule.
#[derive(Debug)]
pub(super) struct KolenPollack<T> {
    delta: LayerErrors<T>,
}

impl<T: Scalar> LearningRule<T> for KolenPollack<T> {
    fn groups(architecture: &Architecture) -> Vec<ParameterGroup> {
        vec![ParameterGroup::layerwise_feedback(architecture, Change::Trained(|forward, _| forward), FirstDraw::aligned)]
    }

    fn new(model: &Model<T>, batch_size: usize) -> Result<Self, TchError> {
        Ok(Self { delta: LayerErrors::new(model, batch_size)? })
    }

    fn backward(&mut self, step: &mut StepContext<'_, T>) -> Result<(), TchError> {
        self.delta.begin();
        step.begin(FEEDBACK);
        for l in step.layers().rev() {
            self.delta.complete(step, l)?;
            // [δ_l · B_l]_s for each source s of l.
            self.delta.send(step, l, step.model.group(FEEDBACK).weight_slices(step.lane, l))?;
            // ∂B_l = ΔW_l = δ_lᵀ · input_l.
            step.learn_with(FEEDBACK, l, self.delta.deltas())?;
        }
        Ok(())
    }

    fn feedback(&mut self, model: &Model<T>, lane: usize, l: usize) -> Option<Vec<T>> {
        (l > 1).then(|| model.group(FEEDBACK).weight(lane, l))
    }
}
