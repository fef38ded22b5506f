//! Local errors: δ of every hidden layer from a classifier of its own.

use std::iter;

use tch::TchError;

use crate::activations::Activations;
use crate::architecture::Architecture;
use crate::kernels::activation_function::{activation_backward, add_bias};
use crate::kernels::handles::Matrix;
use crate::kernels::linear::{self, WriteMode};
use crate::kernels::loss::cross_entropy;
use crate::kernels::pool_and_unfold::{PoolAndUnfold, pool_and_unfold, pool_and_unfold_adjoint};
use crate::kernels::scalar::Scalar;
use crate::model::Model;
use crate::model::group::AUXILIARY;
use crate::rules::StepContext;

/// δ of all hidden layers, each from the classes that the layer predicts.
#[derive(Debug)]
pub(in crate::rules) struct LocalErrors<T> {
    deltas: Activations<T>,
    /// A_l h_l + a_l of one layer, [images, classes].
    logits: Matrix<T>,
    /// (p_l − onehot(y)) / batch of one layer, [images, classes].
    error: Matrix<T>,
    /// The spatial means of each convolutional layer; empty for fully connected layers.
    means: Vec<SpatialMean<T>>,
}

/// The mean of a layer over its positions, and the error of that mean, [images, channels].
#[derive(Debug)]
struct SpatialMean<T> {
    operation: PoolAndUnfold,
    hidden: Matrix<T>,
    error: Matrix<T>,
}

impl<T: Scalar> LocalErrors<T> {
    pub(in crate::rules) fn new(model: &Model<T>, batch_size: usize) -> Result<Self, TchError> {
        let architecture = &model.architecture;
        let mean = |layer: usize| SpatialMean::new(architecture, layer, batch_size);
        let with_means = architecture.topology.hidden().filter(|_| architecture.is_convolutional());
        Ok(Self {
            deltas: Activations::zeros(architecture, batch_size)?,
            logits: Matrix::zeros(batch_size, architecture.classes())?,
            error: Matrix::zeros(batch_size, architecture.classes())?,
            means: with_means.map(mean).collect::<Result<_, _>>()?,
        })
    }

    /// δ_l = [(p_l − onehot(y)) A_l] ⊙ σ'(z_l) / batch, with p_l = softmax(A_l h_l + a_l); then A_l and a_l learn. A convolution
    /// predicts from its spatial mean, so that all positions share the error evenly.
    pub(in crate::rules) fn compute(&mut self, step: &mut StepContext<'_, T>, layer: usize) -> Result<(), TchError> {
        let Self { deltas, logits, error, means } = self;
        let rows = step.pass.layers.hidden.rows(layer);
        if let Some(SpatialMean { operation, hidden, .. }) = means.get_mut(layer - 1) {
            pool_and_unfold(hidden.buffer_mut(), rows.buffer, *operation);
        }
        let mean = means.get(layer - 1);
        let hidden = mean.map_or(rows.matrix, |mean| mean.hidden.tensor());
        let classifiers = step.model.group(AUXILIARY);
        let slice = &classifiers.weight_slices(step.lane, layer)[0];
        linear::forward(logits.tensor(), iter::once((hidden, &slice.weight)))?;
        add_bias(logits.rows_mut(), classifiers.bias(step.lane, layer));
        cross_entropy(error, logits, step.labels);

        let to_input = mean.map_or(deltas.matrix(layer), |mean| mean.error.tensor());
        linear::error_to_input(WriteMode::Overwrite, to_input, error.tensor(), &slice.transposed)?;
        if let Some(SpatialMean { operation, error, .. }) = mean {
            pool_and_unfold_adjoint(WriteMode::Overwrite, deltas.rows_mut(layer).buffer, error.buffer(), *operation);
        }
        let activated = step.pass.activated(layer);
        activation_backward(step.model.activation, T::from_f64(1.0), deltas.rows_mut(layer), activated);
        step.learn_group(AUXILIARY, layer, iter::once(&hidden.f_tr()?), error.rows())
    }

    /// δ of all hidden layers.
    pub(in crate::rules) fn deltas(&self) -> &Activations<T> {
        &self.deltas
    }
}

impl<T: Scalar> SpatialMean<T> {
    fn new(architecture: &Architecture, layer: usize, images: usize) -> Result<Self, TchError> {
        let channels = architecture.channels(layer);
        let operation = PoolAndUnfold {
            images,
            source: architecture.layout(layer),
            reader: architecture.layout(architecture.topology.output()),
            source_columns: (0, channels),
            factor: 1,
            channels,
            stride: channels,
            column: 0,
            is_unfolded: false,
        };
        Ok(Self { operation, hidden: Matrix::zeros(images, channels)?, error: Matrix::zeros(images, channels)? })
    }
}
