//! Sign-symmetric feedback of random size (Liao, Leibo and Poggio 2016; Moskovitz, Litwin-Kumar and Abbott 2018): errors are
//! propagated through weights with the signs of the forward weights and with sizes drawn anew at every update.
//!
//! δ_s = σ'(z_s) ⊙ Σ_{l reads s} [δ_l · B_l]_s,  ΔW_l = δ_lᵀ · input_l,
//!
//! B_l = |R_l| ⊙ sign(W_l),  R_l of W_l's shape, drawn at every update as W_l was at the first

use tch::TchError;

use super::machinery::layer_errors::LayerErrors;
use super::{LearningRule, StepContext};
use crate::architecture::Architecture;
use crate::kernels::scalar::Scalar;
use crate::kernels::weights::sign_with_sizes;
use crate::model::Model;
use crate::model::group::{Change, FEEDBACK, ParameterGroup};
use crate::model::parameters::Parameters;

/// The rule.
#[derive(Debug)]
pub(super) struct RedrawnSizes<T> {
    delta: LayerErrors<T>,
    /// B of one lane.
    feedback: Parameters<T>,
}

impl<T: Scalar> LearningRule<T> for RedrawnSizes<T> {
    fn groups(architecture: &Architecture) -> Vec<ParameterGroup> {
        vec![ParameterGroup::layerwise_feedback(architecture, Change::Redrawn)]
    }

    fn new(model: &Model<T>, batch_size: usize) -> Result<Self, TchError> {
        let specs = ParameterGroup::layerwise_feedback(&model.architecture, Change::Fixed).specs;
        Ok(Self { delta: LayerErrors::new(model, batch_size)?, feedback: Parameters::zeros(1, 2, specs)? })
    }

    fn backward(&mut self, step: &mut StepContext<'_, T>) -> Result<(), TchError> {
        self.delta.begin();
        for l in step.layers().rev() {
            self.delta.complete(step, l);
            self.compute_feedback(step.model, step.lane, l);
            self.delta.send(step, l, self.feedback.weight_slices(0, l))?;
            step.learn(l, self.delta.deltas())?;
        }
        Ok(())
    }

    fn feedback(&mut self, model: &Model<T>, lane: usize, l: usize) -> Option<Vec<T>> {
        self.compute_feedback(model, lane, l);
        (l > 1).then(|| self.feedback.weight(0, l))
    }
}

impl<T: Scalar> RedrawnSizes<T> {
    /// B_l = |R_l| ⊙ sign(W_l), for the layers above the first.
    fn compute_feedback(&mut self, model: &Model<T>, lane: usize, l: usize) {
        if l > 1 {
            let sizes = model.group(FEEDBACK).raw_weight(lane, l);
            sign_with_sizes(self.feedback.raw_weight_mut(0, l), sizes, model.forward.raw_weight(lane, l));
        }
    }
}
