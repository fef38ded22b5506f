//! Difference target propagation (Lee, Zhang, Fischer and Bengio 2015): targets from trained decoders. The first
//! targets come from the gradient through the output layer.
//!
//! T_l = h_l + Σ_{j ≤ L, l ∈ S(j)} [g_j(T_j) − g_j(h_j)]_l − η ∂(per-sample loss)/∂h_l through the output layer
//!
//! δ_l = 2 (h_l − T_l) ⊙ σ'(z_l) / batch,  ΔW_l = δ_lᵀ · input_l
//!
//! g_j(t) = σ(V_j t + c_j) reconstructs the hidden sources of layer j = 2..L. It minimises
//! Σ_units (g_j(f_j(h̃)) − h̃)² / batch with h̃ = h + noise_std · N(0,1). With `decoder_activation = "linear"` it has the identity
//! in place of σ. With `decoder_order = "before"` it takes `decoder_steps` steps before the targets are computed from it.

use tch::TchError;

use super::machinery::targets::{Targets, trained_decoders};
use super::{LearningRule, StepContext};
use crate::activations::Activations;
use crate::architecture::Architecture;
use crate::kernels::scalar::Scalar;
use crate::model::Model;
use crate::model::group::ParameterGroup;

/// The rule.
#[derive(Debug)]
pub(super) struct DifferenceTargetPropagation<T> {
    targets: Targets<T>,
}

impl<T: Scalar> LearningRule<T> for DifferenceTargetPropagation<T> {
    fn groups(architecture: &Architecture) -> Vec<ParameterGroup> {
        vec![trained_decoders(architecture, architecture.topology.output() - 1)]
    }

    fn new(model: &Model<T>, batch_size: usize) -> Result<Self, TchError> {
        Ok(Self { targets: Targets::new(model, batch_size)? })
    }

    fn backward(&mut self, step: &mut StepContext<'_, T>) -> Result<(), TchError> {
        let η = step.hyperparameters.target_step;
        let last_hidden = step.output() - 1;
        // V_j and c_j.
        if step.decoders_learn_first() {
            self.targets.train_decoders(step, 2..=last_hidden)?;
        }
        self.targets.begin();
        // − η ∂(per-sample loss)/∂h_l through the output layer.
        self.targets.descend(step, η)?;
        // + [g_j(T_j) − g_j(h_j)]_l. T_j is complete, because every layer above j has added its part.
        for j in (2..=last_hidden).rev() {
            self.targets.correct(step, j)?;
        }
        if !step.decoders_learn_first() {
            self.targets.train_decoders(step, 2..=last_hidden)?;
        }
        // δ_l = 2 (h_l − T_l) ⊙ σ'(z_l) / batch.
        self.targets.differences.compute_deltas(step);
        for l in step.layers() {
            step.learn(l, self.targets.differences.deltas())?;
        }
        Ok(())
    }

    fn target_differences(&self) -> Option<&Activations<T>> {
        Some(self.targets.differences.values())
    }

    fn inverse_losses(&self) -> &[(usize, f64)] {
        self.targets.inverse_losses()
    }
}
