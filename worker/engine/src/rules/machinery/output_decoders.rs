//! Targets from linear decoders Q_l that map an error of the output to each hidden layer of a fully connected network.

use std::iter;

use biosweep_numeric::random::Purpose;
use tch::TchError;

use super::differences::Differences;
use super::layer_errors::LayerErrors;
use crate::kernels::handles::Matrix;
use crate::kernels::linear::{self, WriteMode};
use crate::kernels::loss::one_hot;
use crate::kernels::scalar::Scalar;
use crate::kernels::transfer::copy_rows_to_host;
use crate::model::group::DECODER;
use crate::model::{LayerValues, Model};
use crate::rules::StepContext;

/// Targets of all hidden layers, and their decoders.
#[derive(Debug)]
pub(in crate::rules) struct OutputDecoders<T> {
    /// T − h of the hidden layers, and δ.
    pub(in crate::rules) differences: Differences<T>,
    /// The values of the layers with noise on one of them.
    noisy: LayerValues<T>,
    /// The change of the output by noise, [images, classes].
    of_output: Matrix<T>,
    /// The noise of each hidden layer, [images, units].
    noise: Vec<Matrix<T>>,
    /// Q_l Δ of each hidden layer, [images, units]; then δ of Q_l.
    decoded: Vec<Matrix<T>>,
}

impl<T: Scalar> OutputDecoders<T> {
    pub(in crate::rules) fn new(model: &Model<T>, batch_size: usize) -> Result<Self, TchError> {
        let architecture = &model.architecture;
        let of_layer = |layer: usize| Matrix::zeros(batch_size, architecture.channels(layer));
        let of_layers = || architecture.topology.hidden().map(of_layer).collect::<Result<_, _>>();
        Ok(Self {
            differences: Differences::new(model, batch_size)?,
            noisy: LayerValues::new(architecture, batch_size)?,
            of_output: Matrix::zeros(batch_size, architecture.classes())?,
            noise: of_layers()?,
            decoded: of_layers()?,
        })
    }

    /// T_l − h_l = −η Q_l (softmax(z_{L+1}) − onehot(y)) for all hidden layers.
    pub(in crate::rules) fn compute(&mut self, step: &StepContext<'_, T>, eta: f64) -> Result<(), TchError> {
        let error = step.output_difference(eta)?;
        for layer in step.hidden_layers() {
            let q = &step.model.group(DECODER).weight_slices(step.lane, layer)[0];
            linear::forward(self.differences.values().matrix(layer), [(&error, &q.weight)])?;
        }
        Ok(())
    }

    /// The steps of all decoders: Q_l against ∂ Σ_images ‖Q_l Δ − (h̃_l − h_l)‖² / (noise_std² · batch). No gradient passes into Δ.
    pub(in crate::rules) fn train(&mut self, step: &mut StepContext<'_, T>) -> Result<(), TchError> {
        for decoder_step in 0..step.decoder_steps() {
            step.begin(DECODER);
            self.noisy.hidden.assign(&step.pass.layers.hidden);
            // From the last layer down: below the layer with noise, the values are those of the pass.
            for layer in step.hidden_layers().rev() {
                self.disturb(step, layer, decoder_step)?;
                self.learn(step, layer)?;
            }
        }
        Ok(())
    }

    /// Δ for noise on a layer.
    fn disturb(&mut self, step: &mut StepContext<'_, T>, layer: usize, decoder_step: u64) -> Result<(), TchError> {
        let Self { noisy, of_output, noise, .. } = self;
        let noise = &mut noise[layer - 1];
        let draw = step.noise_draw(decoder_step);
        step.normal(Purpose::LayerNoise, layer, draw, noise.buffer_mut().whole_mut());
        linear::multiply(noise.tensor(), step.hyperparameters.noise_std)?;
        linear::identity(WriteMode::Add, noisy.hidden.matrix(layer), noise.tensor())?;
        noisy.compute_from(layer + 1, &step.pass.input, step.model, step.lane)?;
        linear::identity(WriteMode::Overwrite, of_output.tensor(), noisy.logits.tensor())?;
        linear::subtract(of_output.tensor(), step.pass.layers.logits.tensor())
    }

    /// ∂Q_l = 2 Σ_images (Q_l Δ − (h̃_l − h_l)) Δᵀ / (noise_std² · batch).
    fn learn(&mut self, step: &mut StepContext<'_, T>, layer: usize) -> Result<(), TchError> {
        let Self { of_output, noise, decoded, .. } = self;
        let (noise, decoded) = (&noise[layer - 1], &decoded[layer - 1]);
        let q = &step.model.group(DECODER).weight_slices(step.lane, layer)[0];
        linear::forward(decoded.tensor(), [(of_output.tensor(), &q.weight)])?;
        linear::subtract(decoded.tensor(), noise.tensor())?;
        let variance = step.hyperparameters.noise_std * step.hyperparameters.noise_std;
        linear::multiply(decoded.tensor(), 2.0 / (variance * step.batch_size()))?;
        let change = of_output.tensor().f_tr()?;
        step.learn_group(DECODER, layer, iter::once(&change), decoded.rows())
    }

    /// For each hidden layer, the angle in degrees between Q_l and the transposed derivatives of z_{L+1} by h_l, over the images
    /// of the batch. A layer with a zero in place of a direction has none.
    pub(in crate::rules) fn angles(&self, step: &StepContext<'_, T>) -> Result<Vec<(usize, f64)>, TchError> {
        let Model { forward, architecture, .. } = &*step.model;
        let (output, classes) = (step.output(), architecture.classes());
        let mut errors = LayerErrors::new(step.model, step.pass.batch_size)?;
        let q: Vec<Vec<T>> =
            step.hidden_layers().map(|layer| step.model.group(DECODER).weight(step.lane, layer)).collect();
        let mut sums = vec![[0.0; 3]; q.len()];
        for class in 0..classes {
            // The derivatives of the logit of this class.
            let of_class = one_hot(&vec![class as i64; step.pass.batch_size], classes, T::from_f64(1.0))?;
            errors.begin();
            errors.send_delta(output, of_class.tensor(), forward.weight_slices(step.lane, output))?;
            for layer in step.hidden_layers().rev() {
                errors.sum(layer);
                let derivatives = copy_rows_to_host(errors.deltas().rows(layer));
                let units = architecture.channels(layer);
                for (place, derivative) in derivatives.into_iter().map(Scalar::to_f64).enumerate() {
                    let q = q[layer - 1][place % units * classes + class].to_f64();
                    let [dot, of_q, of_derivatives] = &mut sums[layer - 1];
                    *dot += q * derivative;
                    *of_q += q * q;
                    *of_derivatives += derivative * derivative;
                }
                errors.send_identity(layer, errors.deltas().matrix(layer))?;
                errors.differentiate(step, layer, step.pass.activated(layer));
                errors.send(step, layer, forward.weight_slices(step.lane, layer))?;
            }
        }
        let angle = |(layer, [dot, of_q, of_derivatives]): (usize, [f64; 3])| {
            Some((layer, linear::angle(dot, [of_q, of_derivatives])?))
        };
        Ok((1..).zip(sums).filter_map(angle).collect())
    }
}
