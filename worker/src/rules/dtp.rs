//! Difference target propagation (Lee, Zhang, Fischer and Bengio 2015): targets from learned decoders.
//!
//! T_l = h_l + Σ_{j ≤ L, l ∈ S(j)} [g_j(T_j) − g_j(h_j)]_l − η ∂(per-sample loss)/∂h_l through the output layer
//! δ_l = 2 (h_l − T_l) ⊙ σ'(z_l) / batch
//!
//! g_j(t) = σ(V_j t + c_j) gives back the hidden sources of layer j. It learns to undo noise: it minimises
//! Σ_units (g_j(f_j(h̃)) − h̃)² / batch with h̃ = h + noise_std · N(0,1), and no gradient passes into f_j or h̃.
//!
//! What is carried is D_l = T_l − h_l, not T_l: far from the output D is so small beside h that h − T would leave
//! nothing of it in single precision. With z = V_j h_j + c_j, a correction is σ(z + V_j D_j) − σ(z).

use std::ops::Range;

use tch::{TchError, Tensor};

use super::{LearningRule, Surroundings, gradients_of_deltas};
use crate::activation::{activate, begin_change, finish_change, times_derivative};
use crate::buffer::Buffer;
use crate::layer::{self, Arrival};
use crate::network::{HiddenMatrix, Network, Pass};
use crate::scalar::Scalar;

#[derive(Debug)]
pub(super) struct DifferenceTargetPropagation<T> {
    /// D of all hidden layers.
    changes: HiddenMatrix<T>,
    /// δ of all hidden layers.
    deltas: HiddenMatrix<T>,
    /// Two matrices [rows, sources of a layer], used anew by each layer.
    given: Buffer<T>,
    back: Buffer<T>,
    views: Vec<Views>,
    inverse_losses: Vec<(usize, f64)>,
}

/// The scratch matrices in the shapes of one layer.
#[derive(Debug)]
struct Views {
    layer: usize,
    /// The columns of its sources.
    columns: Range<usize>,
    given: Tensor,
    back: Tensor,
    encoded: Tensor,
}

impl<T: Scalar> DifferenceTargetPropagation<T> {
    pub(super) fn new(network: &Network<T>, rows: usize) -> Result<Self, TchError> {
        let wiring = &network.wiring;
        let widest = wiring.topology.hidden().map(|layer| wiring.width(layer)).max().unwrap_or(0);
        let units = wiring.hidden_units();
        let (given, back) = (Buffer::zeros(rows * units)?, Buffer::zeros(rows * units)?);
        // Its views keep it alive.
        let encoded = Buffer::<T>::zeros(rows * widest)?;
        let mut views = Vec::new();
        for layer in 2..=wiring.topology.output() {
            let Some(columns) = wiring.source_columns(layer) else { continue };
            let (sources, width) = (columns.len(), wiring.width(layer).min(widest));
            views.push(Views {
                layer,
                given: given.matrix(0, rows, sources, sources)?,
                back: back.matrix(0, rows, sources, sources)?,
                encoded: encoded.matrix(0, rows, width, width)?,
                columns,
            });
        }
        let (changes, deltas) = (HiddenMatrix::zeros(wiring, rows)?, HiddenMatrix::zeros(wiring, rows)?);
        Ok(Self { changes, deltas, given, back, views, inverse_losses: Vec::new() })
    }

    /// D of all hidden layers, from the last to the first.
    fn find_changes(&mut self, network: &Network<T>, pass: &Pass<T>, target_step: f64) -> Result<(), TchError> {
        self.changes.buffer.slice_mut().fill(T::default());
        let output = network.wiring.topology.output();
        for views in self.views.iter().rev() {
            let Views { layer, columns, given, back, .. } = views;
            // What this layer adds to D of its sources, in `given`.
            let scale = if *layer == output {
                let weight = &network.forward.views(0, *layer).weight;
                layer::error_to_input(Arrival::First, given, pass.output_delta(), weight)?;
                // δ of the output layer is of the mean loss; the target is of each image's own.
                T::of(-target_step * pass.rows as f64)
            } else {
                let decoder = network.decoders.as_ref().expect(HAS_DECODERS).views(0, *layer);
                layer::forward(back, pass.hidden.layer(*layer), &decoder.weight_t, &decoder.bias)?;
                layer::error_to_input(Arrival::First, given, self.changes.layer(*layer), &decoder.weight_t)?;
                begin_change(network.activation, back, given)?;
                let length = pass.rows * columns.len();
                finish_change(network.activation, &self.back.slice()[..length], &mut self.given.slice_mut()[..length]);
                T::of(1.0)
            };
            let added = self.given.slice().chunks(columns.len());
            for (change, added) in self.changes.buffer.slice_mut().chunks_mut(self.changes.stride).zip(added) {
                change[columns.clone()].iter_mut().zip(added).for_each(|(change, &added)| *change += scale * added);
            }
        }
        Ok(())
    }

    /// δ = −2 D ⊙ σ'(z) / batch.
    fn find_deltas(&mut self, network: &Network<T>, pass: &Pass<T>) {
        let scale = T::of(-2.0 / pass.rows as f64);
        let hidden = pass.hidden.buffer.slice();
        let deltas = self.deltas.buffer.slice_mut();
        for (delta, &change) in deltas.iter_mut().zip(self.changes.buffer.slice()) {
            *delta = scale * change;
        }
        times_derivative(network.activation, deltas, hidden);
    }

    /// The decoders' gradients and losses.
    fn teach_decoders(
        &mut self,
        network: &mut Network<T>,
        pass: &Pass<T>,
        surroundings: &mut Surroundings<'_, T>,
    ) -> Result<(), TchError> {
        self.inverse_losses.clear();
        let (output, activation) = (network.wiring.topology.output(), network.activation);
        for views in self.views.iter().filter(|views| views.layer != output) {
            let Views { layer, columns, given, back, encoded } = views;
            let (layer, length) = (*layer, pass.rows * columns.len());
            let noisy = &mut self.given.slice_mut()[..length];
            (surroundings.noise)(layer, noisy);
            let std = T::of(surroundings.noise_std);
            let hidden = pass.hidden.buffer.slice().chunks(pass.hidden.stride);
            for (noisy, hidden) in noisy.chunks_mut(columns.len()).zip(hidden) {
                let pairs = noisy.iter_mut().zip(&hidden[columns.clone()]);
                pairs.for_each(|(noisy, &h)| *noisy = h + std * *noisy);
            }
            let forward = network.forward.views(0, layer);
            layer::forward(encoded, given, &forward.weight_t, &forward.bias)?;
            activate(activation, encoded)?;
            decode(network, layer, back, encoded)?;

            // The reconstruction becomes δ of the decoder, its error first.
            let scale = T::of(2.0 / pass.rows as f64);
            let (noisy, back) = (&mut self.given.slice_mut()[..length], &mut self.back.slice_mut()[..length]);
            let mut loss = 0.0;
            for (noisy, &back) in noisy.iter_mut().zip(back.iter()) {
                let error = back - *noisy;
                loss += (error * error).to_f64();
                *noisy = scale * error;
            }
            self.inverse_losses.push((layer, loss / pass.rows as f64));
            times_derivative(activation, noisy, back);

            let decoders = network.decoders.as_mut().expect(HAS_DECODERS);
            layer::weight_gradient(&decoders.views(0, layer).weight_gradient, given, encoded)?;
            layer::bias_gradient(decoders.bias_gradient_mut(0, layer), noisy, columns.len());
        }
        Ok(())
    }
}

const HAS_DECODERS: &str = "a network for target propagation has decoders";

/// g_j(t) = σ(V_j t + c_j).
fn decode<T: Scalar>(network: &Network<T>, layer: usize, output: &Tensor, units: &Tensor) -> Result<(), TchError> {
    let views = network.decoders.as_ref().expect(HAS_DECODERS).views(0, layer);
    layer::forward(output, units, &views.weight_t, &views.bias)?;
    activate(network.activation, output)
}

impl<T: Scalar> LearningRule<T> for DifferenceTargetPropagation<T> {
    fn gradients(
        &mut self,
        network: &mut Network<T>,
        pass: &Pass<T>,
        surroundings: &mut Surroundings<'_, T>,
    ) -> Result<(), TchError> {
        self.find_changes(network, pass, surroundings.target_step)?;
        self.find_deltas(network, pass);
        gradients_of_deltas(network, pass, &self.deltas)?;
        self.teach_decoders(network, pass, surroundings)
    }

    fn target_changes(&self) -> Option<&HiddenMatrix<T>> {
        Some(&self.changes)
    }

    fn inverse_losses(&self) -> &[(usize, f64)] {
        &self.inverse_losses
    }
}
