//! The forward pass of one batch, its loss and its accuracy.

use biosweep_numeric::vector::wide;
use tch::{TchError, Tensor};

use super::Model;
use crate::activations::Activations;
use crate::architecture::{Architecture, KERNEL_SIZE, PaddedImageLayout, StridedRows};
use crate::kernels::activation_function::{add_bias, add_bias_and_activate};
use crate::kernels::buffer::Buffer;
use crate::kernels::linear;
use crate::kernels::scalar::Scalar;

/// The forward pass of one batch.
#[derive(Debug)]
pub struct ForwardPass<T> {
    /// Images in the batch.
    pub batch_size: usize,
    /// The images: for each image one channel after another, each row by row.
    pub images: Buffer<T>,
    /// The images as the input of a layer.
    input: InputMatrix<T>,
    /// h of all hidden layers.
    pub hidden: Activations<T>,
    /// z of the output layer, [images, classes].
    pub logits: Buffer<T>,
    logit_view: Tensor,
    logit_rows: StridedRows,
    /// δ of the output layer, times the `scale` of [`ForwardPass::loss`]; [images, classes].
    pub output_delta: Buffer<T>,
    output_delta_view: Tensor,
}

/// The images as the input matrix [positions, in] of the first layer.
#[derive(Debug)]
struct InputMatrix<T> {
    /// The images unfolded by a whole kernel, in the layout of the first layer, for a convolution.
    unfolded: Option<(Buffer<T>, PaddedImageLayout, usize)>,
    matrix: Tensor,
    transposed: Tensor,
}

impl<T: Scalar> ForwardPass<T> {
    /// Buffers for batches of `batch_size` images.
    ///
    /// # Errors
    /// Memory allocation fails.
    pub fn new(architecture: &Architecture, batch_size: usize) -> Result<Self, TchError> {
        let (inputs, classes) = (architecture.extent(0).units(), architecture.classes());
        let images = Buffer::zeros(batch_size * inputs)?;
        let (logits, output_delta) = (Buffer::zeros(batch_size * classes)?, Buffer::zeros(batch_size * classes)?);
        let (unfolded, matrix) = if architecture.is_convolutional() {
            let (layout, width) = (architecture.layout(1), architecture.channels(0) * KERNEL_SIZE * KERNEL_SIZE);
            let buffer = Buffer::zeros(layout.positions(batch_size) * width)?;
            let matrix = buffer.matrix(0, layout.positions(batch_size), width, width)?;
            (Some((buffer, layout, architecture.channels(0))), matrix)
        } else {
            (None, images.matrix(0, batch_size, inputs, inputs)?)
        };
        Ok(Self {
            batch_size,
            images,
            input: InputMatrix { unfolded, transposed: matrix.f_tr()?, matrix },
            hidden: Activations::zeros(architecture, batch_size)?,
            logit_view: logits.matrix(0, batch_size, classes, classes)?,
            logit_rows: StridedRows { first: 0, outer: (1, 0), inner: (1, 0), length: batch_size * classes },
            logits,
            output_delta_view: output_delta.matrix(0, batch_size, classes, classes)?,
            output_delta,
        })
    }

    /// The input matrices of a layer, [positions, in] and transposed, in the order of the layer's weight slices.
    pub fn input_matrices(
        &self,
        architecture: &Architecture,
        layer: usize,
    ) -> impl Iterator<Item = (&Tensor, &Tensor)> {
        let of_images =
            (architecture.topology.sources(layer)[0] == 0).then_some((&self.input.matrix, &self.input.transposed));
        of_images.into_iter().chain(self.hidden.column_ranges(layer).iter().map(|run| (&run.matrix, &run.transposed)))
    }

    /// δ of the output layer as a tensor.
    pub fn output_delta(&self) -> &Tensor {
        &self.output_delta_view
    }

    /// z of the output layer as a tensor.
    pub fn logits(&self) -> &Tensor {
        &self.logit_view
    }

    /// The rows of the output layer in `logits` and `output_delta`.
    pub fn output_rows(&self) -> &StridedRows {
        &self.logit_rows
    }

    /// Computes the activations and logits of a lane for the images.
    ///
    /// # Errors
    /// libtorch reports an error.
    pub fn forward(&mut self, model: &Model<T>, lane: usize) -> Result<(), TchError> {
        let Model { architecture, activation, forward, .. } = model;
        if let Some((unfolded, layout, channels)) = &mut self.input.unfolded {
            unfold(unfolded.slice_mut(), self.images.slice(), *layout, *channels);
        }
        for layer in architecture.topology.hidden() {
            let weights = forward.weight_slices(lane, layer).iter().map(|slice| &slice.weight);
            let inputs = self.input_matrices(architecture, layer).map(|(input, _)| input);
            linear::forward(self.hidden.matrix(layer), inputs.zip(weights))?;
            let whole = self.hidden.matrix(layer).shallow_clone();
            let (numbers, strided_rows) = self.hidden.values_mut(layer);
            add_bias_and_activate(*activation, numbers, strided_rows, forward.bias(lane, layer), &whole)?;
            self.hidden.publish(layer);
        }
        let output = architecture.topology.output();
        let weights = forward.weight_slices(lane, output).iter().map(|slice| &slice.weight);
        let inputs = self.input_matrices(architecture, output).map(|(input, _)| input);
        linear::forward(&self.logit_view, inputs.zip(weights))?;
        add_bias(self.logits.slice_mut(), &self.logit_rows, forward.bias(lane, output));
        Ok(())
    }

    /// The mean softmax cross-entropy for these labels. Stores `scale` · δ of the output layer, where δ = (softmax(z) −
    /// onehot(y)) / batch.
    pub fn loss(&mut self, labels: &[i64], scale: f64) -> f64 {
        let classes = self.logits.slice().len() / self.batch_size;
        let scale = T::from_f64(scale / self.batch_size as f64);
        // A class of negligible probability gets an error of exactly zero. A subnormal number would slow every product
        // that uses it.
        let tiny = T::from_f64(1e-20);
        let mut loss = 0.0;
        let rows = self.logits.slice().chunks(classes).zip(self.output_delta.slice_mut().chunks_mut(classes));
        for ((logits, delta), &label) in rows.zip(labels) {
            let label = label as usize;
            let most = logits.iter().copied().fold(logits[0], |most, z| if z > most { z } else { most });
            let mut sum = T::default();
            for (delta, &logit) in delta.iter_mut().zip(logits) {
                let likelihood = (logit - most).exp();
                sum += likelihood;
                *delta = if likelihood < tiny { T::default() } else { likelihood };
            }
            loss += sum.to_f64().ln() - (logits[label] - most).to_f64();
            delta.iter_mut().for_each(|delta| *delta = *delta / sum * scale);
            delta[label] -= scale;
        }
        loss / self.batch_size as f64
    }

    /// The number of images whose largest logit is that of their label, among the first `labels.len()` images; `None`
    /// if a logit or the loss of an image is not finite.
    #[must_use]
    pub fn correct(&self, labels: &[i64]) -> Option<usize> {
        let classes = self.logits.slice().len() / self.batch_size;
        let mut correct = 0;
        for (logits, &label) in self.logits.slice().chunks(classes).zip(labels) {
            let own = logits[label as usize];
            // The loss is infinite if even this difference overflows.
            let is_finite = |&logit: &T| logit.to_f64().is_finite() && (own - logit).to_f64().is_finite();
            if !logits.iter().all(is_finite) {
                return None;
            }
            // The first of equal logits is the answer, as in argmax.
            let is_least = |(class, &logit): (usize, &T)| logit < own || (logit == own && class as i64 >= label);
            correct += usize::from(logits.iter().enumerate().all(is_least));
        }
        Some(correct)
    }
}

wide! {
    /// Im2col of images: for each position, all values under a 3×3 kernel, in the order row, column, channel. Values
    /// outside the image stay zero, because nothing writes to them.
    fn unfold<T: Scalar>(unfolded: &mut [T], images: &[T], layout: PaddedImageLayout, channels: usize) {
        let (height, width, row) = (layout.height, layout.width, KERNEL_SIZE * KERNEL_SIZE * channels);
        let of_image = images.chunks_exact(channels * height * width).enumerate();
        for (image, pixels) in of_image {
            let first = image * layout.image_stride;
            for (channel, pixels) in pixels.chunks_exact(height * width).enumerate() {
                for offset in 0..KERNEL_SIZE * KERNEL_SIZE {
                    let (down, right) = (offset / KERNEL_SIZE, offset % KERNEL_SIZE);
                    // Position (y, x) has pixel (y + down − 1, x + right − 1) at this offset of the kernel.
                    for y in usize::from(down == 0)..height - usize::from(down == 2) {
                        let from = usize::from(right == 0);
                        let to = width - usize::from(right == 2);
                        let pixels = &pixels[(y + down - 1) * width..][..width];
                        let mut index = (first + y * layout.row_stride + from) * row + offset * channels + channel;
                        for &pixel in &pixels[from + right - 1..to + right - 1] {
                            unfolded[index] = pixel;
                            index += row;
                        }
                    }
                }
            }
        }
    }
}
