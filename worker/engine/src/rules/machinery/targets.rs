//! Targets T of the hidden layers, decoders that propagate them, and the training of these decoders.
//!
//! The code propagates D_l = T_l − h_l, and not T_l. Far from the output, D is much smaller than h, and h − T would lose
//! all digits of D in single precision. With z = V_j h_j + c_j, a correction g_j(T_j) − g_j(h_j) is σ(z + V_j D_j) − σ(z).
//!
//! A layer that adds the layer before, f_j(h) = h + σ(W_j h + b_j), has the decoder g_j(t) = t − σ(V_j t + c_j): it takes away
//! what f_j has added.

use tch::TchError;

use super::decoder::{Decoder, Scratch};
use crate::activations::Activations;
use crate::architecture::Architecture;
use crate::kernels::activation_function::activation_backward;
use crate::kernels::linear::{self, WriteMode};
use crate::kernels::loss::softmax;
use crate::kernels::rows::copy;
use crate::kernels::scalar::Scalar;
use crate::model::Model;
use crate::model::group::{Change, ParameterGroup};
use crate::optim::OptimiserConfig;
use crate::rules::StepContext;

/// Decoders of layers 2 to `last`. They learn by the optimiser of the forward weights, at a rate of their own.
pub(in crate::rules) fn trained_decoders(architecture: &Architecture, last: usize) -> ParameterGroup {
    let change =
        Change::Trained(|forward, own| OptimiserConfig { learning_rate: own.decoder_learning_rate, ..forward });
    ParameterGroup::decoders(architecture, last, change)
}

/// Targets of all hidden layers.
#[derive(Debug)]
pub(in crate::rules) struct Targets<T> {
    /// D of all hidden layers.
    differences: Activations<T>,
    /// δ of all hidden layers.
    deltas: Activations<T>,
    scratch: Scratch<T>,
    /// The decoders of layers 2 to L+1. A rule without a decoder of the output layer uses the buffers of the last one.
    decoders: Vec<Decoder<T>>,
    inverse_losses: Vec<(usize, f64)>,
}

impl<T: Scalar> Targets<T> {
    pub(in crate::rules) fn new(model: &Model<T>, batch_size: usize) -> Result<Self, TchError> {
        let architecture = &model.architecture;
        let scratch = Scratch::new(architecture, batch_size)?;
        let decoder = |layer: usize| Decoder::new(model, batch_size, layer, &scratch);
        Ok(Self {
            differences: Activations::zeros(architecture, batch_size)?,
            deltas: Activations::zeros(architecture, batch_size)?,
            decoders: (2..=architecture.topology.output()).map(decoder).collect::<Result<_, _>>()?,
            scratch,
            inverse_losses: Vec::new(),
        })
    }

    /// T_l = h_l for all hidden layers.
    pub(in crate::rules) fn begin(&mut self) {
        self.differences.clear();
        self.inverse_losses.clear();
    }

    /// T_l −= η · ∂(per-sample loss)/∂h_l, through the output layer, for each hidden source l of the output layer.
    pub(in crate::rules) fn descend(&mut self, step: &StepContext<'_, T>, eta: f64) -> Result<(), TchError> {
        let architecture = &step.model.architecture;
        self.decoders[step.output() - 2].gradient_to_sources(step)?;
        // Positions share a gradient through their mean.
        let scale = |source: usize| -eta * step.batch_size() / architecture.extent(source).positions() as f64;
        self.add_to_sources(step, step.output(), scale);
        Ok(())
    }

    /// T_l += [g_j(T_j) − g_j(h_j)]_l for each hidden source l of the hidden layer j.
    pub(in crate::rules) fn correct(&mut self, step: &StepContext<'_, T>, layer: usize) -> Result<(), TchError> {
        let Self { differences, scratch, decoders, .. } = self;
        let decoder = &mut decoders[layer - 2];
        let activations = decoder.inputs(step.pass.hidden.rows(layer));
        decoder.decode(step, &decoder.decoded, &activations)?;
        let difference = decoder.inputs(differences.rows(layer));
        decoder.decode(step, &decoder.sources, &difference)?;
        decoder.correction(step, scratch)?;
        if step.model.architecture.topology.has_identity(layer) {
            // g_j(t) = t − σ(V_j t + c_j), so that the correction is D_j − [σ(z + V_j D_j) − σ(z)].
            linear::identity(WriteMode::Add, differences.matrix(layer - 1), differences.matrix(layer))?;
            self.add_to_sources(step, layer, |_| -1.0);
        } else {
            // Each position takes the whole of a correction.
            self.add_to_sources(step, layer, |_| 1.0);
        }
        Ok(())
    }

    /// T_l += [g_{L+1}(onehot(y)) − g_{L+1}(softmax(z_{L+1}))]_l for each hidden source l of the output layer.
    pub(in crate::rules) fn correct_from_output(&mut self, step: &StepContext<'_, T>) -> Result<(), TchError> {
        let output = step.output();
        let decoder = &self.decoders[output - 2];
        let difference = step.output_difference()?;
        let probabilities = softmax(step.pass.logits.rows())?;
        decoder.decode(step, &decoder.decoded, &[probabilities])?;
        decoder.decode(step, &decoder.sources, &[difference])?;
        decoder.correction(step, &mut self.scratch)?;
        self.add_to_sources(step, output, |_| 1.0);
        Ok(())
    }

    /// Adds the rows in `scratch.sources` to D of the hidden sources of a layer, each source with its scale.
    fn add_to_sources(&mut self, step: &StepContext<'_, T>, layer: usize, scale: impl Fn(usize) -> f64) {
        let Self { differences, scratch, decoders, .. } = self;
        let (architecture, decoder) = (&step.model.architecture, &decoders[layer - 2]);
        let mut column = 0;
        for &source in architecture.hidden_sources(layer) {
            let (rows, scale) = ((column, decoder.width), T::from_f64(scale(source)));
            differences.upsample_add(architecture, source, &scratch.sources, rows, decoder.layout, scale);
            column += architecture.channels(source);
        }
    }

    /// A step of the decoder of layer j: V_j and c_j against ∂ Σ_units (g_j(f_j(h̃)) − h̃)² / batch, where h̃ are the hidden
    /// sources of j plus `noise_std` · N(0,1). No gradient passes into f_j or h̃.
    pub(in crate::rules) fn train_decoder(
        &mut self,
        step: &mut StepContext<'_, T>,
        layer: usize,
    ) -> Result<(), TchError> {
        let noise_std = step.hyperparameters.noise_std;
        let loss = self.decoders[layer - 2].train(step, &mut self.scratch, noise_std)?;
        self.inverse_losses.extend(loss.map(|loss| (layer, loss)));
        Ok(())
    }

    /// δ_l = 2 (h_l − T_l) ⊙ σ'(z_l) / batch for all hidden layers.
    pub(in crate::rules) fn compute_deltas(&mut self, step: &StepContext<'_, T>) {
        let scale = T::from_f64(-2.0 / step.batch_size());
        for layer in step.hidden_layers() {
            copy(self.deltas.rows_mut(layer), self.differences.rows(layer));
            let activated = step.pass.activated(&step.model.architecture, layer);
            activation_backward(step.model.activation, scale, self.deltas.rows_mut(layer), activated);
        }
    }

    /// δ of all hidden layers.
    pub(in crate::rules) fn deltas(&self) -> &Activations<T> {
        &self.deltas
    }

    /// T − h of the hidden layers.
    pub(in crate::rules) fn differences(&self) -> &Activations<T> {
        &self.differences
    }

    /// (layer, loss) of each decoder that was trained, if the context wanted the losses.
    pub(in crate::rules) fn inverse_losses(&self) -> &[(usize, f64)] {
        &self.inverse_losses
    }
}
