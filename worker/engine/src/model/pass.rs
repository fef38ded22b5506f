//! The forward pass of one batch, its loss and its accuracy.

use tch::{TchError, Tensor};

use super::Model;
use crate::activations::Activations;
use crate::architecture::{Architecture, KERNEL_SIZE, PaddedImageLayout};
use crate::kernels::activation_function::{add_bias, add_bias_and_activate};
use crate::kernels::handles::{Matrix, Rows};
use crate::kernels::linear::WriteMode;
use crate::kernels::pool_and_unfold::unfold;
use crate::kernels::scalar::Scalar;
use crate::kernels::{linear, loss};

/// The forward pass of one batch.
#[derive(Debug)]
pub struct ForwardPass<T> {
    /// Images in the batch.
    pub batch_size: usize,
    /// The images: for each image one channel after another, each row by row.
    pub images: Matrix<T>,
    /// The images as the input of a layer.
    input: InputMatrix<T>,
    /// h of all hidden layers.
    pub hidden: Activations<T>,
    /// σ(z) of the hidden layers that add the layer before; `None` if no layer does.
    added: Option<Activations<T>>,
    /// z of the output layer, [images, classes].
    pub logits: Matrix<T>,
    /// δ of the output layer, times the `scale` of [`ForwardPass::loss`]; [images, classes].
    pub output_delta: Matrix<T>,
}

/// The images as the input matrix [positions, in] of the first layer.
#[derive(Debug)]
struct InputMatrix<T> {
    /// The images unfolded by a whole kernel, in the layout of the first layer, for a convolution.
    unfolded: Option<(Matrix<T>, PaddedImageLayout, usize)>,
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
        let images = Matrix::zeros(batch_size, inputs)?;
        let (unfolded, matrix) = if architecture.is_convolutional() {
            let (layout, width) = (architecture.layout(1), architecture.channels(0) * KERNEL_SIZE * KERNEL_SIZE);
            let unfolded = Matrix::zeros(layout.positions(batch_size), width)?;
            let matrix = unfolded.tensor().shallow_clone();
            (Some((unfolded, layout, architecture.channels(0))), matrix)
        } else {
            (None, images.tensor().shallow_clone())
        };
        let topology = &architecture.topology;
        let has_identities = topology.hidden().any(|layer| topology.has_identity(layer));
        Ok(Self {
            batch_size,
            images,
            input: InputMatrix { unfolded, transposed: matrix.f_tr()?, matrix },
            hidden: Activations::zeros(architecture, batch_size)?,
            added: has_identities.then(|| Activations::zeros(architecture, batch_size)).transpose()?,
            logits: Matrix::zeros(batch_size, classes)?,
            output_delta: Matrix::zeros(batch_size, classes)?,
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

    /// σ(z) of a hidden layer: what σ'(z) is computed from. It is h, unless the layer adds the layer before.
    #[must_use]
    pub fn activated(&self, architecture: &Architecture, layer: usize) -> Rows<'_, T> {
        match &self.added {
            Some(added) if architecture.topology.has_identity(layer) => added.rows(layer),
            _ => self.hidden.rows(layer),
        }
    }

    /// Computes the activations and logits of a lane for the images.
    ///
    /// # Errors
    /// libtorch reports an error.
    pub fn forward(&mut self, model: &Model<T>, lane: usize) -> Result<(), TchError> {
        let Model { architecture, activation, forward, .. } = model;
        if let Some((unfolded, layout, channels)) = &mut self.input.unfolded {
            unfold(unfolded.buffer_mut(), self.images.buffer(), *layout, *channels);
        }
        for layer in architecture.topology.hidden() {
            let weights = forward.weight_slices(lane, layer).iter().map(|slice| &slice.weight);
            let inputs = self.input_matrices(architecture, layer).map(|(input, _)| input);
            let has_identity = architecture.topology.has_identity(layer);
            let added = self.added.as_ref().filter(|_| has_identity);
            linear::forward(added.unwrap_or(&self.hidden).matrix(layer), inputs.zip(weights))?;
            let bias = forward.bias(lane, layer);
            if let Some(added) = self.added.as_mut().filter(|_| has_identity) {
                add_bias_and_activate(*activation, added.rows_mut(layer), bias)?;
                // h_l = h_{l-1} + σ(z_l).
                linear::identity(WriteMode::Overwrite, self.hidden.matrix(layer), self.hidden.matrix(layer - 1))?;
                linear::identity(WriteMode::Add, self.hidden.matrix(layer), added.matrix(layer))?;
            } else {
                add_bias_and_activate(*activation, self.hidden.rows_mut(layer), bias)?;
            }
            self.hidden.publish(layer);
        }
        let output = architecture.topology.output();
        let weights = forward.weight_slices(lane, output).iter().map(|slice| &slice.weight);
        let inputs = self.input_matrices(architecture, output).map(|(input, _)| input);
        linear::forward(self.logits.tensor(), inputs.zip(weights))?;
        add_bias(self.logits.rows_mut(), forward.bias(lane, output));
        Ok(())
    }

    /// The mean softmax cross-entropy for these labels. Stores δ of the output layer, (softmax(z) − onehot(y)) / batch.
    pub fn loss(&mut self, labels: &[i64]) -> f64 {
        loss::cross_entropy(&mut self.output_delta, &self.logits, labels)
    }

    /// The number of images whose largest logit is that of their label, among the first `labels.len()` images; `None`
    /// if a logit or the loss of an image is not finite.
    #[must_use]
    pub fn correct(&self, labels: &[i64]) -> Option<usize> {
        loss::correct(&self.logits, labels)
    }
}
