//! Target propagation, shared by its rules: targets that decoders propagate, and the training of layers and decoders.
//!
//! T_l = h_l + Σ_{j, l ∈ S(j)} [g_j(T_j) − g_j(h_j)]_l,  δ_l = 2 (h_l − T_l) ⊙ σ'(z_l) / batch
//!
//! g_j(t) = σ(V_j t + c_j) reconstructs the hidden sources of layer j. It minimises
//! Σ_units (g_j(f_j(h̃)) − h̃)² / batch with h̃ = h + noise_std · N(0,1). No gradient passes into f_j or h̃.
//!
//! The code propagates D_l = T_l − h_l, and not T_l. Far from the output, D is much smaller than h, and h − T would lose
//! all digits of D in single precision. With z = V_j h_j + c_j, a correction is σ(z + V_j D_j) − σ(z).

use tch::{Kind, TchError, Tensor};

use super::decoder::{Decoder, HAS_DECODERS, Scratch, copy};
use super::{LearningRule, StepContext, backward_all};
use crate::activations::Activations;
use crate::kernels::activation_function::activation_backward;
use crate::kernels::scalar::Scalar;
use crate::model::{ForwardPass, Model};

/// The source of the first targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FirstTargets {
    /// A step against the gradient through the output layer.
    Gradient,
    /// A decoder of the output layer, whose input is the class probabilities.
    Decoder,
}

/// A rule that propagates targets.
#[derive(Debug)]
pub(super) struct TargetPropagation<T> {
    first_targets: FirstTargets,
    /// D of all hidden layers.
    differences: Activations<T>,
    /// δ of all hidden layers.
    deltas: Activations<T>,
    scratch: Scratch<T>,
    decoders: Vec<Decoder<T>>,
    inverse_losses: Vec<(usize, f64)>,
}

impl<T: Scalar> TargetPropagation<T> {
    pub(super) fn new(model: &Model<T>, batch_size: usize, first_targets: FirstTargets) -> Result<Self, TchError> {
        let architecture = &model.architecture;
        let scratch = Scratch::new(architecture, batch_size)?;
        let decoder = |layer: usize| Decoder::new(model, batch_size, layer, &scratch);
        Ok(Self {
            first_targets,
            differences: Activations::zeros(architecture, batch_size)?,
            deltas: Activations::zeros(architecture, batch_size)?,
            decoders: (2..=architecture.topology.output()).map(decoder).collect::<Result<_, _>>()?,
            scratch,
            inverse_losses: Vec::new(),
        })
    }

    /// Computes D of all hidden layers, from the last to the first.
    fn propagate_targets(
        &mut self,
        model: &Model<T>,
        pass: &ForwardPass<T>,
        context: &StepContext<'_, T>,
    ) -> Result<(), TchError> {
        let Self { differences, scratch, decoders, first_targets, .. } = self;
        differences.clear();
        let architecture = &model.architecture;
        let output = architecture.topology.output();
        // δ of the output layer is scaled by the sink, and divided by the batch size. A target needs neither.
        let per_sample = -(pass.batch_size as f64) / context.forward_sink.scale();
        for decoder in decoders.iter_mut().rev() {
            let (layer, lane) = (decoder.layer, context.lane);
            let length = decoder.length(pass.batch_size);
            let is_gradient = layer == output && *first_targets == FirstTargets::Gradient;
            if is_gradient {
                decoder.gradient_to_sources(model, pass, lane)?;
            } else if layer == output {
                let difference = pass.output_delta().f_mul_scalar(per_sample)?;
                decoder.decode(model, lane, &decoder.decoded, &[probabilities(pass)?])?;
                decoder.decode(model, lane, &decoder.sources, &[difference])?;
                decoder.correction(model, lane, scratch, length)?;
            } else {
                let activations = decoder.inputs(pass.hidden.matrix(layer), pass.hidden.values(layer).0);
                decoder.decode(model, lane, &decoder.decoded, &activations)?;
                let difference = decoder.inputs(differences.matrix(layer), differences.values(layer).0);
                decoder.decode(model, lane, &decoder.sources, &difference)?;
                decoder.correction(model, lane, scratch, length)?;
            }
            // Positions share a gradient through their mean. Each position takes the whole of a correction.
            let scale = |source: usize| match is_gradient {
                true => context.target_step * per_sample / architecture.extent(source).positions() as f64,
                false => 1.0,
            };
            let mut column = 0;
            for &source in architecture.hidden_sources(layer) {
                let (rows, scale) = ((column, decoder.width), T::from_f64(scale(source)));
                differences.upsample_add(architecture, source, scratch.sources.slice(), rows, decoder.layout, scale);
                column += architecture.channels(source);
            }
        }
        Ok(())
    }

    /// Computes δ of all hidden layers, times `scale`.
    fn compute_deltas(&mut self, model: &Model<T>, pass: &ForwardPass<T>, scale: f64) {
        let scale = T::from_f64(-2.0 * scale / pass.batch_size as f64);
        for layer in model.architecture.topology.hidden() {
            let (differences, _) = self.differences.values(layer);
            let (deltas, strided_rows) = self.deltas.values_mut(layer);
            copy(deltas, differences, strided_rows);
            activation_backward(model.activation, scale, deltas, pass.hidden.values(layer).0, strided_rows);
        }
    }

    /// Trains all decoders on this batch.
    fn train_decoders(
        &mut self,
        model: &mut Model<T>,
        pass: &ForwardPass<T>,
        context: &mut StepContext<'_, T>,
    ) -> Result<(), TchError> {
        self.inverse_losses.clear();
        let Self { scratch, decoders, inverse_losses, .. } = self;
        let trained = model.decoders.as_ref().expect(HAS_DECODERS).layers();
        for decoder in decoders.iter_mut().filter(|decoder| trained.contains(&decoder.layer)) {
            let loss = decoder.train_decoder(model, pass, context, scratch)?;
            if context.wants_decoder_losses {
                inverse_losses.push((decoder.layer, loss));
            }
        }
        Ok(())
    }
}

/// softmax(z) of the output layer.
fn probabilities<T: Scalar>(pass: &ForwardPass<T>) -> Result<Tensor, TchError> {
    pass.logits().f_softmax(-1, None::<Kind>)
}

impl<T: Scalar> LearningRule<T> for TargetPropagation<T> {
    fn backward(
        &mut self,
        model: &mut Model<T>,
        pass: &ForwardPass<T>,
        context: &mut StepContext<'_, T>,
    ) -> Result<(), TchError> {
        self.propagate_targets(model, pass, context)?;
        self.train_decoders(model, pass, context)?;
        self.compute_deltas(model, pass, context.forward_sink.scale());
        backward_all(model, pass, &self.deltas, context)
    }

    fn target_differences(&self) -> Option<&Activations<T>> {
        Some(&self.differences)
    }

    fn inverse_losses(&self) -> &[(usize, f64)] {
        &self.inverse_losses
    }
}
