//! Direct errors: δ of every hidden layer from one error at the output, and the gradients of the weights that carry it.

use std::iter;

use tch::{TchError, Tensor};

use crate::activations::Activations;
use crate::architecture::Architecture;
use crate::kernels::activation_function::activation_backward;
use crate::kernels::handles::Rows;
use crate::kernels::linear::{self, WriteMode};
use crate::kernels::rows::copy;
use crate::kernels::scalar::Scalar;
use crate::model::Model;
use crate::model::group::FEEDBACK;
use crate::model::parameters::WeightSlice;
use crate::rules::StepContext;

/// δ of all hidden layers, each from the output.
#[derive(Debug)]
pub(in crate::rules) struct DirectErrors<T> {
    deltas: Activations<T>,
    /// δ of each hidden layer as [images, units], padding included.
    by_image: Vec<Tensor>,
}

/// h of all hidden layers, for the gradients of direct feedback.
#[derive(Debug)]
pub(in crate::rules) struct DirectFeedback<T> {
    /// Copies of h whose padding is zero, and each copy as [images, units], for convolutions.
    copies: Option<(Activations<T>, Vec<Tensor>)>,
}

/// Each hidden layer as [images, units], padding included.
fn by_image<T: Scalar>(
    architecture: &Architecture,
    values: &Activations<T>,
    batch_size: usize,
) -> Result<Vec<Tensor>, TchError> {
    let of_layer = |layer: usize| {
        let matrix = values.matrix(layer);
        // The positions of a convolution are contiguous, image after image.
        if architecture.is_convolutional() {
            matrix.f_view([batch_size as i64, -1])
        } else {
            Ok(matrix.shallow_clone())
        }
    };
    architecture.topology.hidden().map(of_layer).collect()
}

impl<T: Scalar> DirectErrors<T> {
    pub(in crate::rules) fn new(model: &Model<T>, batch_size: usize) -> Result<Self, TchError> {
        let deltas = Activations::zeros(&model.architecture, batch_size)?;
        Ok(Self { by_image: by_image(&model.architecture, &deltas, batch_size)?, deltas })
    }

    /// δ_l = (error · D_l) ⊙ σ'(z_l), for an error [images, classes]. D_l is the one slice of `feedback`.
    pub(in crate::rules) fn receive(
        &mut self,
        step: &StepContext<'_, T>,
        layer: usize,
        error: &Tensor,
        feedback: &[WeightSlice],
    ) -> Result<(), TchError> {
        linear::error_to_input(WriteMode::Overwrite, &self.by_image[layer - 1], error, &feedback[0].weight)?;
        let activated = step.pass.activated(layer);
        activation_backward(step.model.activation, T::from_f64(1.0), self.deltas.rows_mut(layer), activated);
        Ok(())
    }

    /// δ of all hidden layers.
    pub(in crate::rules) fn deltas(&self) -> &Activations<T> {
        &self.deltas
    }
}

impl<T: Scalar> DirectFeedback<T> {
    pub(in crate::rules) fn new(model: &Model<T>, batch_size: usize) -> Result<Self, TchError> {
        let architecture = &model.architecture;
        if !architecture.is_convolutional() {
            return Ok(Self { copies: None });
        }
        let copies = Activations::zeros(architecture, batch_size)?;
        let by_image = by_image(architecture, &copies, batch_size)?;
        Ok(Self { copies: Some((copies, by_image)) })
    }

    /// ∂D_l = δ_{L+1}ᵀ · h_l.
    pub(in crate::rules) fn learn(&mut self, step: &mut StepContext<'_, T>, layer: usize) -> Result<(), TchError> {
        let error_transposed = step.output_delta().f_tr()?;
        let hidden = step.pass.layers.hidden.rows(layer);
        let hidden = match &mut self.copies {
            None => hidden,
            Some((copies, by_image)) => {
                // Weights to the padding would learn from what a product leaves there.
                copy(copies.rows_mut(layer), hidden);
                Rows { matrix: &by_image[layer - 1], ..copies.rows(layer) }
            }
        };
        step.learn_group(FEEDBACK, layer, iter::once(&error_transposed), hidden)
    }
}
