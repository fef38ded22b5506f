//! The kernels of a fully connected layer: forward, error to input, weight gradient. Each is one matrix product over
//! views, so that a dense layer reads the activities before it where they lie.

use tch::{TchError, Tensor};

use crate::scalar::Scalar;

/// z = input · Wᵀ + b. `output` is [batch, out], `input` [batch, in], `weight_t` the transposed view [in, out] of W,
/// `bias` `[out]`.
pub fn forward(output: &Tensor, input: &Tensor, weight_t: &Tensor, bias: &Tensor) -> Result<(), TchError> {
    bias.f_addmm_out(output, input, weight_t).map(drop)
}

/// How an error arrives at a source that several layers read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// The first: it replaces what was there.
    First,
    /// A later one: it is added.
    Added,
}

/// error = δ · W, or error += δ · W. `error` is [batch, in], `delta` [batch, out], `weight` [out, in].
pub fn error_to_input(arrival: Arrival, error: &Tensor, delta: &Tensor, weight: &Tensor) -> Result<(), TchError> {
    match arrival {
        Arrival::First => delta.f_mm_out(error, weight).map(drop),
        Arrival::Added => error.f_addmm_out(error, delta, weight).map(drop),
    }
}

/// ΔW = δᵀ · input, [out, in].
pub fn weight_gradient(gradient: &Tensor, delta: &Tensor, input: &Tensor) -> Result<(), TchError> {
    delta.f_tr()?.f_mm_out(gradient, input).map(drop)
}

/// Δb = Σ_batch δ, over rows of `stride` numbers of which the first `gradient.len()` are δ's.
pub fn bias_gradient<T: Scalar>(gradient: &mut [T], delta: &[T], stride: usize) {
    gradient.fill(T::default());
    for row in delta.chunks(stride) {
        for (sum, &error) in gradient.iter_mut().zip(row) {
            *sum += error;
        }
    }
}
