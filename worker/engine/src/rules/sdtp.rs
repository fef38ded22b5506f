//! Simplified difference target propagation (Bartunov, Santoro, Richards, Marris, Hinton and Lillicrap 2018): the
//! output layer has a decoder too. No gradient crosses any layer.
//!
//! T_l = h_l + Σ_{j, l ∈ S(j)} [g_j(T_j) − g_j(h_j)]_l,  where T_{L+1} = onehot(y) and h_{L+1} = softmax(z_{L+1})
//!
//! δ_l = 2 (h_l − T_l) ⊙ σ'(z_l) / batch,  ΔW_l = δ_lᵀ · input_l
//!
//! g_j(t) = σ(V_j t + c_j) reconstructs the hidden sources of layer j = 2..L+1. It minimises
//! Σ_units (g_j(f_j(h̃)) − h̃)² / batch with h̃ = h + noise_std · N(0,1). `decoder_activation` and `decoder_order` change it as in
//! dtp.

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
pub(super) struct SimplifiedTargetPropagation<T> {
    targets: Targets<T>,
}

impl<T: Scalar> LearningRule<T> for SimplifiedTargetPropagation<T> {
    fn groups(architecture: &Architecture) -> Vec<ParameterGroup> {
        vec![trained_decoders(architecture, architecture.topology.output())]
    }

    fn new(model: &Model<T>, batch_size: usize) -> Result<Self, TchError> {
        Ok(Self { targets: Targets::new(model, batch_size)? })
    }

    fn backward(&mut self, step: &mut StepContext<'_, T>) -> Result<(), TchError> {
        let output = step.output();
        // V_j and c_j.
        if step.decoders_learn_first() {
            self.targets.train_decoders(step, 2..=output)?;
        }
        self.targets.begin();
        // + [g_{L+1}(onehot(y)) − g_{L+1}(softmax(z_{L+1}))]_l.
        self.targets.correct_from_output(step)?;
        // + [g_j(T_j) − g_j(h_j)]_l. T_j is complete, because every layer above j has added its part.
        for j in (2..output).rev() {
            self.targets.correct(step, j)?;
        }
        if !step.decoders_learn_first() {
            self.targets.train_decoders(step, 2..=output)?;
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
