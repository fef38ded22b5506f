//! Targets T of the hidden layers, decoders that propagate them, and the training of these decoders.
//!
//! With D = T − h and z = V_j h_j + c_j, a correction g_j(T_j) − g_j(h_j) is σ(z + V_j D_j) − σ(z). A linear decoder has the
//! identity in place of σ: then the correction is V_j D_j.
//!
//! A layer that adds the layer before, f_j(h) = h + σ(W_j h + b_j), has the decoder g_j(t) = t − σ(V_j t + c_j): it takes away
//! what f_j has added.

use std::ops::RangeInclusive;

use biosweep_common::configuration::Hyperparameters;
use tch::TchError;

use super::decoder::{Decoder, Scratch};
use super::differences::Differences;
use crate::architecture::Architecture;
use crate::kernels::linear::{self, WriteMode};
use crate::kernels::loss::softmax;
use crate::kernels::scalar::Scalar;
use crate::model::Model;
use crate::model::group::{Change, DECODER, ParameterGroup};
use crate::optim::OptimiserConfig;
use crate::rules::StepContext;

/// Decoders of layers 2 to `last`. They learn by the optimiser of the forward weights, at a rate of their own.
pub(in crate::rules) fn trained_decoders(architecture: &Architecture, last: usize) -> ParameterGroup {
    ParameterGroup::decoders(architecture, last, Change::Trained(decoder_rate))
}

/// The optimiser of the forward weights at the rate of decoders.
pub(in crate::rules) fn decoder_rate(forward: OptimiserConfig, own: &Hyperparameters) -> OptimiserConfig {
    OptimiserConfig { learning_rate: own.decoder_learning_rate, ..forward }
}

/// Targets of all hidden layers.
#[derive(Debug)]
pub(in crate::rules) struct Targets<T> {
    /// T − h of the hidden layers, and δ.
    pub(in crate::rules) differences: Differences<T>,
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
            differences: Differences::new(model, batch_size)?,
            decoders: (2..=architecture.topology.output()).map(decoder).collect::<Result<_, _>>()?,
            scratch,
            inverse_losses: Vec::new(),
        })
    }

    /// T_l = h_l for all hidden layers.
    pub(in crate::rules) fn begin(&mut self) {
        self.differences.begin();
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
        if step.decoder_activation().is_some() {
            let activations = decoder.inputs(step.pass.layers.hidden.rows(layer));
            decoder.decode(step, &decoder.decoded, &activations)?;
        }
        let difference = decoder.inputs(differences.values().rows(layer));
        decoder.decode(step, &decoder.sources, &difference)?;
        decoder.correction(step, scratch)?;
        if step.model.architecture.topology.has_identity(layer) {
            // g_j(t) = t − σ(V_j t + c_j), so that the correction is D_j − [σ(z + V_j D_j) − σ(z)].
            let of_layer = |layer: usize| differences.values().matrix(layer);
            linear::identity(WriteMode::Add, of_layer(layer - 1), of_layer(layer))?;
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
        if step.decoder_activation().is_some() {
            let probabilities = softmax(step.pass.layers.logits.rows())?;
            decoder.decode(step, &decoder.decoded, &[probabilities])?;
        }
        let difference = step.output_difference(1.0)?;
        decoder.decode(step, &decoder.sources, &[difference])?;
        decoder.correction(step, &mut self.scratch)?;
        self.add_to_sources(step, output, |_| 1.0);
        Ok(())
    }

    /// Adds the rows in `scratch.sources` to D of the hidden sources of a layer, each source with its scale.
    fn add_to_sources(&mut self, step: &StepContext<'_, T>, layer: usize, scale: impl Fn(usize) -> f64) {
        let Self { differences, scratch, decoders, .. } = self;
        differences.add_to_sources(step, layer, (&scratch.sources, decoders[layer - 2].layout), scale);
    }

    /// The steps of the decoders of these layers: V_j and c_j against ∂ Σ_units (g_j(f_j(h̃)) − h̃)² / batch, where h̃ are the
    /// hidden sources of j plus `noise_std` · N(0,1). No gradient passes into f_j or h̃.
    pub(in crate::rules) fn train_decoders(
        &mut self,
        step: &mut StepContext<'_, T>,
        layers: RangeInclusive<usize>,
    ) -> Result<(), TchError> {
        self.inverse_losses.clear();
        for decoder_step in 0..step.decoder_steps() {
            step.begin(DECODER);
            for layer in layers.clone() {
                let loss = self.decoders[layer - 2].train(step, &mut self.scratch, decoder_step)?;
                self.inverse_losses.extend(loss.map(|loss| (layer, loss)));
            }
        }
        Ok(())
    }

    /// (layer, loss) of each decoder that was trained, if the context wanted the losses.
    pub(in crate::rules) fn inverse_losses(&self) -> &[(usize, f64)] {
        &self.inverse_losses
    }
}
