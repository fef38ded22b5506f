//! Feedback alignment (Lillicrap, Cownden, Tweed and Akerman 2014): errors are propagated through fixed random weights.
//!
//! δ_s = σ'(z_s) ⊙ Σ_{l reads s} [δ_l · B_l]_s,  ΔW_l = δ_lᵀ · input_l,  B_l of W_l's shape, drawn once as W_l was:
//!
//! B_l = s (a W_l(0) + √(1 − a²) R_l),  where a is `feedback_alignment` (0) and s is `feedback_scale` (1)

use tch::TchError;

use super::machinery::layer_errors::LayerErrors;
use super::{LearningRule, StepContext};
use crate::architecture::Architecture;
use crate::kernels::scalar::Scalar;
use crate::model::Model;
use crate::model::group::{Change, FEEDBACK, FirstDraw, ParameterGroup};

/// The rule.
#[derive(Debug)]
pub(super) struct FeedbackAlignment<T> {
    delta: LayerErrors<T>,
}

impl<T: Scalar> LearningRule<T> for FeedbackAlignment<T> {
    fn groups(architecture: &Architecture) -> Vec<ParameterGroup> {
        vec![ParameterGroup::layerwise_feedback(architecture, Change::Fixed, FirstDraw::aligned).outputs_first()]
    }

    fn new(model: &Model<T>, batch_size: usize) -> Result<Self, TchError> {
        Ok(Self { delta: LayerErrors::new(model, batch_size)? })
    }

    fn backward(&mut self, step: &mut StepContext<'_, T>) -> Result<(), TchError> {
        self.delta.begin();
        for l in step.layers().rev() {
            // δ_l = σ'(z_l) ⊙ Σ of what the readers of l have sent.
            self.delta.complete(step, l)?;
            // [δ_l · B_l]_s for each source s of l.
            self.delta.send(step, l, step.model.group(FEEDBACK).weight_slices(step.lane, l))?;
            // ΔW_l = δ_lᵀ · input_l.
            step.learn(l, self.delta.deltas())?;
        }
        Ok(())
    }

    fn feedback(&mut self, model: &Model<T>, lane: usize, l: usize) -> Option<Vec<T>> {
        (l > 1).then(|| model.group(FEEDBACK).weight(lane, l))
    }
}
