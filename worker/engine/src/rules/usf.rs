//! Sign-symmetric feedback of uniform size (Liao, Leibo and Poggio 2016; Moskovitz, Litwin-Kumar and Abbott 2018):
//! errors are propagated through the signs of the forward weights.
//!
//! δ_s = σ'(z_s) ⊙ Σ_{l reads s} [δ_l · B_l]_s,  ΔW_l = δ_lᵀ · input_l,  B_l = sign(W_l) / √fan_in

use tch::TchError;

use super::machinery::layer_errors::LayerErrors;
use super::{LearningRule, StepContext};
use crate::architecture::Architecture;
use crate::kernels::scalar::Scalar;
use crate::kernels::weights::sign_with_size;
use crate::model::Model;
use crate::model::group::{Change, ParameterGroup};
use crate::model::parameters::Parameters;

/// The rule.
#[derive(Debug)]
pub(super) struct UniformSigns<T> {
    delta: LayerErrors<T>,
    /// B of one lane.
    feedback: Parameters<T>,
}

impl<T: Scalar> LearningRule<T> for UniformSigns<T> {
    fn groups(_: &Architecture) -> Vec<ParameterGroup> {
        Vec::new()
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

impl<T: Scalar> UniformSigns<T> {
    /// B_l = sign(W_l) / √fan_in, for the layers above the first.
    fn compute_feedback(&mut self, model: &Model<T>, lane: usize, l: usize) {
        if l > 1 {
            let fan_in = model.architecture.inputs(l).fan_in();
            let size = T::from_f64(1.0 / (fan_in as f64).sqrt());
            sign_with_size(self.feedback.raw_weight_mut(0, l), size, model.forward.raw_weight(lane, l));
        }
    }
}
