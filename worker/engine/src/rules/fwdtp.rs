//! Fixed-weight difference target propagation (Shibuya, Inoue, Kawakami and Sato 2023): difference target propagation whose
//! decoders are drawn and never learn.
//!
//! T_l = h_l + Σ_{j ≤ L, l ∈ S(j)} [g_j(T_j) − g_j(h_j)]_l − η ∂(per-sample loss)/∂h_l through the output layer
//!
//! δ_l = 2 (h_l − T_l) ⊙ σ'(z_l) / batch,  ΔW_l = δ_lᵀ · input_l
//!
//! g_j(t) = σ(V_j t + c_j), with V_j from N(0, 1/fan_in) and c_j = 0, both fixed; with `decoder_activation = "linear"` the
//! identity takes the place of σ

use tch::TchError;

use super::machinery::targets::Targets;
use super::{LearningRule, StepContext};
use crate::activations::Activations;
use crate::architecture::Architecture;
use crate::kernels::scalar::Scalar;
use crate::model::Model;
use crate::model::group::{Change, ParameterGroup};

/// The rule.
#[derive(Debug)]
pub(super) struct FixedWeightTargetPropagation<T> {
    targets: Targets<T>,
}

impl<T: Scalar> LearningRule<T> for FixedWeightTargetPropagation<T> {
    fn groups(architecture: &Architecture) -> Vec<ParameterGroup> {
        vec![ParameterGroup::decoders(architecture, architecture.topology.output() - 1, Change::Fixed)]
    }

    fn new(model: &Model<T>, batch_size: usize) -> Result<Self, TchError> {
        Ok(Self { targets: Targets::new(model, batch_size)? })
    }

    fn backward(&mut self, step: &mut StepContext<'_, T>) -> Result<(), TchError> {
        let η = step.hyperparameters.target_step;
        self.targets.begin();
        // − η ∂(per-sample loss)/∂h_l through the output layer.
        self.targets.descend(step, η)?;
        // + [g_j(T_j) − g_j(h_j)]_l. T_j is complete, because every layer above j has added its part.
        for j in (2..step.output()).rev() {
            self.targets.correct(step, j)?;
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
}
