//! The gradients of one layer, and their way to the optimiser.

use biosweep_numeric::vector::wide;
use tch::{TchError, Tensor};

use crate::activations::Activations;
use crate::architecture::StridedRows;
use crate::kernels::linear::{self, WriteMode};
use crate::kernels::scalar::Scalar;
use crate::model::ForwardPass;
use crate::model::parameters::Parameters;
use crate::optim::{InPlaceSgd, Optimiser};

/// δ of a layer: the matrix [positions, out], the buffer, and the rows of the layer in the buffer.
pub(in crate::rules) struct Delta<'a, T> {
    pub(super) matrix: &'a Tensor,
    pub(super) values: &'a [T],
    pub(super) strided_rows: &'a StridedRows,
}

impl<'a, T: Scalar> Delta<'a, T> {
    pub(in crate::rules) fn of_hidden(deltas: &'a Activations<T>, layer: usize) -> Self {
        let (values, strided_rows) = deltas.values(layer);
        Self { matrix: deltas.matrix(layer), values, strided_rows }
    }

    pub(in crate::rules) fn of_output(pass: &'a ForwardPass<T>) -> Self {
        Self { matrix: pass.output_delta(), values: pass.output_delta.slice(), strided_rows: pass.output_rows() }
    }
}

/// ΔW = inputᵀ · δ and Δb = Σ δ of a layer, and the update of the layer if there is an optimiser. For in-place SGD, δ
/// carries the step, and the products are added to the parameters. `inputs_transposed` has the order of the weight slices.
pub(in crate::rules) fn learn_layer<'a, T: Scalar>(
    parameters: &mut Parameters<T>,
    (lane, layer): (usize, usize),
    optimiser: Option<&mut Optimiser<T>>,
    inputs_transposed: impl Iterator<Item = &'a Tensor>,
    delta: &Delta<'_, T>,
) -> Result<(), TchError> {
    if let Some(InPlaceSgd { keep, .. }) = optimiser.as_deref().and_then(Optimiser::in_place_sgd) {
        let keep = T::from_f64(keep);
        if keep != T::from_f64(1.0) {
            scale(parameters.raw_weight_mut(lane, layer), keep);
            scale(parameters.bias_mut(lane, layer), keep);
        }
        for (slice, input) in parameters.weight_slices(lane, layer).iter().zip(inputs_transposed) {
            linear::weight_gradient(WriteMode::Add, &slice.weight, input, delta.matrix)?;
        }
        add_bias_gradient(parameters.bias_mut(lane, layer), delta);
        return Ok(());
    }
    for (slice, input) in parameters.weight_slices(lane, layer).iter().zip(inputs_transposed) {
        linear::weight_gradient(WriteMode::Overwrite, &slice.gradient, input, delta.matrix)?;
    }
    let bias = parameters.bias_gradient_mut(layer);
    bias.fill(T::default());
    add_bias_gradient(bias, delta);
    if let Some(optimiser) = optimiser {
        let (first, values, gradients) = parameters.layer_mut(lane, layer);
        optimiser.update(first, values, gradients);
    }
    Ok(())
}

/// Δb += Σ δ, if the layer has biases here.
fn add_bias_gradient<T: Scalar>(bias: &mut [T], delta: &Delta<'_, T>) {
    if !bias.is_empty() {
        linear::add_bias_gradient(bias, delta.values, delta.strided_rows);
    }
}

wide! {
    fn scale<T: Scalar>(numbers: &mut [T], factor: T) {
        numbers.iter_mut().for_each(|number| *number = factor * *number);
    }
}
