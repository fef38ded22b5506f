//! Errors that travel from layer to layer, from the output down to the first hidden layer.

use std::collections::BTreeSet;

use tch::{TchError, Tensor};

use crate::activations::Activations;
use crate::kernels::activation_function::activation_backward;
use crate::kernels::handles::Rows;
use crate::kernels::linear::{self, WriteMode};
use crate::kernels::scalar::Scalar;
use crate::model::Model;
use crate::model::parameters::WeightSlice;
use crate::rules::StepContext;

/// δ of all hidden layers. Each layer sums the errors that its readers send.
#[derive(Debug)]
pub(in crate::rules) struct LayerErrors<T> {
    deltas: Activations<T>,
    /// For each layer from 1 to L+1, the write mode of each column range of its inputs.
    modes: Vec<Vec<WriteMode>>,
    /// For each layer from 1 to L+1, the write mode of its error to the layer before, if it adds that layer.
    identities: Vec<Option<WriteMode>>,
    /// Whether an error is added to a source that has no error yet. The pass then starts from zeros.
    starts_from_zero: bool,
}

impl<T: Scalar> LayerErrors<T> {
    pub(in crate::rules) fn new(model: &Model<T>, batch_size: usize) -> Result<Self, TchError> {
        let deltas = Activations::<T>::zeros(&model.architecture, batch_size)?;
        let mut reached = BTreeSet::new();
        let mut starts_from_zero = false;
        let (mut modes, mut identities) = (Vec::new(), Vec::new());
        let topology = &model.architecture.topology;
        for reader in (1..=topology.output()).rev() {
            // The identity comes first: it carries the error before σ' is in it.
            identities.push(topology.has_identity(reader).then(|| {
                let is_first = reached.insert(deltas.storage_key(reader - 1));
                if is_first { WriteMode::Overwrite } else { WriteMode::Add }
            }));
            let mut of_reader = Vec::new();
            for range in deltas.column_ranges(reader) {
                let known = range.storage_keys().filter(|key| reached.contains(key)).count();
                starts_from_zero |= known > 0 && known < range.sources.len();
                of_reader.push(if known == 0 { WriteMode::Overwrite } else { WriteMode::Add });
                reached.extend(range.storage_keys());
            }
            modes.push(of_reader);
        }
        modes.reverse();
        identities.reverse();
        Ok(Self { deltas, modes, identities, starts_from_zero })
    }

    /// Begins a pass: no error has arrived.
    pub(in crate::rules) fn begin(&mut self) {
        if self.starts_from_zero {
            self.deltas.clear();
        } else {
            self.deltas.clear_padding();
        }
    }

    /// δ_l = σ'(z_l) ⊙ s_l, where s_l is the Σ of the errors that have arrived. All readers of the layer have sent theirs. A
    /// layer that adds the layer before sends s_l to it. δ of the output layer is complete from the start.
    pub(in crate::rules) fn complete(&mut self, step: &StepContext<'_, T>, layer: usize) -> Result<(), TchError> {
        if layer == step.output() {
            return Ok(());
        }
        self.sum(layer);
        self.send_identity(layer, self.deltas.matrix(layer))?;
        self.differentiate(step, layer, step.pass.activated(layer));
        Ok(())
    }

    /// s_l, the Σ of the errors that have arrived at a layer, in place of δ_l.
    pub(in crate::rules) fn sum(&mut self, layer: usize) {
        self.deltas.sum_contributions(layer);
    }

    /// δ_l = σ'(z_l) ⊙ s_l, from σ(z_l).
    pub(in crate::rules) fn differentiate(&mut self, step: &StepContext<'_, T>, layer: usize, activated: Rows<'_, T>) {
        activation_backward(step.model.activation, T::from_f64(1.0), self.deltas.rows_mut(layer), activated);
    }

    /// Sends an error of a layer to the layer before, if the layer adds that.
    pub(in crate::rules) fn send_identity(&self, layer: usize, error: &Tensor) -> Result<(), TchError> {
        match self.identities[layer - 1] {
            Some(mode) => linear::identity(mode, self.deltas.matrix(layer - 1), error),
            None => Ok(()),
        }
    }

    /// Sends [δ_l · F_l]_s to each hidden source s of a layer. `feedback` has the weight slices of W_l; layer 1 has no hidden
    /// source and needs none.
    pub(in crate::rules) fn send(
        &self,
        step: &StepContext<'_, T>,
        layer: usize,
        feedback: &[WeightSlice],
    ) -> Result<(), TchError> {
        let is_output = layer == step.output();
        let delta = if is_output { step.output_delta() } else { self.deltas.matrix(layer) };
        self.send_delta(layer, delta, feedback)
    }

    /// The same, for any δ.
    pub(in crate::rules) fn send_delta(
        &self,
        layer: usize,
        delta: &Tensor,
        feedback: &[WeightSlice],
    ) -> Result<(), TchError> {
        let ranges = self.deltas.column_ranges(layer);
        if ranges.is_empty() {
            return Ok(());
        }
        // If the input is a source, its slice comes first. It receives no error.
        let feedback = &feedback[feedback.len() - ranges.len()..];
        for ((range, slice), mode) in ranges.iter().zip(feedback).zip(&self.modes[layer - 1]) {
            linear::error_to_input(*mode, &range.matrix, delta, &slice.transposed)?;
        }
        Ok(())
    }

    /// δ of all hidden layers.
    pub(in crate::rules) fn deltas(&self) -> &Activations<T> {
        &self.deltas
    }
}
