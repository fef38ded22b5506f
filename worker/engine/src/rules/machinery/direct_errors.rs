//! Direct errors: δ of every hidden layer from one error at the output.

use tch::{TchError, Tensor};

use crate::activations::Activations;
use crate::kernels::activation_function::activation_backward;
use crate::kernels::linear::{self, WriteMode};
use crate::kernels::scalar::Scalar;
use crate::model::Model;
use crate::model::parameters::WeightSlice;
use crate::rules::StepContext;

/// δ of all hidden layers, each from the output.
#[derive(Debug)]
pub(in crate::rules) struct DirectErrors<T> {
    deltas: Activations<T>,
    /// δ of each hidden layer as [images, units], padding included.
    by_image: Vec<Tensor>,
}

impl<T: Scalar> DirectErrors<T> {
    pub(in crate::rules) fn new(model: &Model<T>, batch_size: usize) -> Result<Self, TchError> {
        let architecture = &model.architecture;
        let deltas = Activations::zeros(architecture, batch_size)?;
        let by_image = |layer: usize| {
            let matrix = deltas.matrix(layer);
            // The positions of a convolution are contiguous, image after image.
            if architecture.is_convolutional() {
                matrix.f_view([batch_size as i64, -1])
            } else {
                Ok(matrix.shallow_clone())
            }
        };
        let by_image = architecture.topology.hidden().map(by_image).collect::<Result<_, _>>()?;
        Ok(Self { deltas, by_image })
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
        let activated = step.pass.activated(&step.model.architecture, layer);
        activation_backward(step.model.activation, T::from_f64(1.0), self.deltas.rows_mut(layer), activated);
        Ok(())
    }

    /// δ of all hidden layers.
    pub(in crate::rules) fn deltas(&self) -> &Activations<T> {
        &self.deltas
    }
}
