//! The inference of predictive coding: states x_l of the hidden layers that lower the energy of their prediction errors e_l.
//!
//! The code keeps g_l = −e_l / batch in place of e_l: the derivative of the mean energy by the prediction μ_l. It travels through
//! the layers as every other error does.

use tch::TchError;

use super::layer_errors::LayerErrors;
use crate::activations::Activations;
use crate::kernels::activation_function::activation_derivative;
use crate::kernels::handles::{Matrix, Rows};
use crate::kernels::linear::{self, WriteMode};
use crate::kernels::loss::cross_entropy;
use crate::kernels::rows::{add_difference, approach, combine, copy};
use crate::kernels::scalar::Scalar;
use crate::model::parameters::WeightSlice;
use crate::model::{LayerValues, Model};
use crate::rules::StepContext;

/// The states of all hidden layers, and their prediction errors.
#[derive(Debug)]
pub(in crate::rules) struct Inference<T> {
    /// x_l, σ(z_l) and the logits, of the states.
    values: LayerValues<T>,
    /// g_l = (μ_l − x_l) / batch.
    errors: Activations<T>,
    /// g_l ⊙ σ'(z_l).
    deltas: Activations<T>,
    /// The errors that arrive at each layer.
    arrived: LayerErrors<T>,
    /// (softmax(z_{L+1}) − onehot(y)) / batch, of the states.
    output_delta: Matrix<T>,
    /// The mean cross-entropy of the states.
    loss: f64,
    energy: Option<f64>,
}

impl<T: Scalar> Inference<T> {
    pub(in crate::rules) fn new(model: &Model<T>, batch_size: usize) -> Result<Self, TchError> {
        let architecture = &model.architecture;
        Ok(Self {
            values: LayerValues::separate(architecture, batch_size)?,
            errors: Activations::zeros(architecture, batch_size)?,
            deltas: Activations::zeros(architecture, batch_size)?,
            arrived: LayerErrors::new(model, batch_size)?,
            output_delta: Matrix::zeros(batch_size, architecture.classes())?,
            loss: 0.0,
            energy: None,
        })
    }

    /// x_l = h_l and e_l = 0.
    pub(in crate::rules) fn begin(&mut self, step: &StepContext<'_, T>) -> Result<(), TchError> {
        self.values.assign(&step.pass.layers)?;
        self.errors.clear();
        copy(self.output_delta.rows_mut(), step.pass.output_delta.rows());
        self.loss = step.loss;
        Ok(())
    }

    /// x_l −= γ ∂E/∂x_l for all hidden layers at once. With s_l = Σ_{j, l ∈ S(j)} [W_jᵀ δ_j]_l + I(l+1) g_{l+1}, the derivative of
    /// the mean energy is s_l − g_l.
    pub(in crate::rules) fn move_states(&mut self, step: &StepContext<'_, T>, rate: f64) -> Result<(), TchError> {
        self.compute_deltas(step);
        self.arrived.begin();
        self.arrived.send_delta(step.output(), self.output_delta.tensor(), weights(step, step.output()))?;
        for layer in step.hidden_layers().rev() {
            self.arrived.send_identity(layer, self.errors.matrix(layer))?;
            self.arrived.send_delta(layer, self.deltas.matrix(layer), weights(step, layer))?;
        }
        let (states, factor) = (&mut self.values.hidden, T::from_f64(rate * step.batch_size()));
        for layer in step.hidden_layers() {
            add_difference(states.rows_mut(layer), factor, self.errors.rows(layer), self.arrived.deltas().rows(layer));
        }
        for layer in step.hidden_layers() {
            self.activate(step, layer)?;
            self.compare(step, layer)?;
        }
        self.compute_output(step)
    }

    /// e_l −= γ (e_l + ∂cross-entropy/∂x_l) for all hidden layers, from the last to the first; then x_l = μ_l + e_l, from the first
    /// to the last. As g_l, the error approaches the derivative of the mean cross-entropy.
    pub(in crate::rules) fn move_errors(&mut self, step: &StepContext<'_, T>, rate: f64) -> Result<(), TchError> {
        self.arrived.begin();
        self.arrived.send_delta(step.output(), self.output_delta.tensor(), weights(step, step.output()))?;
        for layer in step.hidden_layers().rev() {
            let arrived = self.arrived.deltas();
            approach(self.errors.rows_mut(layer), T::from_f64(rate), arrived.rows(layer));
            self.arrived.send_identity(layer, arrived.matrix(layer))?;
            self.arrived.differentiate(step, layer, self.values.activated(layer));
            self.arrived.send_delta(layer, self.arrived.deltas().matrix(layer), weights(step, layer))?;
        }
        for layer in step.hidden_layers() {
            self.activate(step, layer)?;
            self.follow(step, layer)?;
        }
        self.compute_output(step)
    }

    /// δ of all layers, and the energy if the context wants losses.
    pub(in crate::rules) fn finish(&mut self, step: &StepContext<'_, T>) -> Result<(), TchError> {
        self.compute_deltas(step);
        self.energy = None;
        if step.wants_losses() {
            let mut squares = 0.0;
            for layer in step.hidden_layers() {
                squares += linear::inner_product(self.errors.matrix(layer), self.errors.matrix(layer))?;
            }
            self.energy = Some(0.5 * squares * step.batch_size() + self.loss);
        }
        Ok(())
    }

    /// δ of a layer.
    pub(in crate::rules) fn delta(&self, step: &StepContext<'_, T>, layer: usize) -> Rows<'_, T> {
        if layer == step.output() { self.output_delta.rows() } else { self.deltas.rows(layer) }
    }

    /// The values of the states.
    pub(in crate::rules) fn values(&self) -> &LayerValues<T> {
        &self.values
    }

    /// The mean energy of the last states, if the context wanted losses.
    pub(in crate::rules) fn energy(&self) -> Option<f64> {
        self.energy
    }

    /// σ(z_l) of the states. z_1 depends on the images alone.
    fn activate(&mut self, step: &StepContext<'_, T>, layer: usize) -> Result<(), TchError> {
        if layer > 1 { self.values.activate(layer, &step.pass.input, step.model, step.lane) } else { Ok(()) }
    }

    /// g_l = (σ(z_l) + I(l) x_{l-1} − x_l) / batch.
    fn compare(&mut self, step: &StepContext<'_, T>, layer: usize) -> Result<(), TchError> {
        let (values, share) = (&self.values, 1.0 / step.batch_size());
        let has_identity = step.model.architecture.topology.has_identity(layer);
        let factor = T::from_f64(if has_identity { 1.0 } else { share });
        let (predicted, states) = ((factor, values.activated(layer)), (-factor, values.hidden.rows(layer)));
        combine(self.errors.rows_mut(layer), predicted, states);
        if has_identity {
            linear::identity(WriteMode::Add, self.errors.matrix(layer), values.hidden.matrix(layer - 1))?;
            linear::multiply(self.errors.matrix(layer), share)?;
        }
        Ok(())
    }

    /// x_l = σ(z_l) + I(l) x_{l-1} − batch · g_l.
    fn follow(&mut self, step: &StepContext<'_, T>, layer: usize) -> Result<(), TchError> {
        let errors = (T::from_f64(-step.batch_size()), self.errors.rows(layer));
        self.values.combine_activated(layer, errors);
        if step.model.architecture.topology.has_identity(layer) {
            let states = &self.values.hidden;
            linear::identity(WriteMode::Add, states.matrix(layer), states.matrix(layer - 1))?;
        }
        Ok(())
    }

    /// The logits of the states, their loss and its derivative.
    fn compute_output(&mut self, step: &StepContext<'_, T>) -> Result<(), TchError> {
        self.values.compute_logits(&step.pass.input, step.model, step.lane)?;
        self.loss = cross_entropy(&mut self.output_delta, &self.values.logits, step.labels);
        Ok(())
    }

    /// δ_l = g_l ⊙ σ'(z_l) for all hidden layers.
    fn compute_deltas(&mut self, step: &StepContext<'_, T>) {
        for layer in step.hidden_layers() {
            let (errors, activated) = (self.errors.rows(layer), self.values.activated(layer));
            let (activation, one) = (step.model.activation, T::from_f64(1.0));
            activation_derivative(activation, one, self.deltas.rows_mut(layer), errors, activated);
        }
    }
}

/// W_l of the lane.
fn weights<'a, T: Scalar>(step: &'a StepContext<'_, T>, layer: usize) -> &'a [WeightSlice] {
    step.model.forward.weight_slices(step.lane, layer)
}
