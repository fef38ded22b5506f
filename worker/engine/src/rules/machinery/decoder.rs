//! The decoder of one layer: reconstructs the hidden sources of the layer from the layer's units.

use biosweep_numeric::random::Purpose;
use tch::{TchError, Tensor};

use crate::activations::Im2colBuffer;
use crate::architecture::{Architecture, PaddedImageLayout, StridedRows};
use crate::kernels::activation_function::{
    activation_backward, activation_difference, add_bias, add_bias_and_activate,
};
use crate::kernels::buffer::Buffer;
use crate::kernels::handles::{Rows, RowsMut};
use crate::kernels::linear::{self, WriteMode};
use crate::kernels::loss::softmax_in_place;
use crate::kernels::rows::{add_noise, clear_padding, squared_error, subtract_from};
use crate::kernels::scalar::Scalar;
use crate::model::Model;
use crate::model::group::DECODER;
use crate::rules::StepContext;

/// Scratch memory that all decoders share.
#[derive(Debug)]
pub(super) struct Scratch<T> {
    /// Values of the hidden sources of a layer, [positions, hidden channels].
    pub(super) sources: Buffer<T>,
    /// Outputs of a decoder, of the same shape.
    decoded: Buffer<T>,
    /// Activations of a layer for noisy sources, [positions, channels].
    encoded: Buffer<T>,
}

/// The decoder of one layer, with its views of the scratch memory.
#[derive(Debug)]
pub(super) struct Decoder<T> {
    pub(super) layer: usize,
    pub(super) layout: PaddedImageLayout,
    /// Channels of the hidden sources.
    pub(super) width: usize,
    /// The rows of the hidden sources in the scratch memory.
    strided_sources: StridedRows,
    /// The rows of the layer in the scratch memory.
    strided_rows: StridedRows,
    pub(super) sources: Tensor,
    pub(super) decoded: Tensor,
    encoded: Tensor,
    /// Column ranges of `sources`, in the order of the weight slices; none for a convolution.
    source_columns: Vec<Tensor>,
    /// The im2col buffer of the hidden sources, for a convolution.
    source_im2col: Option<Im2colBuffer<T>>,
    /// The im2col buffer of the layer, for a convolution.
    layer_im2col: Option<Im2colBuffer<T>>,
}

impl<T: Scalar> Scratch<T> {
    pub(super) fn new(architecture: &Architecture, batch_size: usize) -> Result<Self, TchError> {
        let allocated = |layer: usize| architecture.layout(layer).allocated(batch_size);
        let layers = 2..=architecture.topology.output();
        let largest = |size: &dyn Fn(usize) -> usize| layers.clone().map(size).max().unwrap_or(0);
        Ok(Self {
            sources: Buffer::zeros(largest(&|layer| allocated(layer) * architecture.hidden_channels(layer)))?,
            decoded: Buffer::zeros(largest(&|layer| allocated(layer) * architecture.hidden_channels(layer)))?,
            encoded: Buffer::zeros(largest(&|layer| allocated(layer) * architecture.channels(layer)))?,
        })
    }
}

impl<T: Scalar> Decoder<T> {
    pub(super) fn new(
        model: &Model<T>,
        batch_size: usize,
        layer: usize,
        scratch: &Scratch<T>,
    ) -> Result<Self, TchError> {
        let architecture = &model.architecture;
        let (layout, channels) = (architecture.layout(layer), architecture.channels(layer));
        let width = architecture.hidden_channels(layer);
        let positions = layout.positions(batch_size);
        let view = |buffer: &Buffer<T>, width: usize| buffer.matrix(layout.padding * width, positions, width, width);
        let sources = view(&scratch.sources, width)?;
        let im2col =
            |blocks: &[usize]| layout.is_padded().then(|| Im2colBuffer::new(layout, batch_size, blocks)).transpose();
        let hidden_sources = architecture.hidden_sources(layer).iter();
        let blocks: Vec<usize> = hidden_sources.map(|&source| architecture.channels(source)).collect();
        let mut source_columns = Vec::new();
        if !layout.is_padded() {
            let mut start = 0;
            for slice in hidden_slices(model, layer) {
                let length = model.forward.parameter_range(layer).spec.row_ranges[slice].len() as i64;
                source_columns.push(sources.f_narrow(1, start, length)?);
                start += length;
            }
        }
        Ok(Self {
            layer,
            layout,
            width,
            strided_sources: StridedRows::new(layout, batch_size, 0..width, width),
            strided_rows: StridedRows::new(layout, batch_size, 0..channels, channels),
            decoded: view(&scratch.decoded, width)?,
            encoded: view(&scratch.encoded, channels)?,
            sources,
            source_columns,
            source_im2col: im2col(&blocks)?,
            layer_im2col: im2col(&[channels])?,
        })
    }

    /// The rows of the hidden sources in the scratch memory.
    fn source_rows<'a>(&'a self, sources: &'a Buffer<T>) -> Rows<'a, T> {
        Rows { buffer: sources, strided_rows: &self.strided_sources, matrix: &self.sources }
    }

    /// The rows of the hidden sources in the scratch memory, mutable.
    fn source_rows_mut<'a>(&'a self, sources: &'a mut Buffer<T>) -> RowsMut<'a, T> {
        RowsMut { buffer: sources, strided_rows: &self.strided_sources, matrix: &self.sources }
    }

    /// The rows of the decoder's output in the scratch memory.
    fn decoded_rows<'a>(&'a self, decoded: &'a Buffer<T>) -> Rows<'a, T> {
        Rows { buffer: decoded, strided_rows: &self.strided_sources, matrix: &self.decoded }
    }

    /// The rows of the decoder's output in the scratch memory, mutable.
    fn decoded_rows_mut<'a>(&'a self, decoded: &'a mut Buffer<T>) -> RowsMut<'a, T> {
        RowsMut { buffer: decoded, strided_rows: &self.strided_sources, matrix: &self.decoded }
    }

    /// The rows of the layer in the scratch memory, mutable.
    fn encoded_rows_mut<'a>(&'a self, encoded: &'a mut Buffer<T>) -> RowsMut<'a, T> {
        RowsMut { buffer: encoded, strided_rows: &self.strided_rows, matrix: &self.encoded }
    }

    /// The inputs of the decoder for values of the layer's shape. A convolution unfolds them into its im2col buffer.
    pub(super) fn inputs(&mut self, rows: Rows<'_, T>) -> Vec<Tensor> {
        unfolded(&mut self.layer_im2col, rows)
    }

    /// sources ← the gradient of the mean loss with respect to the inputs of the output layer.
    pub(super) fn gradient_to_sources(&self, step: &StepContext<'_, T>) -> Result<(), TchError> {
        let hidden = hidden_slices(step.model, self.layer);
        let slices = &step.model.forward.weight_slices(step.lane, self.layer)[hidden];
        for (columns, slice) in self.source_columns.iter().zip(slices) {
            linear::error_to_input(WriteMode::Overwrite, columns, step.output_delta(), &slice.transposed)?;
        }
        Ok(())
    }

    /// output ← V_j · units.
    pub(super) fn decode(&self, step: &StepContext<'_, T>, output: &Tensor, units: &[Tensor]) -> Result<(), TchError> {
        let slices = step.model.group(DECODER).weight_slices(step.lane, self.layer);
        linear::forward(output, units.iter().zip(slices.iter().map(|slice| &slice.weight)))
    }

    /// sources ← σ(z + V_j D) − σ(z), from V_j h in `decoded` and V_j D in `sources`. A linear decoder changes nothing.
    pub(super) fn correction(&self, step: &StepContext<'_, T>, scratch: &mut Scratch<T>) -> Result<(), TchError> {
        let Some(activation) = step.decoder_activation() else { return Ok(()) };
        let bias = step.model.group(DECODER).bias(step.lane, self.layer);
        let Scratch { sources, decoded, .. } = scratch;
        add_bias(self.decoded_rows_mut(decoded), bias);
        activation_difference(activation, self.decoded_rows_mut(decoded), self.source_rows_mut(sources))
    }

    /// One step of the decoder on this batch, with the noise of that step. Returns the loss if the context wants it.
    pub(super) fn train(
        &mut self,
        step: &mut StepContext<'_, T>,
        scratch: &mut Scratch<T>,
        decoder_step: u64,
    ) -> Result<Option<f64>, TchError> {
        self.disturb(step, scratch, decoder_step);
        self.encode(step, scratch)?;
        let Scratch { sources, decoded, encoded } = scratch;
        if step.model.architecture.topology.has_identity(self.layer) {
            // With u = f_j(h̃), the error u − σ(V_j u + c_j) − h̃ is minus that of σ(V_j u + c_j) as a copy of u − h̃. Both
            // have the same square and the same gradient.
            linear::identity(WriteMode::Add, &self.encoded, &self.sources)?;
            let rows = Rows { buffer: &*encoded, strided_rows: &self.strided_rows, matrix: &self.encoded };
            subtract_from(self.source_rows_mut(sources), rows);
        }

        // g_j(f_j(h̃)), or σ(V_j u + c_j).
        let activation = step.decoder_activation();
        let rows = Rows { buffer: &*encoded, strided_rows: &self.strided_rows, matrix: &self.encoded };
        let units = unfolded(&mut self.layer_im2col, rows);
        self.decode(step, &self.decoded, &units)?;
        let bias = step.model.group(DECODER).bias(step.lane, self.layer);
        match activation {
            Some(activation) => add_bias_and_activate(activation, self.decoded_rows_mut(decoded), bias)?,
            None => add_bias(self.decoded_rows_mut(decoded), bias),
        }

        // The error of the reconstruction becomes δ of the decoder, in `sources`.
        let batch_size = step.batch_size();
        let error = || squared_error(self.decoded_rows(decoded), self.source_rows(sources));
        let loss = step.wants_losses().then(|| error() / batch_size);
        let scale = 2.0 / batch_size;
        subtract_from(self.source_rows_mut(sources), self.decoded_rows(decoded));
        match activation {
            Some(activation) => {
                let (error, decoded) = (self.source_rows_mut(sources), self.decoded_rows(decoded));
                activation_backward(activation, T::from_f64(scale), error, decoded);
            }
            None => linear::multiply(&self.sources, scale)?,
        }
        if self.layout.is_padded() {
            clear_padding(sources, self.layout, step.pass.batch_size, self.width);
        }
        let units = units.iter().map(Tensor::f_tr).collect::<Result<Vec<_>, _>>()?;
        step.learn_group(DECODER, self.layer, units.iter(), self.source_rows(sources))?;
        Ok(loss)
    }

    /// sources ← h̃. The noise is in `decoded`.
    fn disturb(&self, step: &mut StepContext<'_, T>, scratch: &mut Scratch<T>, decoder_step: u64) {
        let Scratch { sources, decoded, .. } = scratch;
        let (draw, noise_std) = (step.noise_draw(decoder_step), step.hyperparameters.noise_std);
        let noise = 0..step.pass.batch_size * self.layout.height * self.layout.width * self.width;
        step.normal(Purpose::Noise, self.layer, draw, decoded.view_mut(noise.clone()));
        step.pass.layers.hidden.concatenate(&step.model.architecture, self.layer, sources);
        add_noise(self.source_rows_mut(sources), decoded.view(noise), T::from_f64(noise_std));
    }

    /// encoded ← f_j(h̃), with the clean x if the layer has the input as a source. h̃ is in `sources`.
    fn encode(&mut self, step: &StepContext<'_, T>, scratch: &mut Scratch<T>) -> Result<(), TchError> {
        let Model { architecture, activation, forward, .. } = &*step.model;
        if let Some(im2col) = &mut self.source_im2col {
            im2col.fill(&scratch.sources);
        }
        let columns = self.source_im2col.as_ref().map_or(&self.source_columns, |im2col| &im2col.matrices);
        let slices = forward.weight_slices(step.lane, self.layer);
        let images = step.pass.input_matrices(architecture, self.layer).map(|(input, _)| input);
        let images = images.take(slices.len() - columns.len());
        linear::forward(&self.encoded, images.chain(columns).zip(slices.iter().map(|slice| &slice.weight)))?;
        let bias = forward.bias(step.lane, self.layer);
        if self.layer == architecture.topology.output() {
            add_bias(self.encoded_rows_mut(&mut scratch.encoded), bias);
            softmax_in_place(self.encoded_rows_mut(&mut scratch.encoded))
        } else {
            add_bias_and_activate(*activation, self.encoded_rows_mut(&mut scratch.encoded), bias)
        }
    }
}

/// The matrices of a layer, or of the layer unfolded for a convolution.
fn unfolded<T: Scalar>(im2col: &mut Option<Im2colBuffer<T>>, rows: Rows<'_, T>) -> Vec<Tensor> {
    match im2col {
        None => vec![rows.matrix.shallow_clone()],
        Some(im2col) => {
            im2col.fill(rows.buffer);
            im2col.matrices.iter().map(Tensor::shallow_clone).collect()
        }
    }
}

/// The indices of the weight slices of a layer whose inputs are hidden layers.
fn hidden_slices<T: Scalar>(model: &Model<T>, layer: usize) -> std::ops::Range<usize> {
    let slices = model.forward.parameter_range(layer).spec.row_ranges.len();
    usize::from(model.architecture.topology.sources(layer)[0] == 0)..slices
}
