//! The decoder of one layer: reconstructs the hidden sources of the layer from the layer's units.

use biosweep_numeric::random::Purpose;
use biosweep_numeric::vector::wide;
use tch::{Kind, TchError, Tensor};

use crate::activations::Im2colBuffer;
use crate::architecture::{Architecture, PaddedImageLayout, StridedRows};
use crate::kernels::activation_function::{
    activation_backward, add_bias, add_bias_and_activate, begin_activation_difference, finish_activation_difference,
};
use crate::kernels::buffer::Buffer;
use crate::kernels::linear::{self, WriteMode};
use crate::kernels::scalar::Scalar;
use crate::model::Model;
use crate::model::group::DECODER;
use crate::rules::StepContext;
use crate::rules::machinery::gradient::Delta;

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
    source_rows: StridedRows,
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
            source_rows: StridedRows::new(layout, batch_size, 0..width, width),
            strided_rows: StridedRows::new(layout, batch_size, 0..channels, channels),
            decoded: view(&scratch.decoded, width)?,
            encoded: view(&scratch.encoded, channels)?,
            sources,
            source_columns,
            source_im2col: im2col(&blocks)?,
            layer_im2col: im2col(&[channels])?,
        })
    }

    /// The number of values of a batch in the scratch memory.
    fn length(&self, batch_size: usize) -> usize {
        self.layout.allocated(batch_size) * self.width
    }

    /// The inputs of the decoder for a matrix of the layer's shape. A convolution unfolds it into its im2col buffer.
    pub(super) fn inputs(&mut self, matrix: &Tensor, values: &[T]) -> Vec<Tensor> {
        match &mut self.layer_im2col {
            None => vec![matrix.shallow_clone()],
            Some(im2col) => {
                im2col.fill(values);
                im2col.matrices.iter().map(Tensor::shallow_clone).collect()
            }
        }
    }

    /// sources ← the gradient of the mean loss with respect to the inputs of the output layer, with the unit of δ.
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

    /// sources ← σ(z + V_j D) − σ(z), from V_j h in `decoded` and V_j D in `sources`.
    pub(super) fn correction(&self, step: &StepContext<'_, T>, scratch: &mut Scratch<T>) -> Result<(), TchError> {
        let length = self.length(step.pass.batch_size);
        let (activation, bias) = (step.model.activation, step.model.group(DECODER).bias(step.lane, self.layer));
        let Scratch { sources, decoded, .. } = scratch;
        add_bias(&mut decoded.slice_mut()[..length], &self.source_rows, bias);
        begin_activation_difference(activation, &self.decoded, &self.sources)?;
        let (decoded, sources) = (&decoded.slice()[..length], &mut sources.slice_mut()[..length]);
        finish_activation_difference(activation, decoded, sources);
        Ok(())
    }

    /// Trains the decoder on this batch. Returns the loss if the context wants it.
    pub(super) fn train(
        &mut self,
        step: &mut StepContext<'_, T>,
        scratch: &mut Scratch<T>,
        noise_std: f64,
    ) -> Result<Option<f64>, TchError> {
        let length = self.length(step.pass.batch_size);
        self.disturb(step, scratch, noise_std);
        self.encode(step, scratch)?;

        // g_j(f_j(h̃)).
        let activation = step.model.activation;
        let Scratch { sources, decoded, encoded } = scratch;
        let encoded_matrix = self.encoded.shallow_clone();
        let units = self.inputs(&encoded_matrix, encoded.slice());
        self.decode(step, &self.decoded, &units)?;
        let bias = step.model.group(DECODER).bias(step.lane, self.layer);
        add_bias_and_activate(activation, decoded.slice_mut(), &self.source_rows, bias, &self.decoded)?;

        // The error of the reconstruction becomes δ of the decoder, in `sources`.
        let (sources, decoded) = (&mut sources.slice_mut()[..length], &decoded.slice()[..length]);
        let batch_size = step.batch_size();
        let loss = step.wants_losses().then(|| squared_error(sources, decoded, &self.source_rows) / batch_size);
        let scale = T::from_f64(2.0 * step.unit(DECODER) / batch_size);
        subtract_from(sources, decoded, &self.source_rows);
        activation_backward(activation, scale, sources, decoded, &self.source_rows);
        if self.layout.is_padded() {
            clear_padding(sources, self.layout, step.pass.batch_size, self.width);
        }
        let units = units.iter().map(Tensor::f_tr).collect::<Result<Vec<_>, _>>()?;
        let delta = Delta { matrix: &self.sources, values: sources, strided_rows: &self.source_rows };
        step.learn_group(DECODER, self.layer, units.iter(), &delta)?;
        Ok(loss)
    }

    /// sources ← h̃. The noise is in `decoded`.
    fn disturb(&self, step: &mut StepContext<'_, T>, scratch: &mut Scratch<T>, noise_std: f64) {
        let Scratch { sources, decoded, .. } = scratch;
        let (batch_size, length) = (step.pass.batch_size, self.length(step.pass.batch_size));
        let noise_length = batch_size * self.layout.height * self.layout.width * self.width;
        step.normal(Purpose::Noise, self.layer, step.update, &mut decoded.slice_mut()[..noise_length]);
        let sources = &mut sources.slice_mut()[..length];
        step.pass.hidden.concatenate(&step.model.architecture, self.layer, sources);
        add_noise(sources, decoded.slice(), &self.source_rows, T::from_f64(noise_std));
    }

    /// encoded ← f_j(h̃), with the clean x if the layer has the input as a source. h̃ is in `sources`.
    fn encode(&mut self, step: &StepContext<'_, T>, scratch: &mut Scratch<T>) -> Result<(), TchError> {
        let Model { architecture, activation, forward, .. } = &*step.model;
        if let Some(im2col) = &mut self.source_im2col {
            im2col.fill(&scratch.sources.slice()[..self.layout.allocated(step.pass.batch_size) * self.width]);
        }
        let columns = self.source_im2col.as_ref().map_or(&self.source_columns, |im2col| &im2col.matrices);
        let slices = forward.weight_slices(step.lane, self.layer);
        let images = step.pass.input_matrices(architecture, self.layer).map(|(input, _)| input);
        let images = images.take(slices.len() - columns.len());
        linear::forward(&self.encoded, images.chain(columns).zip(slices.iter().map(|slice| &slice.weight)))?;
        let (values, bias) = (scratch.encoded.slice_mut(), forward.bias(step.lane, self.layer));
        if self.layer == architecture.topology.output() {
            add_bias(values, &self.strided_rows, bias);
            let probabilities = self.encoded.f_softmax(-1, None::<Kind>)?;
            self.encoded.shallow_clone().f_copy_(&probabilities)
        } else {
            add_bias_and_activate(*activation, values, &self.strided_rows, bias, &self.encoded)
        }
    }
}

/// The indices of the weight slices of a layer whose inputs are hidden layers.
fn hidden_slices<T: Scalar>(model: &Model<T>, layer: usize) -> std::ops::Range<usize> {
    let slices = model.forward.parameter_range(layer).spec.row_ranges.len();
    usize::from(model.architecture.topology.sources(layer)[0] == 0)..slices
}

wide! {
    /// output ← input, row by row.
    pub(super) fn copy<T: Scalar>(output: &mut [T], input: &[T], strided_rows: &StridedRows) {
        for start in strided_rows.starts() {
            let row = start..start + strided_rows.length;
            output[row.clone()].copy_from_slice(&input[row]);
        }
    }
}

wide! {
    /// h ← h + std · noise. The noise has no gaps between rows.
    fn add_noise<T: Scalar>(hidden: &mut [T], noise: &[T], strided_rows: &StridedRows, std: T) {
        for (start, noise) in strided_rows.starts().zip(noise.chunks_exact(strided_rows.length)) {
            hidden[start..start + strided_rows.length].iter_mut().zip(noise).for_each(|(h, &noise)| *h += std * noise);
        }
    }
}

wide! {
    /// sources ← decoded − sources.
    fn subtract_from<T: Scalar>(sources: &mut [T], decoded: &[T], strided_rows: &StridedRows) {
        for start in strided_rows.starts() {
            let row = start..start + strided_rows.length;
            sources[row.clone()].iter_mut().zip(&decoded[row]).for_each(|(h, &decoded)| *h = decoded - *h);
        }
    }
}

/// Σ (decoded − sources)².
fn squared_error<T: Scalar>(sources: &[T], decoded: &[T], strided_rows: &StridedRows) -> f64 {
    let of_row = |start: usize| {
        let row = start..start + strided_rows.length;
        let pairs = sources[row.clone()].iter().zip(&decoded[row]);
        pairs.map(|(&h, &decoded)| (decoded - h).to_f64() * (decoded - h).to_f64()).sum::<f64>()
    };
    strided_rows.starts().map(of_row).sum()
}

wide! {
    /// Sets the padding between and after the rows of images to zero.
    fn clear_padding<T: Scalar>(values: &mut [T], layout: PaddedImageLayout, images: usize, width: usize) {
        let zero = T::default();
        for image in 0..images {
            for y in 0..layout.height {
                let end = (layout.row(image, y) + layout.width) * width;
                values[end..end + (layout.row_stride - layout.width) * width].fill(zero);
            }
            let last = layout.row(image, layout.height) * width;
            values[last..last + layout.row_stride * width].fill(zero);
        }
    }
}
