//! Targets from decoders g_j(t) = V_j ρ(t) + c_j of fully connected layers, which learn the transposed derivatives of the layers.
//!
//! Only differences of g_j are needed: g_j(t) − g_j(h) = V_j (ρ(t) − ρ(h)). So c_j stays as it is.

use biosweep_numeric::random::Purpose;
use tch::{TchError, Tensor};

use super::differences::Differences;
use super::gradient::Biases;
use crate::activations::Activations;
use crate::architecture::{Architecture, StridedRows};
use crate::kernels::activation_function::{
    activate, activation_backward, activation_difference, add_bias, add_bias_and_activate,
};
use crate::kernels::buffer::Buffer;
use crate::kernels::handles::{Rows, RowsMut};
use crate::kernels::linear::{self, WriteMode};
use crate::kernels::rows::add_noise;
use crate::kernels::scalar::Scalar;
use crate::kernels::transfer::{copy_rows_to_host, fill};
use crate::model::Model;
use crate::model::group::DECODER;
use crate::rules::StepContext;

/// Targets of all hidden layers, and the decoders of layers 2 to L+1.
#[derive(Debug)]
pub(in crate::rules) struct DifferenceTargets<T> {
    /// T − h of the hidden layers, and δ.
    pub(in crate::rules) differences: Differences<T>,
    scratch: Scratch<T>,
    decoders: Vec<DifferenceDecoder>,
    inverse_losses: Vec<(usize, f64)>,
}

/// Scratch memory that all decoders share. Most of it has two rows for each image: the decoder learns from the noise of its
/// sources and from the noise of the layer itself.
#[derive(Debug)]
struct Scratch<T> {
    /// The hidden sources with noise, or a correction of them.
    sources: Buffer<T>,
    /// −2 ε / batch, and 2 V (ρ(v + ν) − ρ(v)) / batch.
    errors: Buffer<T>,
    /// ρ(f(u + ε)) − ρ(v), and ρ(v + ν) − ρ(v).
    units: Buffer<T>,
    /// v, twice.
    values: Buffer<T>,
}

/// The decoder of one layer: its views of the scratch memory.
#[derive(Debug)]
struct DifferenceDecoder {
    layer: usize,
    sources: Halves,
    /// The columns of the sources for each weight slice of the layer.
    columns: Vec<Tensor>,
    errors: Halves,
    units: Halves,
    values: Halves,
}

/// A matrix with two rows for each image, and its two halves.
#[derive(Debug)]
struct Halves {
    whole: Tensor,
    first: Tensor,
    second: Tensor,
    /// The rows of the whole, and of the first half.
    strided_rows: [StridedRows; 2],
}

impl<T: Scalar> Scratch<T> {
    fn new(architecture: &Architecture, images: usize) -> Result<Self, TchError> {
        let layers = || 2..=architecture.topology.output();
        let channels = layers().map(|layer| architecture.channels(layer)).max().unwrap_or(0);
        let width = layers().map(|layer| architecture.hidden_channels(layer)).max().unwrap_or(0);
        let zeros = |columns: usize| Buffer::zeros(2 * images * columns);
        Ok(Self { sources: zeros(width)?, errors: zeros(width)?, units: zeros(channels)?, values: zeros(channels)? })
    }
}

impl Halves {
    fn new<T: Scalar>(buffer: &Buffer<T>, images: usize, columns: usize) -> Result<Self, TchError> {
        let half = |start: usize, rows: usize| buffer.matrix(start, rows, columns, columns);
        let rows = |images: usize| StridedRows { first: 0, outer: (1, 0), inner: (1, 0), length: images * columns };
        Ok(Self {
            whole: half(0, 2 * images)?,
            first: half(0, images)?,
            second: half(images * columns, images)?,
            strided_rows: [rows(2 * images), rows(images)],
        })
    }

    fn rows<'a, T: Scalar>(&'a self, buffer: &'a Buffer<T>) -> Rows<'a, T> {
        Rows { buffer, strided_rows: &self.strided_rows[0], matrix: &self.whole }
    }

    fn rows_mut<'a, T: Scalar>(&'a self, buffer: &'a mut Buffer<T>) -> RowsMut<'a, T> {
        RowsMut { buffer, strided_rows: &self.strided_rows[0], matrix: &self.whole }
    }

    fn first_mut<'a, T: Scalar>(&'a self, buffer: &'a mut Buffer<T>) -> RowsMut<'a, T> {
        RowsMut { buffer, strided_rows: &self.strided_rows[1], matrix: &self.first }
    }

    /// The number of values of a half.
    fn half(&self) -> usize {
        self.strided_rows[1].length
    }
}

impl<T: Scalar> DifferenceTargets<T> {
    pub(in crate::rules) fn new(model: &Model<T>, batch_size: usize) -> Result<Self, TchError> {
        let scratch = Scratch::new(&model.architecture, batch_size)?;
        let decoder = |layer: usize| DifferenceDecoder::new(model, batch_size, layer, &scratch);
        Ok(Self {
            differences: Differences::new(model, batch_size)?,
            decoders: (2..=model.architecture.topology.output()).map(decoder).collect::<Result<_, _>>()?,
            scratch,
            inverse_losses: Vec::new(),
        })
    }

    /// T_l = h_l for all hidden layers.
    pub(in crate::rules) fn begin(&mut self) {
        self.differences.begin();
    }

    /// T_l += [g_j(T_j) − g_j(h_j)]_l for each hidden source l of layer j, with T_{L+1} = z_{L+1} − η (softmax(z_{L+1}) −
    /// onehot(y)).
    pub(in crate::rules) fn correct(
        &mut self,
        step: &StepContext<'_, T>,
        layer: usize,
        eta: f64,
    ) -> Result<(), TchError> {
        let Self { differences, scratch, decoders, .. } = self;
        let decoder = &decoders[layer - 2];
        let units = &decoder.units;
        if layer == step.output() {
            decoder.decode(step, &decoder.sources.first, &step.output_difference(eta)?)?;
        } else {
            linear::identity(WriteMode::Overwrite, &units.first, differences.values().matrix(layer))?;
            linear::identity(WriteMode::Overwrite, &decoder.values.first, decoder.of_layer(step))?;
            let values = decoder.values.first_mut(&mut scratch.values);
            activation_difference(step.model.activation, values, units.first_mut(&mut scratch.units))?;
            decoder.decode(step, &decoder.sources.first, &units.first)?;
        }
        let layout = step.model.architecture.layout(layer);
        differences.add_to_sources(step, layer, (&scratch.sources, layout), |_| 1.0);
        Ok(())
    }

    /// The steps of all decoders.
    pub(in crate::rules) fn train_decoders(&mut self, step: &mut StepContext<'_, T>) -> Result<(), TchError> {
        self.inverse_losses.clear();
        for decoder_step in 0..step.decoder_steps() {
            step.begin(DECODER);
            for decoder in &self.decoders {
                let loss = decoder.train(step, &mut self.scratch, decoder_step)?;
                self.inverse_losses.extend(loss.map(|loss| (decoder.layer, loss)));
            }
        }
        Ok(())
    }

    /// (layer, loss) of each decoder, if the context wanted the losses.
    pub(in crate::rules) fn inverse_losses(&self) -> &[(usize, f64)] {
        &self.inverse_losses
    }

    /// The angle in degrees between V_j diag(ρ'(h_j)) and the transposed derivatives of f_j, over the images of the batch; `None`
    /// if one of them is zero.
    pub(in crate::rules) fn angle(&self, step: &StepContext<'_, T>, layer: usize) -> Result<Option<f64>, TchError> {
        let Model { architecture, forward, .. } = &*step.model;
        let (units, sources) = (architecture.channels(layer), architecture.hidden_channels(layer));
        let doubles = |numbers: Vec<T>| numbers.into_iter().map(Scalar::to_f64).collect::<Vec<f64>>();
        let v = doubles(step.model.group(DECODER).weight(step.lane, layer));
        let w = doubles(forward.weight(step.lane, layer));
        let (of_decoder, of_layer) = slopes(step, layer)?;
        let (of_decoder, of_layer) = (doubles(of_decoder), doubles(of_layer));
        let has_identity = architecture.topology.has_identity(layer);
        let fan_in = w.len() / units;
        let mut sums = [0.0; 3];
        for unit in 0..units {
            // The column of V, and the row of W without the input.
            let v: Vec<f64> = (0..sources).map(|source| v[source * units + unit]).collect();
            let w = &w[(unit + 1) * fan_in - sources..(unit + 1) * fan_in];
            let product = |left: &[f64], right: &[f64]| left.iter().zip(right).map(|(a, b)| a * b).sum::<f64>();
            let (vw, vv, ww) = (product(&v, w), product(&v, &v), product(w, w));
            for image in (0..of_layer.len()).skip(unit).step_by(units) {
                let (of_decoder, of_layer) = (of_decoder[image], of_layer[image]);
                sums[0] += of_decoder * of_layer * vw;
                sums[1] += of_decoder * of_decoder * vv;
                sums[2] += of_layer * of_layer * ww;
                if has_identity {
                    // A layer that adds the layer before has an identity in its derivatives.
                    sums[0] += of_decoder * v[unit];
                    sums[2] += 2.0 * of_layer * w[unit] + 1.0;
                }
            }
        }
        Ok(linear::angle(sums[0], [sums[1], sums[2]]))
    }
}

/// ρ'(h) and σ'(z) of a layer, [images, units]. Both are 1 for the output layer.
fn slopes<T: Scalar>(step: &StepContext<'_, T>, layer: usize) -> Result<(Vec<T>, Vec<T>), TchError> {
    let architecture = &step.model.architecture;
    let one = T::from_f64(1.0);
    if layer == step.output() {
        let ones = vec![one; step.pass.batch_size * architecture.channels(layer)];
        return Ok((ones.clone(), ones));
    }
    let ones = || {
        let mut ones = Activations::<T>::zeros(architecture, step.pass.batch_size)?;
        fill(ones.rows_mut(layer).buffer.whole_mut(), one);
        Ok::<_, TchError>(ones)
    };
    let (mut of_decoder, mut of_layer, activated) = (ones()?, ones()?, ones()?);
    linear::identity(WriteMode::Overwrite, activated.matrix(layer), step.pass.layers.hidden.matrix(layer))?;
    activate(step.model.activation, activated.matrix(layer))?;
    activation_backward(step.model.activation, one, of_decoder.rows_mut(layer), activated.rows(layer));
    activation_backward(step.model.activation, one, of_layer.rows_mut(layer), step.pass.activated(layer));
    Ok((copy_rows_to_host(of_decoder.rows(layer)), copy_rows_to_host(of_layer.rows(layer))))
}

impl DifferenceDecoder {
    fn new<T: Scalar>(model: &Model<T>, images: usize, layer: usize, scratch: &Scratch<T>) -> Result<Self, TchError> {
        let architecture = &model.architecture;
        let (channels, width) = (architecture.channels(layer), architecture.hidden_channels(layer));
        let sources = Halves::new(&scratch.sources, images, width)?;
        let mut columns = Vec::new();
        let mut start = 0;
        for range in &model.forward.parameter_range(layer).spec.row_ranges {
            // If the input is a source, its slice comes first.
            if architecture.topology.sources(layer)[0] > 0 || range.start > 0 {
                columns.push(sources.first.f_narrow(1, start, range.len() as i64)?);
                start += range.len() as i64;
            }
        }
        Ok(Self {
            layer,
            sources,
            columns,
            errors: Halves::new(&scratch.errors, images, width)?,
            units: Halves::new(&scratch.units, images, channels)?,
            values: Halves::new(&scratch.values, images, channels)?,
        })
    }

    /// h of the layer, or the logits.
    fn of_layer<'a, T: Scalar>(&self, step: &'a StepContext<'_, T>) -> &'a Tensor {
        let values = &step.pass.layers;
        if self.layer == step.output() { values.logits.tensor() } else { values.hidden.matrix(self.layer) }
    }

    /// output ← V_j · units.
    fn decode<T: Scalar>(&self, step: &StepContext<'_, T>, output: &Tensor, units: &Tensor) -> Result<(), TchError> {
        let slice = &step.model.group(DECODER).weight_slices(step.lane, self.layer)[0];
        linear::forward(output, [(units, &slice.weight)])
    }

    /// One step of the decoder on this batch, with the noise of that step. Returns the loss if the context wants it.
    fn train<T: Scalar>(
        &self,
        step: &mut StepContext<'_, T>,
        scratch: &mut Scratch<T>,
        decoder_step: u64,
    ) -> Result<Option<f64>, TchError> {
        let Self { layer, sources, errors, units, values, .. } = self;
        let (draw, noise_std) = (step.noise_draw(decoder_step), step.hyperparameters.noise_std);
        let batch_size = step.batch_size();
        // u + ε, and f_j(u + ε) − v.
        step.normal(Purpose::Noise, *layer, draw, scratch.errors.view_mut(0..errors.half()));
        step.pass.layers.hidden.concatenate(&step.model.architecture, *layer, &mut scratch.sources);
        let noise = scratch.errors.view(0..errors.half());
        add_noise(sources.first_mut(&mut scratch.sources), noise, T::from_f64(noise_std));
        self.encode(step, scratch)?;
        linear::subtract(&units.first, self.of_layer(step))?;
        // ν.
        step.normal(Purpose::LayerNoise, *layer, draw, scratch.units.view_mut(units.half()..2 * units.half()));
        linear::multiply(&units.second, noise_std)?;
        // ρ(f_j(u + ε)) − ρ(v), and ρ(v + ν) − ρ(v).
        if *layer < step.output() {
            linear::identity(WriteMode::Overwrite, &values.first, self.of_layer(step))?;
            linear::identity(WriteMode::Overwrite, &values.second, self.of_layer(step))?;
            let (values, units) = (values.rows_mut(&mut scratch.values), units.rows_mut(&mut scratch.units));
            activation_difference(step.model.activation, values, units)?;
        }
        // V_j (ρ(v + ν) − ρ(v)).
        self.decode(step, &errors.second, &units.second)?;
        let loss = if step.wants_losses() {
            self.decode(step, &sources.first, &units.first)?;
            let of_sources = -2.0 * noise_std * linear::inner_product(&errors.first, &sources.first)?;
            Some((of_sources + linear::inner_product(&errors.second, &errors.second)?) / batch_size)
        } else {
            None
        };
        // ∂V_j = Σ_images [−2 ε (ρ(f_j(u + ε)) − ρ(v))ᵀ + 2 V_j (ρ(v + ν) − ρ(v)) (ρ(v + ν) − ρ(v))ᵀ] / batch, and ∂c_j = 0.
        linear::multiply(&errors.first, -2.0 * noise_std / batch_size)?;
        linear::multiply(&errors.second, 2.0 / batch_size)?;
        let inputs = [units.whole.f_tr()?];
        step.learn_group_with(DECODER, *layer, inputs.iter(), errors.rows(&scratch.errors), Biases::Keep)?;
        Ok(loss)
    }

    /// units ← f_j(u + ε), with the clean x if the layer has the input as a source. u + ε is in `sources`.
    fn encode<T: Scalar>(&self, step: &StepContext<'_, T>, scratch: &mut Scratch<T>) -> Result<(), TchError> {
        let Model { architecture, activation, forward, .. } = &*step.model;
        let units = &self.units.first;
        let slices = forward.weight_slices(step.lane, self.layer);
        let images = step.pass.input_matrices(architecture, self.layer).map(|(input, _)| input);
        let images = images.take(slices.len() - self.columns.len());
        linear::forward(units, images.chain(&self.columns).zip(slices.iter().map(|slice| &slice.weight)))?;
        let (bias, rows) = (forward.bias(step.lane, self.layer), self.units.first_mut(&mut scratch.units));
        if self.layer == step.output() {
            add_bias(rows, bias);
            return Ok(());
        }
        add_bias_and_activate(*activation, rows, bias)?;
        if architecture.topology.has_identity(self.layer) {
            linear::identity(WriteMode::Add, units, &self.sources.first)?;
        }
        Ok(())
    }
}
