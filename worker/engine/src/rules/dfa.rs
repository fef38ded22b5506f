//! Direct feedback alignment (Nøkland 2016): the error of the output layer goes to every layer directly, through fixed
//! random weights.
//!
//! δ_l = (δ_{L+1} · D_l) ⊙ σ'(z_l),  D_l [classes, units of layer l], drawn once from N(0, 1/classes)

use tch::{TchError, Tensor};

use super::{LearningRule, StepContext, backward_all};
use crate::activations::Activations;
use crate::kernels::activation_function::activation_backward;
use crate::kernels::linear::{self, WriteMode};
use crate::kernels::scalar::Scalar;
use crate::model::{ForwardPass, Model};

#[derive(Debug)]
pub(super) struct DirectFeedbackAlignment<T> {
    /// δ of all hidden layers.
    deltas: Activations<T>,
    /// δ of each hidden layer as [images, units], padding included.
    by_image: Vec<Tensor>,
}

impl<T: Scalar> DirectFeedbackAlignment<T> {
    pub(super) fn new(model: &Model<T>, batch_size: usize) -> Result<Self, TchError> {
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
}

impl<T: Scalar> LearningRule<T> for DirectFeedbackAlignment<T> {
    fn backward(
        &mut self,
        model: &mut Model<T>,
        pass: &ForwardPass<T>,
        context: &mut StepContext<'_, T>,
    ) -> Result<(), TchError> {
        let feedback = model.feedback.as_ref().expect("a network for direct feedback alignment has feedback weights");
        for (layer, delta) in model.architecture.topology.hidden().zip(&self.by_image) {
            let weight = &feedback.weight_slices(context.lane, layer)[0].weight;
            linear::error_to_input(WriteMode::Overwrite, delta, pass.output_delta(), weight)?;
            let (values, strided_rows) = self.deltas.values_mut(layer);
            activation_backward(model.activation, T::from_f64(1.0), values, pass.hidden.values(layer).0, strided_rows);
        }
        backward_all(model, pass, &self.deltas, context)
    }
}
