//! Direct difference target propagation (Meulemans, Carzaniga, Suykens, Sacramento and Grewe 2020): targets come from the output
//! directly, through linear decoders that learn to undo noise.
//!
//! T_l = h_l − η Q_l (softmax(z_{L+1}) − onehot(y)),  δ_l = 2 (h_l − T_l) ⊙ σ'(z_l) / batch,  ΔW_l = δ_lᵀ · input_l
//!
//! Q_l of [units of l, classes], for l = 1..L, minimises Σ_images ‖Q_l Δ − (h̃_l − h_l)‖² / (noise_std² · batch) with
//! h̃_l = h_l + noise_std · N(0,1) and Δ = z̃_{L+1} − z_{L+1}, where z̃ comes from h̃_l through all later layers

use tch::TchError;

use super::machinery::output_decoders::OutputDecoders;
use super::machinery::targets::decoder_rate;
use super::{LearningRule, StepContext};
use crate::activations::Activations;
use crate::architecture::Architecture;
use crate::kernels::scalar::Scalar;
use crate::model::Model;
use crate::model::group::{Change, ParameterGroup};

/// The rule.
#[derive(Debug)]
pub(super) struct DirectDifferenceTargetPropagation<T> {
    targets: OutputDecoders<T>,
}

impl<T: Scalar> LearningRule<T> for DirectDifferenceTargetPropagation<T> {
    fn groups(architecture: &Architecture) -> Vec<ParameterGroup> {
        vec![ParameterGroup::output_decoders(architecture, Change::Trained(decoder_rate))]
    }

    fn new(model: &Model<T>, batch_size: usize) -> Result<Self, TchError> {
        Ok(Self { targets: OutputDecoders::new(model, batch_size)? })
    }

    fn backward(&mut self, step: &mut StepContext<'_, T>) -> Result<(), TchError> {
        let η = step.hyperparameters.target_step;
        // Q_l.
        if step.decoders_learn_first() {
            self.targets.train(step)?;
        }
        // T_l − h_l.
        self.targets.compute(step, η)?;
        if !step.decoders_learn_first() {
            self.targets.train(step)?;
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

    fn decoder_angles(&mut self, step: &mut StepContext<'_, T>) -> Result<Vec<(usize, f64)>, TchError> {
        self.targets.angles(step)
    }
}
