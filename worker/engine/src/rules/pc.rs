//! Predictive coding (Whittington and Bogacz 2017): the states of the hidden layers move until the energy of their prediction
//! errors is low; then each layer learns from its own error.
//!
//! x_l are the states, at first h_l of the forward pass; x_0 = x. μ_l = I(l) x_{l-1} + σ(z_l), z_l of the states;
//! e_l = x_l − μ_l
//!
//! E = Σ_{l ≤ L} ½‖e_l‖² + cross-entropy, per image. `inference_steps` steps of size γ = `inference_rate`:
//!
//! - `pc_solver = "state"`: x_l −= γ ∂E/∂x_l, all x_l at once.
//! - `pc_solver = "error"` (Goemaere et al. 2025): the variables are e_l, at first 0; x_l = μ_l + e_l is built forward, and
//!   e_l −= γ (e_l + ∂cross-entropy/∂x_l), where the derivative is taken along that graph.
//!
//! δ_l = −e_l ⊙ σ'(z_l) / batch,  δ_{L+1} = (softmax(z_{L+1}) − onehot(y)) / batch,  ΔW_l = δ_lᵀ · input_l, all of the last states

use biosweep_common::vocabulary::PcSolver;
use tch::TchError;

use super::machinery::inference::Inference;
use super::{LearningRule, StepContext};
use crate::activations::Activations;
use crate::architecture::Architecture;
use crate::kernels::scalar::Scalar;
use crate::model::Model;
use crate::model::group::ParameterGroup;

/// The rule.
#[derive(Debug)]
pub(super) struct PredictiveCoding<T> {
    inference: Inference<T>,
}

impl<T: Scalar> LearningRule<T> for PredictiveCoding<T> {
    fn groups(_: &Architecture) -> Vec<ParameterGroup> {
        Vec::new()
    }

    fn new(model: &Model<T>, batch_size: usize) -> Result<Self, TchError> {
        Ok(Self { inference: Inference::new(model, batch_size)? })
    }

    fn backward(&mut self, step: &mut StepContext<'_, T>) -> Result<(), TchError> {
        let rate = step.hyperparameters.inference_rate;
        self.inference.begin(step)?;
        for _ in 0..step.procedure.inference_steps {
            match step.procedure.pc_solver {
                PcSolver::State => self.inference.move_states(step, rate)?,
                PcSolver::Error => self.inference.move_errors(step, rate)?,
            }
        }
        // δ_l = −e_l ⊙ σ'(z_l) / batch.
        self.inference.finish(step)?;
        for l in step.layers() {
            step.learn_at(self.inference.values(), l, self.inference.delta(step, l))?;
        }
        Ok(())
    }

    fn states(&self) -> Option<&Activations<T>> {
        Some(&self.inference.values().hidden)
    }

    fn energy(&self) -> Option<f64> {
        self.inference.energy()
    }
}
