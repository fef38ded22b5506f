//! The gradients and products of a layer: forward, error to input, identity, weight gradient, bias gradient.
//!
//! The products are one per weight slice, over views: inputs are not copied. A fully connected layer has one
//! slice, or several if its sources are not side by side. A convolution has one slice per kernel row.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use biosweep_numeric::vector::wide;
use tch::{Kind, TchError, Tensor};

use super::buffer::Buffer;
use super::handles::{Rows, ViewMut};
use super::scalar::Scalar;
use crate::architecture::StridedRows;

/// How a product is written to its output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteMode {
    /// The product overwrites the output.
    Overwrite,
    /// The product is added to the output.
    Add,
}

/// output = left · right, or output += left · right.
fn product(mode: WriteMode, output: &Tensor, left: &Tensor, right: &Tensor) -> Result<(), TchError> {
    match mode {
        WriteMode::Overwrite => left.f_mm_out(output, right).map(drop),
        WriteMode::Add => output.f_addmm_out(output, left, right).map(drop),
    }
}

/// z = Σ input · W over the weight slices of a layer, without the bias. `output` is [positions, out], each `input`
/// [positions, in], each `weight` [in, out].
pub fn forward<'a>(
    output: &Tensor,
    slices: impl IntoIterator<Item = (&'a Tensor, &'a Tensor)>,
) -> Result<(), TchError> {
    let mut mode = WriteMode::Overwrite;
    for (input, weight) in slices {
        product(mode, output, input, weight)?;
        mode = WriteMode::Add;
    }
    Ok(())
}

/// error = δ · Wᵀ, or error += δ · Wᵀ, for one weight slice. `error` is [positions, in], `delta` [positions, out],
/// `transposed` [out, in].
pub fn error_to_input(mode: WriteMode, error: &Tensor, delta: &Tensor, transposed: &Tensor) -> Result<(), TchError> {
    product(mode, error, delta, transposed)
}

/// output = input, or output += input: the product with the identity.
///
/// # Errors
/// libtorch reports an error.
pub fn identity(mode: WriteMode, output: &Tensor, input: &Tensor) -> Result<(), TchError> {
    match mode {
        WriteMode::Overwrite => output.shallow_clone().f_copy_(input).map(drop),
        WriteMode::Add => output.f_add_out(output, input).map(drop),
    }
}

/// values ← factor · values.
///
/// # Errors
/// libtorch reports an error.
pub fn multiply(values: &Tensor, factor: f64) -> Result<(), TchError> {
    values.f_mul_scalar_out(values, factor).map(drop)
}

/// values ← values − others.
///
/// # Errors
/// libtorch reports an error.
pub fn subtract(values: &Tensor, others: &Tensor) -> Result<(), TchError> {
    values.f_sub_out(values, others).map(drop)
}

/// Σ left · right over all values.
///
/// # Errors
/// libtorch reports an error.
pub fn inner_product(left: &Tensor, right: &Tensor) -> Result<f64, TchError> {
    left.f_mul(right)?.f_sum(Kind::Double)?.f_double_value(&[])
}

/// The angle in degrees between two vectors, from their inner product and their squares; `None` if one of them is zero.
#[must_use]
pub fn angle(product: f64, squares: [f64; 2]) -> Option<f64> {
    let norms = squares[0].sqrt() * squares[1].sqrt();
    (norms > 0.0).then(|| (product / norms).clamp(-1.0, 1.0).acos().to_degrees())
}

/// ΔW = inputᵀ · δ, or ΔW += inputᵀ · δ, [in, out], for one weight slice.
pub fn weight_gradient(
    mode: WriteMode,
    gradient: &Tensor,
    input_transposed: &Tensor,
    delta: &Tensor,
) -> Result<(), TchError> {
    product(mode, gradient, input_transposed, delta)
}

/// Memory for multiples of matrices. It grows to the largest of them.
#[derive(Debug)]
pub struct Multiples<T> {
    buffer: Buffer<T>,
    /// The views that were needed, by rows and columns.
    views: BTreeMap<(usize, usize), Tensor>,
}

impl<T: Scalar> Multiples<T> {
    /// No memory yet.
    ///
    /// # Errors
    /// Memory allocation fails.
    pub fn new() -> Result<Self, TchError> {
        Ok(Self { buffer: Buffer::zeros(0)?, views: BTreeMap::new() })
    }

    /// factor · values, padding included. The next call overwrites it.
    ///
    /// # Errors
    /// Memory allocation fails.
    pub fn of(&mut self, values: Rows<'_, T>, factor: f64) -> Result<Tensor, TchError> {
        let (start, rows, columns, stride) = values.buffer.place_of(values.matrix);
        if self.buffer.length() < rows * columns {
            self.views.clear();
            self.buffer = Buffer::zeros(rows * columns)?;
        }
        let multiple = &mut self.buffer.slice_mut()[..rows * columns];
        multiply_rows(multiple, &values.buffer.slice()[start..], (columns, stride), T::from_f64(factor));
        let view = match self.views.entry((rows, columns)) {
            Entry::Occupied(view) => view.into_mut(),
            Entry::Vacant(place) => place.insert(self.buffer.matrix(0, rows, columns, columns)?),
        };
        Ok(view.shallow_clone())
    }
}

wide! {
    fn multiply_rows<T: Scalar>(products: &mut [T], values: &[T], (columns, stride): (usize, usize), factor: T) {
        for (products, values) in products.chunks_exact_mut(columns).zip(values.chunks(stride)) {
            products.iter_mut().zip(values).for_each(|(product, &value)| *product = factor * value);
        }
    }
}

/// Δb = Σ δ over the positions of all images. A layer without biases has an empty `gradient`.
pub fn bias_gradient<T: Scalar>(gradient: ViewMut<'_, T>, delta: Rows<'_, T>) {
    let gradient = gradient.into_slice();
    if gradient.is_empty() {
        return;
    }
    gradient.fill(T::default());
    add_bias_gradient(gradient, delta.buffer.slice(), delta.strided_rows);
}

wide! {
    fn add_bias_gradient<T: Scalar>(gradient: &mut [T], delta: &[T], strided_rows: &StridedRows) {
        for start in strided_rows.starts() {
            for position in delta[start..start + strided_rows.length].chunks_exact(gradient.len()) {
                gradient.iter_mut().zip(position).for_each(|(sum, &delta)| *sum += delta);
            }
        }
    }
}
