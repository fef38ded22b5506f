//! The kernels of a layer: forward, error to input, weight gradient. Each is one matrix product for each part of what
//! the layer reads, over views, so that a layer reads the activities before it where they lie. A fully connected layer
//! has one part (or some, where its sources do not lie side by side), a convolution one for each row of its kernel.

use biosweep_numeric::vector::wide;
use tch::{TchError, Tensor};

use crate::architecture::StridedRows;
use crate::kernels::scalar::Scalar;

/// How a product arrives where it is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteMode {
    /// The first: it replaces what was there.
    Overwrite,
    /// A later one: it is added.
    Add,
}

/// output = left · right, or output += left · right.
fn product(mode: WriteMode, output: &Tensor, left: &Tensor, right: &Tensor) -> Result<(), TchError> {
    match mode {
        WriteMode::Overwrite => left.f_mm_out(output, right).map(drop),
        WriteMode::Add => output.f_addmm_out(output, left, right).map(drop),
    }
}

/// z = Σ input · W over the parts of a layer; its bias is left to the activation. `output` is [positions, out], each
/// `input` [positions, in], each `weight` [in, out].
pub fn forward<'a>(output: &Tensor, parts: impl IntoIterator<Item = (&'a Tensor, &'a Tensor)>) -> Result<(), TchError> {
    let mut mode = WriteMode::Overwrite;
    for (input, weight) in parts {
        product(mode, output, input, weight)?;
        mode = WriteMode::Add;
    }
    Ok(())
}

/// error = δ · Wᵀ, or error += δ · Wᵀ, of one part. `error` is [positions, in], `delta` [positions, out], `transposed`
/// [out, in].
pub fn error_to_input(mode: WriteMode, error: &Tensor, delta: &Tensor, transposed: &Tensor) -> Result<(), TchError> {
    product(mode, error, delta, transposed)
}

/// ΔW = inputᵀ · δ, [in, out], of one part, put into a gradient or added to what is there.
pub fn weight_gradient(
    mode: WriteMode,
    gradient: &Tensor,
    input_transposed: &Tensor,
    delta: &Tensor,
) -> Result<(), TchError> {
    product(mode, gradient, input_transposed, delta)
}

wide! {
    /// Δb = Σ δ over the positions of all images; added to what is there.
    pub fn add_bias_gradient<T: Scalar>(gradient: &mut [T], delta: &[T], strided_rows: &StridedRows) {
        for start in strided_rows.starts() {
            for position in delta[start..start + strided_rows.length].chunks_exact(gradient.len()) {
                gradient.iter_mut().zip(position).for_each(|(sum, &delta)| *sum += delta);
            }
        }
    }
}
