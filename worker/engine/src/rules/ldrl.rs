//! Difference target propagation with the local difference reconstruction loss (Ernoult, Normandin, Moudgil, Spinney,
//! Belilovsky, Rish, Richards and Bengio 2022): decoders learn the transposed derivatives of their layers, so that targets
//! approach those of back-propagation.
//!
//! T_{L+1} = z_{L+1} − η (softmax(z_{L+1}) − onehot(y)),  T_l = h_l + Σ_{j, l ∈ S(j)} [g_j(T_j) − g_j(h_j)]_l,
//! where h_{L+1} stands for z_{L+1}
//!
//! δ_l = 2 (h_l − T_l) ⊙ σ'(z_l) / batch,  ΔW_l = δ_lᵀ · input_l
//!
//! g_j(t) = V_j ρ(t) + c_j for j = 2..L+1, where ρ is σ, and the identity for j = L+1. With u = the hidden sources of j, v = f_j(u)
//! and ε, ν = noise_std · N(0,1), it minimises
//! Σ_images [−2 ε · (g_j(f_j(u + ε)) − g_j(v)) + ‖g_j(v + ν) − g_j(v)‖²] / batch

use tch::TchError;

use super::machinery::difference_decoder::DifferenceTargets;
use super::machinery::targets::trained_decoders;
use super::{LearningRule, StepContext};
use crate::activations::Activations;
use crate::architecture::Architecture;
use crate::kernels::scalar::Scalar;
use crate::model::Model;
use crate::model::group::ParameterGroup;

/// The rule.
#[derive(Debug)]
pub(super) struct LocalDifferenceReconstruction<T> {
    targets: DifferenceTargets<T>,
}

impl<T: Scalar> LearningRule<T> for LocalDifferenceReconstruction<T> {
    fn groups(architecture: &Architecture) -> Vec<ParameterGroup> {
        vec![trained_decoders(architecture, architecture.topology.output())]
    }

    fn new(model: &Model<T>, batch_size: usize) -> Result<Self, TchError> {
        Ok(Self { targets: DifferenceTargets::new(model, batch_size)? })
    }

    fn backward(&mut self, step: &mut StepContext<'_, T>) -> Result<(), TchError> {
        let η = step.hyperparameters.target_step;
        // V_j.
        if step.decoders_learn_first() {
            self.targets.train_decoders(step)?;
        }
        // T_{L+1}, and + [g_j(T_j) − g_j(h_j)]_l. T_j is complete, because every layer above j has added its part.
        self.targets.begin();
        for j in (2..=step.output()).rev() {
            self.targets.correct(step, j, η)?;
        }
        if !step.decoders_learn_first() {
            self.targets.train_decoders(step)?;
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

    fn decoder_angles(&mut self, step: &mut StepContext<'_, T>) -> Result<Vec<(usize, f64)>, TchError> {
        let mut angles = Vec::new();
        for j in 2..=step.output() {
            angles.extend(self.targets.angle(step, j)?.map(|angle| (j, angle)));
        }
        Ok(angles)
    }
}
