//! The gradients of one layer, and their way to the optimiser.

use tch::{TchError, Tensor};

use crate::kernels::handles::Rows;
use crate::kernels::linear::{self, WriteMode};
use crate::kernels::scalar::Scalar;
use crate::kernels::weights::scale;
use crate::model::parameters::Parameters;
use crate::optim::{InPlaceSgd, Optimiser};

/// The gradients ΔW = inputᵀ · δ and Δb = Σ δ of a layer, in memory. `inputs_transposed` has the order of the weight slices.
pub(in crate::rules) fn compute<'a, T: Scalar>(
    parameters: &mut Parameters<T>,
    layer: usize,
    inputs_transposed: impl Iterator<Item = &'a Tensor>,
    delta: Rows<'_, T>,
) -> Result<(), TchError> {
    for (slice, input) in parameters.weight_slices(0, layer).iter().zip(inputs_transposed) {
        linear::weight_gradient(WriteMode::Overwrite, &slice.gradient, input, delta.matrix)?;
    }
    linear::bias_gradient(parameters.bias_gradient_mut(layer), delta);
    Ok(())
}

/// ΔW = inputᵀ · δ and Δb = Σ δ of a layer, and the update of the layer if there is an optimiser. In-place SGD adds
/// inputᵀ · (−rate · δ) to the weights, without a gradient in memory. `inputs_transposed` has the order of the weight slices.
pub(in crate::rules) fn learn_layer<'a, T: Scalar>(
    parameters: &mut Parameters<T>,
    (lane, layer): (usize, usize),
    optimiser: Option<&mut Optimiser<T>>,
    inputs_transposed: impl Iterator<Item = &'a Tensor>,
    delta: Rows<'_, T>,
) -> Result<(), TchError> {
    let in_place_sgd = optimiser.as_deref().and_then(Optimiser::in_place_sgd);
    if let Some(InPlaceSgd { rate, keep }) = in_place_sgd {
        let keep = T::from_f64(keep);
        if keep != T::from_f64(1.0) {
            scale(parameters.raw_weight_mut(lane, layer), keep);
        }
        let step = parameters.multiple(delta, -rate)?;
        for (slice, input) in parameters.weight_slices(lane, layer).iter().zip(inputs_transposed) {
            linear::weight_gradient(WriteMode::Add, &slice.weight, input, &step)?;
        }
        linear::bias_gradient(parameters.bias_gradient_mut(layer), delta);
    } else {
        compute(parameters, layer, inputs_transposed, delta)?;
    }
    if let Some(optimiser) = optimiser {
        let (first, values, gradients) = match in_place_sgd {
            Some(_) => parameters.bias_and_gradient_mut(lane, layer),
            None => parameters.layer_mut(lane, layer),
        };
        optimiser.update(first, values, gradients);
    }
    Ok(())
}
