//! Direct feedback alignment (Nøkland 2016): the error of the output layer goes to every layer directly, through fixed
//! random weights.
//!
//! δ_l = (δ_{L+1} · D_l) ⊙ σ'(z_l),  ΔW_l = δ_lᵀ · input_l,  D_l [classes, units of layer l], drawn once from N(0, 1/classes)

use tch::TchError;

use super::machinery::direct_errors::DirectErrors;
use super::{LearningRule, StepContext};
use crate::architecture::Architecture;
use crate::kernels::scalar::Scalar;
use crate::model::Model;
use crate::model::group::{Change, FEEDBACK, ParameterGroup};

/// The rule.
#[derive(Debug)]
pub(super) struct DirectFeedbackAlignment<T> {
    delta: DirectErrors<T>,
}

impl<T: Scalar> LearningRule<T> for DirectFeedbackAlignment<T> {
    fn groups(architecture: &Architecture) -> Vec<ParameterGroup> {
        vec![ParameterGroup::direct_feedback(architecture, Change::Fixed)]
    }

    fn new(model: &Model<T>, batch_size: usize) -> Result<Self, TchError> {
        Ok(Self { delta: DirectErrors::new(model, batch_size)? })
    }

    fn backward(&mut self, step: &mut StepContext<'_, T>) -> Result<(), TchError> {
        for l in step.hidden_layers() {
            let d = step.model.group(FEEDBACK).weight_slices(step.lane, l);
            self.delta.receive(step, l, step.output_delta(), d)?;
        }
        for l in step.layers() {
            step.learn(l, self.delta.deltas())?;
        }
        Ok(())
    }
}
