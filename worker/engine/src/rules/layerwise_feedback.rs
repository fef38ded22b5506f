//! Layerwise feedback: the backward pass of all rules that send errors from layer to layer.
//!
//! δ_s = σ'(z_s) ⊙ Σ_{l reads s} [δ_l · F_l]_s,  from the output down to the first hidden layer,
//!
//! where F_l is a matrix of W_l's shape: W_l itself in back-propagation, other feedback weights in the other rules.

use std::collections::BTreeSet;

use tch::TchError;

use super::{Delta, LearningRule, StepContext, backward_layer};
use crate::activations::Activations;
use crate::kernels::activation_function::activation_backward;
use crate::kernels::linear::{self, WriteMode};
use crate::kernels::scalar::Scalar;
use crate::model::parameters::{ParameterSpec, Parameters};
use crate::model::{ForwardPass, Model};

/// The feedback weights F.
#[derive(Debug)]
pub(super) enum Feedback<T> {
    /// The forward weights.
    Forward,
    /// The fixed feedback weights of the model.
    Fixed,
    /// Feedback weights that are computed from the forward weights at every update.
    Computed {
        /// The feedback weights of the current update.
        weights: Parameters<T>,
        /// Computes them for a lane.
        compute: fn(&mut Parameters<T>, &Model<T>, usize),
    },
}

/// The parameter specs of F, which are those of W, for layers 2 to L+1.
pub(super) fn feedback_specs<T: Scalar>(model: &Model<T>) -> Vec<ParameterSpec> {
    let output = model.architecture.topology.output();
    (2..=output).map(|layer| model.forward.parameter_range(layer).spec.clone()).collect()
}

/// A rule with layerwise feedback.
#[derive(Debug)]
pub(super) struct LayerwiseFeedback<T> {
    /// δ of all hidden layers.
    deltas: Activations<T>,
    /// From the output layer down to layer 1: the layer, and the write mode of each column range of its inputs.
    readers: Vec<(usize, Vec<WriteMode>)>,
    /// Whether an error is added to a source that has no error yet. The pass then starts from zeros.
    starts_from_zero: bool,
    feedback: Feedback<T>,
}

impl<T: Scalar> LayerwiseFeedback<T> {
    pub(super) fn new(model: &Model<T>, batch_size: usize, feedback: Feedback<T>) -> Result<Self, TchError> {
        let deltas = Activations::<T>::zeros(&model.architecture, batch_size)?;
        let mut reached = BTreeSet::new();
        let mut starts_from_zero = false;
        let mut readers = Vec::new();
        for reader in (1..=model.architecture.topology.output()).rev() {
            let mut modes = Vec::new();
            for range in deltas.column_ranges(reader) {
                let known = range.storage_keys().filter(|key| reached.contains(key)).count();
                starts_from_zero |= known > 0 && known < range.sources.len();
                modes.push(if known == 0 { WriteMode::Overwrite } else { WriteMode::Add });
                reached.extend(range.storage_keys());
            }
            readers.push((reader, modes));
        }
        Ok(Self { deltas, readers, starts_from_zero, feedback })
    }
}

impl<T: Scalar> LearningRule<T> for LayerwiseFeedback<T> {
    fn backward(
        &mut self,
        model: &mut Model<T>,
        pass: &ForwardPass<T>,
        context: &mut StepContext<'_, T>,
    ) -> Result<(), TchError> {
        let lane = context.lane;
        if let Feedback::Computed { weights, compute } = &mut self.feedback {
            compute(weights, model, lane);
        }
        if self.starts_from_zero {
            self.deltas.clear();
        } else {
            self.deltas.clear_padding();
        }
        let Model { architecture, activation, forward, feedback, .. } = model;
        let output = architecture.topology.output();
        for (reader, modes) in &self.readers {
            let reader = *reader;
            if reader != output {
                // The errors of all readers are complete: δ is their sum times σ'.
                self.deltas.sum_contributions(reader);
                let (values, strided_rows) = self.deltas.values_mut(reader);
                activation_backward(*activation, T::from_f64(1.0), values, pass.hidden.values(reader).0, strided_rows);
            }
            let delta = if reader == output { Delta::of_output(pass) } else { Delta::of_hidden(&self.deltas, reader) };
            let ranges = self.deltas.column_ranges(reader);
            if !ranges.is_empty() {
                let slices = match &self.feedback {
                    Feedback::Forward => forward.weight_slices(lane, reader),
                    Feedback::Fixed => {
                        feedback.as_ref().expect("a rule with fixed feedback").weight_slices(lane, reader)
                    }
                    Feedback::Computed { weights, .. } => weights.weight_slices(0, reader),
                };
                // If the input is a source, its slice comes first. It receives no error.
                let slices = &slices[slices.len() - ranges.len()..];
                for ((range, slice), mode) in ranges.iter().zip(slices).zip(modes) {
                    linear::error_to_input(*mode, &range.matrix, delta.matrix, &slice.transposed)?;
                }
            }
            let inputs = pass.input_matrices(architecture, reader).map(|(_, transposed)| transposed);
            backward_layer(forward, (lane, reader), &mut context.forward_sink, inputs, &delta)?;
        }
        Ok(())
    }
}
