//! Back-propagation (Rumelhart, Hinton and Williams 1986): errors are propagated through the transposed forward weights.
//!
//! δ_s = σ'(z_s) ⊙ Σ_{l reads s} [δ_l · W_l]_s,  ΔW_l = δ_lᵀ · input_l

use tch::TchError;

use super::machinery::layer_errors::LayerErrors;
use super::{LearningRule, StepContext};
use crate::architecture::Architecture;
use crate::kernels::scalar::Scalar;
use crate::model::Model;
use crate::model::group::ParameterGroup;

/// The rule.
#[derive(Debug)]
pub(super) struct BackPropagation<T> {
    delta: LayerErrors<T>,
}

impl<T: Scalar> LearningRule<T> for BackPropagation<T> {
    fn groups(_: &Architecture) -> Vec<ParameterGroup> {
        Vec::new()
    }

    fn new(model: &Model<T>, batch_size: usize) -> Result<Self, TchError> {
        Ok(Self { delta: LayerErrors::new(model, batch_size)? })
    }

    fn backward(&mut self, step: &mut StepContext<'_, T>) -> Result<(), TchError> {
        self.delta.begin();
        for l in step.layers().rev() {
            self.delta.complete(step, l)?;
            self.delta.send(step, l, step.model.forward.weight_slices(step.lane, l))?;
            step.learn(l, self.delta.deltas())?;
        }
        Ok(())
    }
}
