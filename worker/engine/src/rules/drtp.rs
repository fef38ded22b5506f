//! Direct random target projection (Frenkel, Lefebvre and Bol 2021): the label, in place of the error of the output layer, goes
//! to every hidden layer directly, through fixed random weights. The output layer learns from its own error.
//!
//! δ_l = (−onehot(y)/batch · D_l) ⊙ σ'(z_l) for l = 1..L,  ΔW_l = δ_lᵀ · input_l
//!
//! D_l [classes, units of layer l], drawn once from N(0, 1/classes)

use tch::TchError;

use super::machinery::direct_errors::DirectErrors;
use super::{LearningRule, StepContext};
use crate::architecture::Architecture;
use crate::kernels::scalar::Scalar;
use crate::model::Model;
use crate::model::group::{Change, FEEDBACK, ParameterGroup};

/// The rule.
#[derive(Debug)]
pub(super) struct DirectRandomTargetProjection<T> {
    delta: DirectErrors<T>,
}

impl<T: Scalar> LearningRule<T> for DirectRandomTargetProjection<T> {
    fn groups(architecture: &Architecture) -> Vec<ParameterGroup> {
        vec![ParameterGroup::direct_feedback(architecture, Change::Fixed)]
    }

    fn new(model: &Model<T>, batch_size: usize) -> Result<Self, TchError> {
        Ok(Self { delta: DirectErrors::new(model, batch_size)? })
    }

    fn backward(&mut self, step: &mut StepContext<'_, T>) -> Result<(), TchError> {
        let label = step.onehot(-1.0 / step.batch_size())?;
        for l in step.hidden_layers() {
            let d = step.model.group(FEEDBACK).weight_slices(step.lane, l);
            self.delta.receive(step, l, label.tensor(), d)?;
        }
        for l in step.layers() {
            step.learn(l, self.delta.deltas())?;
        }
        Ok(())
    }
}
