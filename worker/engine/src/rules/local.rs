//! Local errors by prediction (Nøkland and Eidnes 2019): every hidden layer predicts the classes through a classifier of its own
//! and learns from the error of that prediction. No error travels between layers.
//!
//! p_l = softmax(A_l h_l + a_l),  δ_l = [(p_l − onehot(y)) A_l] ⊙ σ'(z_l) / batch,  ΔW_l = δ_lᵀ · input_l
//!
//! ∂A_l = (p_l − onehot(y))ᵀ h_l / batch,  ∂a_l = Σ (p_l − onehot(y)) / batch,  by the optimiser of the forward weights
//!
//! A convolution predicts from its spatial mean. A_l [classes, channels of layer l] is drawn as the output layer is; a_l = 0.

use tch::TchError;

use super::machinery::local_errors::LocalErrors;
use super::{LearningRule, StepContext};
use crate::architecture::Architecture;
use crate::kernels::scalar::Scalar;
use crate::model::Model;
use crate::model::group::{AUXILIARY, Change, ParameterGroup};

/// The rule.
#[derive(Debug)]
pub(super) struct LocalErrorLearning<T> {
    delta: LocalErrors<T>,
}

impl<T: Scalar> LearningRule<T> for LocalErrorLearning<T> {
    fn groups(architecture: &Architecture) -> Vec<ParameterGroup> {
        vec![ParameterGroup::classifiers(architecture, Change::Trained(|forward, _| forward))]
    }

    fn new(model: &Model<T>, batch_size: usize) -> Result<Self, TchError> {
        Ok(Self { delta: LocalErrors::new(model, batch_size)? })
    }

    fn backward(&mut self, step: &mut StepContext<'_, T>) -> Result<(), TchError> {
        step.begin(AUXILIARY);
        for l in step.hidden_layers() {
            // δ_l from p_l; then A_l and a_l learn.
            self.delta.compute(step, l)?;
        }
        for l in step.layers() {
            step.learn(l, self.delta.deltas())?;
        }
        Ok(())
    }
}
