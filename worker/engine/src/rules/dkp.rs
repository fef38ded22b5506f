//! Direct Kolen-Pollack learning (Webster, Choi and Ahn 2021): direct feedback alignment whose feedback weights learn.
//!
//! δ_l = (δ_{L+1} · D_l) ⊙ σ'(z_l),  ΔW_l = δ_lᵀ · input_l,
//!
//! ∂D_l = δ_{L+1}ᵀ · h_l,  D_l [classes, units of layer l], drawn from N(0, 1/classes); the optimiser of the forward weights

use tch::TchError;

use super::machinery::direct_errors::{DirectErrors, DirectFeedback};
use super::{LearningRule, StepContext};
use crate::architecture::Architecture;
use crate::kernels::scalar::Scalar;
use crate::model::Model;
use crate::model::group::{Change, FEEDBACK, ParameterGroup};

/// The rule.
#[derive(Debug)]
pub(super) struct DirectKolenPollack<T> {
    delta: DirectErrors<T>,
    d: DirectFeedback<T>,
}

impl<T: Scalar> LearningRule<T> for DirectKolenPollack<T> {
    fn groups(architecture: &Architecture) -> Vec<ParameterGroup> {
        vec![ParameterGroup::direct_feedback(architecture, Change::Trained(|forward, _| forward))]
    }

    fn new(model: &Model<T>, batch_size: usize) -> Result<Self, TchError> {
        Ok(Self { delta: DirectErrors::new(model, batch_size)?, d: DirectFeedback::new(model, batch_size)? })
    }

    fn backward(&mut self, step: &mut StepContext<'_, T>) -> Result<(), TchError> {
        step.begin(FEEDBACK);
        for l in step.hidden_layers() {
            let d = step.model.group(FEEDBACK).weight_slices(step.lane, l);
            self.delta.receive(step, l, step.output_delta(), d)?;
            // ∂D_l = δ_{L+1}ᵀ · h_l.
            self.d.learn(step, l)?;
        }
        for l in step.layers() {
            step.learn(l, self.delta.deltas())?;
        }
        Ok(())
    }
}
