//! The forward pass of one batch, its values in all layers, its loss and its accuracy.

use tch::{TchError, Tensor};

use super::Model;
use crate::activations::Activations;
use crate::architecture::{Architecture, KERNEL_SIZE, PaddedImageLayout};
use crate::kernels::activation_function::{add_bias, add_bias_and_activate};
use crate::kernels::handles::{Matrix, Rows};
use crate::kernels::linear::WriteMode;
use crate::kernels::pool_and_unfold::unfold;
use crate::kernels::rows::combine;
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
    pub input: InputMatrix<T>,
    /// The values of all layers.
    pub layers: LayerValues<T>,
    /// δ of the output layer, times the `scale` of [`ForwardPass::loss`]; [images, classes].
    pub output_delta: Matrix<T>,
}

/// The images as the input matrix [positions, in] of the first layer.
#[derive(Debug)]
pub struct InputMatrix<T> {
    /// The images unfolded by a whole kernel, in the layout of the first layer, for a convolution.
    unfolded: Option<(Matrix<T>, PaddedImageLayout, usize)>,
    matrix: Tensor,
    transposed: Tensor,
}

/// The values of all layers for one batch.
#[derive(Debug)]
pub struct LayerValues<T> {
    /// h of all hidden layers.
    pub hidden: Activations<T>,
    /// σ(z) of the hidden layers where it is not h; `None` if it is h everywhere.
    activated: Option<Activations<T>>,
    /// Whether σ(z) is not h, for each hidden layer.
    is_separate: Vec<bool>,
    /// z of the output layer, [images, classes].
    pub logits: Matrix<T>,
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
        Ok(Self {
            batch_size,
            images,
            input: InputMatrix { unfolded, transposed: matrix.f_tr()?, matrix },
            layers: LayerValues::new(architecture, batch_size)?,
            output_delta: Matrix::zeros(batch_size, classes)?,
        })
    }

    /// The input matrices of a layer, [positions, in] and transposed, in the order of the layer's weight slices.
    pub fn input_matrices(
        &self,
        architecture: &Architecture,
        layer: usize,
    ) -> impl Iterator<Item = (&Tensor, &Tensor)> {
        self.layers.input_matrices(&self.input, architecture, layer)
    }

    /// σ(z) of a hidden layer: what σ'(z) is computed from.
    #[must_use]
    pub fn activated(&self, layer: usize) -> Rows<'_, T> {
        self.layers.activated(layer)
    }

    /// Computes the activations and logits of a lane for the images.
    ///
    /// # Errors
    /// libtorch reports an error.
    pub fn forward(&mut self, model: &Model<T>, lane: usize) -> Result<(), TchError> {
        if let Some((unfolded, layout, channels)) = &mut self.input.unfolded {
            unfold(unfolded.buffer_mut(), self.images.buffer(), *layout, *channels);
        }
        self.layers.compute_from(1, &self.input, model, lane)
    }

    /// The mean softmax cross-entropy for these labels. Stores δ of the output layer, (softmax(z) − onehot(y)) / batch.
    pub fn loss(&mut self, labels: &[i64]) -> f64 {
        loss::cross_entropy(&mut self.output_delta, &self.layers.logits, labels)
    }

    /// The number of images whose largest logit is that of their label, among the first `labels.len()` images; `None`
    /// if a logit or the loss of an image is not finite.
    #[must_use]
    pub fn correct(&self, labels: &[i64]) -> Option<usize> {
        loss::correct(&self.layers.logits, labels)
    }
}

impl<T: Scalar> LayerValues<T> {
    /// Buffers for batches of `batch_size` images.
    ///
    /// # Errors
    /// Memory allocation fails.
    pub fn new(architecture: &Architecture, batch_size: usize) -> Result<Self, TchError> {
        let topology = &architecture.topology;
        Self::with(architecture, batch_size, topology.hidden().map(|layer| topology.has_identity(layer)).collect())
    }

    /// The same, with σ(z) apart from h in all hidden layers.
    ///
    /// # Errors
    /// Memory allocation fails.
    pub fn separate(architecture: &Architecture, batch_size: usize) -> Result<Self, TchError> {
        Self::with(architecture, batch_size, vec![true; architecture.topology.depth()])
    }

    fn with(architecture: &Architecture, batch_size: usize, is_separate: Vec<bool>) -> Result<Self, TchError> {
        let has_separate = is_separate.contains(&true);
        Ok(Self {
            hidden: Activations::zeros(architecture, batch_size)?,
            activated: has_separate.then(|| Activations::zeros(architecture, batch_size)).transpose()?,
            is_separate,
            logits: Matrix::zeros(batch_size, architecture.classes())?,
        })
    }

    /// The values of another pass of a fully connected network.
    ///
    /// # Errors
    /// libtorch reports an error.
    pub fn assign(&mut self, other: &Self) -> Result<(), TchError> {
        self.hidden.assign(&other.hidden);
        for layer in (1..=self.is_separate.len()).filter(|&layer| self.is_separate[layer - 1]) {
            if let Some(activated) = &self.activated {
                linear::identity(WriteMode::Overwrite, activated.matrix(layer), other.activated(layer).matrix)?;
            }
        }
        linear::identity(WriteMode::Overwrite, self.logits.tensor(), other.logits.tensor())
    }

    /// h ← σ(z) + factor · others, for a hidden layer whose σ(z) is apart from h.
    pub fn combine_activated(&mut self, layer: usize, (factor, others): (T, Rows<'_, T>)) {
        if let Some(activated) = &self.activated {
            combine(self.hidden.rows_mut(layer), (T::from_f64(1.0), activated.rows(layer)), (factor, others));
        }
    }

    /// The input matrices of a layer, [positions, in] and transposed, in the order of the layer's weight slices.
    pub fn input_matrices<'a>(
        &'a self,
        input: &'a InputMatrix<T>,
        architecture: &Architecture,
        layer: usize,
    ) -> impl Iterator<Item = (&'a Tensor, &'a Tensor)> {
        let of_images = (architecture.topology.sources(layer)[0] == 0).then_some((&input.matrix, &input.transposed));
        of_images.into_iter().chain(self.hidden.column_ranges(layer).iter().map(|run| (&run.matrix, &run.transposed)))
    }

    /// σ(z) of a hidden layer: what σ'(z) is computed from.
    #[must_use]
    pub fn activated(&self, layer: usize) -> Rows<'_, T> {
        self.separate_of(layer).unwrap_or(&self.hidden).rows(layer)
    }

    /// Computes the values of a layer and of all later layers from those of the earlier layers.
    ///
    /// # Errors
    /// libtorch reports an error.
    pub fn compute_from(
        &mut self,
        first: usize,
        input: &InputMatrix<T>,
        model: &Model<T>,
        lane: usize,
    ) -> Result<(), TchError> {
        let topology = &model.architecture.topology;
        for layer in first..topology.output() {
            self.activate(layer, input, model, lane)?;
            if let Some(activated) = self.separate_of(layer) {
                linear::identity(WriteMode::Overwrite, self.hidden.matrix(layer), activated.matrix(layer))?;
                if topology.has_identity(layer) {
                    // h_l = h_{l-1} + σ(z_l).
                    linear::identity(WriteMode::Add, self.hidden.matrix(layer), self.hidden.matrix(layer - 1))?;
                }
            }
            self.hidden.publish(layer);
        }
        self.compute_logits(input, model, lane)
    }

    /// Computes σ(z) of a hidden layer from h of its sources.
    ///
    /// # Errors
    /// libtorch reports an error.
    pub fn activate(
        &mut self,
        layer: usize,
        input: &InputMatrix<T>,
        model: &Model<T>,
        lane: usize,
    ) -> Result<(), TchError> {
        let weights = model.forward.weight_slices(lane, layer).iter().map(|slice| &slice.weight);
        let inputs = self.input_matrices(input, &model.architecture, layer).map(|(input, _)| input);
        linear::forward(self.activated(layer).matrix, inputs.zip(weights))?;
        let activated = match &mut self.activated {
            Some(activated) if self.is_separate[layer - 1] => activated,
            _ => &mut self.hidden,
        };
        add_bias_and_activate(model.activation, activated.rows_mut(layer), model.forward.bias(lane, layer))
    }

    /// Computes the logits from h of the sources of the output layer.
    ///
    /// # Errors
    /// libtorch reports an error.
    pub fn compute_logits(&mut self, input: &InputMatrix<T>, model: &Model<T>, lane: usize) -> Result<(), TchError> {
        let output = model.architecture.topology.output();
        let weights = model.forward.weight_slices(lane, output).iter().map(|slice| &slice.weight);
        let inputs = self.input_matrices(input, &model.architecture, output).map(|(input, _)| input);
        linear::forward(self.logits.tensor(), inputs.zip(weights))?;
        add_bias(self.logits.rows_mut(), model.forward.bias(lane, output));
        Ok(())
    }

    /// σ(z) of a hidden layer, if it is not h.
    fn separate_of(&self, layer: usize) -> Option<&Activations<T>> {
        self.activated.as_ref().filter(|_| self.is_separate[layer - 1])
    }
}
