//! The gradients of one layer, and their way to the optimiser.

use tch::{TchError, Tensor};

use crate::kernels::handles::Rows;
use crate::kernels::linear::{self, WriteMode};
use crate::kernels::scalar::Scalar;
use crate::kernels::weights::scale;
use crate::model::parameters::Parameters;
use crate::optim::{InPlaceSgd, Optimiser};

/// Whether the biases of a layer learn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::rules) enum Biases {
    /// Δb = Σ δ.
    Learn,
    /// Δb = 0.
    Keep,
}

/// The gradients ΔW = inputᵀ · δ and Δb of a layer, in memory. `inputs_transposed` has the order of the weight slices.
pub(in crate::rules) fn compute<'a, T: Scalar>(
    parameters: &mut Parameters<T>,
    layer: usize,
    inputs_transposed: impl Iterator<Item = &'a Tensor>,
    delta: Rows<'_, T>,
    biases: Biases,
) -> Result<(), TchError> {
    for (slice, input) in parameters.weight_slices(0, layer).iter().zip(inputs_transposed) {
        linear::weight_gradient(WriteMode::Overwrite, &slice.gradient, input, delta.matrix)?;
    }
    biases.compute(parameters, layer, delta);
    Ok(())
}

impl Biases {
    /// Computes Δb. The memory of gradients that are never computed holds zeros.
    fn compute<T: Scalar>(self, parameters: &mut Parameters<T>, layer: usize, delta: Rows<'_, T>) {
        if self == Self::Learn {
            linear::bias_gradient(parameters.bias_gradient_mut(layer), delta);
        }
    }
}

/// ΔW = inputᵀ · δ and Δb of a layer, and the update of the layer if there is an optimiser. In-place SGD adds
/// inputᵀ · (−rate · δ) to the weights, without a gradient in memory. `inputs_transposed` has the order of the weight slices.
pub(in crate::rules) fn learn_layer<'a, T: Scalar>(
    parameters: &mut Parameters<T>,
    (lane, layer): (usize, usize),
    optimiser: Option<&mut Optimiser<T>>,
    inputs_transposed: impl Iterator<Item = &'a Tensor>,
    delta: Rows<'_, T>,
    biases: Biases,
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
        biases.compute(parameters, layer, delta);
    } else {
        compute(parameters, layer, inputs_transposed, delta, biases)?;
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
