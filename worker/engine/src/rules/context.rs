//! The context of one update: everything that a learning rule computes from, and the destination of its gradients.

use biosweep_common::configuration::{Hyperparameters, Procedure};
use biosweep_common::vocabulary::{ActivationFunction, DecoderActivation, DecoderOrder};
use biosweep_numeric::random::Purpose;
use tch::{TchError, Tensor};

use super::machinery::gradient::{self, Biases, learn_layer};
use crate::activations::Activations;
use crate::kernels::handles::{Matrix, Rows, ViewMut};
use crate::kernels::loss::{one_hot, scaled};
use crate::kernels::scalar::Scalar;
use crate::kernels::weights::assign;
use crate::model::optimisers::{FORWARD, LaneOptimisers};
use crate::model::{ForwardPass, LayerValues, Model};
use crate::optim::Optimiser;

/// The context of one update of one lane, after the forward pass of a batch.
///
/// δ_l is ∂(mean loss)/∂z_l, or what the rule puts in its place. The rule computes δ and passes it to
/// `learn`, which updates the layer at once. A layer therefore sends its error before it learns.
pub struct StepContext<'a, T> {
    /// The model.
    pub model: &'a mut Model<T>,
    /// The forward pass of the batch.
    pub pass: &'a ForwardPass<T>,
    /// The label of each image.
    pub labels: &'a [i64],
    /// The lane to train.
    pub lane: usize,
    /// The number of this update. The first one is 1.
    pub update: u64,
    /// The hyperparameters of the lane.
    pub hyperparameters: &'a Hyperparameters,
    /// What the rule does in an update.
    pub procedure: Procedure,
    /// The mean loss of the batch, before the update.
    pub loss: f64,
    normal: &'a mut Normal<'a, T>,
    destination: Destination<'a, T>,
}

/// A batch of one lane, after the forward pass.
pub struct Batch<'a, T> {
    /// The label of each image.
    pub labels: &'a [i64],
    /// The lane.
    pub lane: usize,
    /// The number of the update.
    pub update: u64,
    /// The hyperparameters of the lane.
    pub hyperparameters: &'a Hyperparameters,
    /// What the rule does in an update.
    pub procedure: Procedure,
    /// The random numbers of the lane.
    pub normal: &'a mut Normal<'a, T>,
}

/// A source of random numbers: fills the values with standard normal deviates, for a purpose and a draw. Equal purposes and
/// draws give equal numbers.
pub type Normal<'a, T> = dyn FnMut(Purpose, u64, ViewMut<'_, T>) + 'a;

/// The destination of gradients.
pub enum Destination<'a, T> {
    /// The gradient buffers. No parameter changes. The rule also computes the losses of its own parameters.
    Gradients,
    /// The optimisers of the lane. They update each layer as soon as its gradients are computed.
    Optimisers(&'a mut LaneOptimisers<T>),
}

impl<'a, T: Scalar> StepContext<'a, T> {
    /// The context of a batch. Begins a step of the forward weights, and computes the loss and δ of the output layer.
    pub fn new(
        model: &'a mut Model<T>,
        pass: &'a mut ForwardPass<T>,
        batch: Batch<'a, T>,
        mut destination: Destination<'a, T>,
    ) -> Self {
        let Batch { labels, lane, update, hyperparameters, procedure, normal } = batch;
        if let Some(optimiser) = destination.optimiser(FORWARD) {
            optimiser.begin();
        }
        let loss = pass.loss(labels);
        Self { model, pass, labels, lane, update, hyperparameters, procedure, loss, normal, destination }
    }

    /// The hidden layers, 1 to L.
    pub fn hidden_layers(&self) -> std::ops::RangeInclusive<usize> {
        1..=self.model.architecture.topology.output() - 1
    }

    /// The layers 1 to L+1.
    pub fn layers(&self) -> std::ops::RangeInclusive<usize> {
        1..=self.output()
    }

    /// The output layer, L+1.
    pub fn output(&self) -> usize {
        self.model.architecture.topology.output()
    }

    /// Images in the batch.
    pub fn batch_size(&self) -> f64 {
        self.pass.batch_size as f64
    }

    /// δ of the output layer, (softmax(z) − onehot(y)) / batch, [images, classes].
    pub fn output_delta(&self) -> &Tensor {
        self.pass.output_delta.tensor()
    }

    /// η (onehot(y) − softmax(z)), [images, classes].
    pub(super) fn output_difference(&self, eta: f64) -> Result<Tensor, TchError> {
        scaled(self.pass.output_delta.rows(), -eta * self.batch_size())
    }

    /// factor · onehot(y), [images, classes].
    pub(super) fn onehot(&self, factor: f64) -> Result<Matrix<T>, TchError> {
        one_hot(self.labels, self.model.architecture.classes(), T::from_f64(factor))
    }

    /// σ of the decoders; `None` for the identity.
    pub(super) fn decoder_activation(&self) -> Option<ActivationFunction> {
        match self.procedure.decoder_activation {
            DecoderActivation::Same => Some(self.model.activation),
            DecoderActivation::Linear => None,
        }
    }

    /// Whether the decoders learn before the targets are computed.
    pub(super) fn decoders_learn_first(&self) -> bool {
        self.procedure.decoder_order == DecoderOrder::Before
    }

    /// The number of decoder updates in this update: one where only gradients are wanted.
    pub(super) fn decoder_steps(&self) -> u64 {
        if self.wants_losses() { 1 } else { u64::from(self.procedure.decoder_steps) }
    }

    /// The draw of the noise of a decoder update, from 0 to one below their number. No other has the same.
    pub(super) fn noise_draw(&self, decoder_step: u64) -> u64 {
        (self.update - 1) * u64::from(self.procedure.decoder_steps) + decoder_step + 1
    }

    /// Fills `numbers` with standard normal deviates. They depend only on the trajectory and on these three.
    pub(super) fn normal(&mut self, purpose: fn(u32) -> Purpose, layer: usize, draw: u64, numbers: ViewMut<'_, T>) {
        (self.normal)(purpose(layer as u32), draw, numbers);
    }

    /// ΔW_l = δ_lᵀ · input_l and Δb_l = Σ δ_l. δ of a hidden layer is in `hidden`; δ of the output layer is in the pass.
    pub(super) fn learn(&mut self, layer: usize, hidden: &Activations<T>) -> Result<(), TchError> {
        let Self { model: Model { architecture, forward, .. }, pass, destination, lane, .. } = self;
        let is_output = layer == architecture.topology.output();
        let delta = if is_output { pass.output_delta.rows() } else { hidden.rows(layer) };
        let inputs = pass.input_matrices(architecture, layer).map(|(_, transposed)| transposed);
        learn_layer(forward, (*lane, layer), destination.optimiser(FORWARD), inputs, delta, Biases::Learn)
    }

    /// The same as [`StepContext::learn`], for inputs that are other values of the layers than those of the pass.
    pub(super) fn learn_at(
        &mut self,
        values: &LayerValues<T>,
        layer: usize,
        delta: Rows<'_, T>,
    ) -> Result<(), TchError> {
        let Self { model: Model { architecture, forward, .. }, pass, destination, lane, .. } = self;
        let inputs = values.input_matrices(&pass.input, architecture, layer).map(|(_, transposed)| transposed);
        learn_layer(forward, (*lane, layer), destination.optimiser(FORWARD), inputs, delta, Biases::Learn)
    }

    /// The same as [`StepContext::learn`]. The parameters of a group, which have W's shape and layout, learn from the same ΔW_l.
    /// The product is therefore computed once and kept in memory.
    pub(super) fn learn_with(&mut self, group: &str, layer: usize, hidden: &Activations<T>) -> Result<(), TchError> {
        let Self { model: Model { architecture, forward, groups, .. }, pass, destination, lane, .. } = self;
        let is_output = layer == architecture.topology.output();
        let delta = if is_output { pass.output_delta.rows() } else { hidden.rows(layer) };
        let inputs = pass.input_matrices(architecture, layer).map(|(_, transposed)| transposed);
        gradient::compute(forward, layer, inputs, delta, Biases::Learn)?;
        let followers = groups.iter_mut().filter(|one| one.declared.name == group).map(|one| &mut one.parameters);
        for follower in followers.filter(|follower| follower.layers().contains(&layer)) {
            match destination.optimiser(group) {
                Some(optimiser) => {
                    let (first, values) = follower.weight_mut(*lane, layer);
                    optimiser.update(first, values, forward.raw_weight_gradient(layer));
                }
                None => assign(follower.raw_weight_gradient_mut(layer), forward.raw_weight_gradient(layer)),
            }
        }
        if let Some(optimiser) = destination.optimiser(FORWARD) {
            let (first, values, gradients) = forward.layer_mut(*lane, layer);
            optimiser.update(first, values, gradients);
        }
        Ok(())
    }

    /// Begins a step of the parameters of a group. A group that learns more than once in an update begins each of its steps.
    pub(super) fn begin(&mut self, group: &str) {
        if let Some(optimiser) = self.destination.optimiser(group) {
            optimiser.begin();
        }
    }

    /// The same as [`StepContext::learn`], for the parameters of a group. `inputs_transposed` has the order of the weight
    /// slices.
    pub(super) fn learn_group<'t>(
        &mut self,
        group: &str,
        layer: usize,
        inputs_transposed: impl Iterator<Item = &'t Tensor>,
        delta: Rows<'_, T>,
    ) -> Result<(), TchError> {
        self.learn_group_with(group, layer, inputs_transposed, delta, Biases::Learn)
    }

    /// The same as [`StepContext::learn_group`], with biases that may not learn.
    pub(super) fn learn_group_with<'t>(
        &mut self,
        group: &str,
        layer: usize,
        inputs_transposed: impl Iterator<Item = &'t Tensor>,
        delta: Rows<'_, T>,
        biases: Biases,
    ) -> Result<(), TchError> {
        let parameters = self.model.group_mut(group);
        learn_layer(parameters, (self.lane, layer), self.destination.optimiser(group), inputs_transposed, delta, biases)
    }

    /// Whether the rule computes the losses of its own parameters.
    pub(super) fn wants_losses(&self) -> bool {
        matches!(self.destination, Destination::Gradients)
    }
}

impl<T: Scalar> Destination<'_, T> {
    fn optimiser(&mut self, parameters: &str) -> Option<&mut Optimiser<T>> {
        match self {
            Self::Gradients => None,
            Self::Optimisers(optimisers) => optimisers.find_mut(parameters),
        }
    }
}
