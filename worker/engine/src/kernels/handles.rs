//! Handles: the operands of kernels. They name memory of a buffer, but only a kernel can look at its values.
//!
//! | handle | names |
//! |---|---|
//! | [`View`], [`ViewMut`] | a range of a buffer: weights, biases, a lane |
//! | [`Rows`], [`RowsMut`] | the rows of a layer in a buffer, and the same rows as a matrix |
//! | [`Matrix`] | a buffer that is one matrix |

use std::ops::Range;

use tch::{TchError, Tensor};

use super::buffer::Buffer;
use super::scalar::Scalar;
use crate::architecture::StridedRows;

/// A range of a buffer.
#[derive(Debug, Clone, Copy)]
pub struct View<'a, T> {
    buffer: &'a Buffer<T>,
    start: usize,
    length: usize,
}

/// A range of a buffer, mutable.
#[derive(Debug)]
pub struct ViewMut<'a, T> {
    buffer: &'a mut Buffer<T>,
    range: Range<usize>,
}

/// The rows of a layer.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a, T> {
    /// The buffer, of which the rows may be a part.
    pub buffer: &'a Buffer<T>,
    /// The place of the rows in the buffer.
    pub strided_rows: &'a StridedRows,
    /// The rows as a matrix [positions, channels]. The positions include the padding between images.
    pub matrix: &'a Tensor,
}

/// The rows of a layer, mutable.
#[derive(Debug)]
pub struct RowsMut<'a, T> {
    /// The buffer, of which the rows may be a part.
    pub buffer: &'a mut Buffer<T>,
    /// The place of the rows in the buffer.
    pub strided_rows: &'a StridedRows,
    /// The rows as a matrix [positions, channels]. The positions include the padding between images.
    pub matrix: &'a Tensor,
}

/// A buffer that is one matrix [rows, columns], row-major.
#[derive(Debug)]
pub struct Matrix<T> {
    buffer: Buffer<T>,
    strided_rows: StridedRows,
    tensor: Tensor,
    columns: usize,
}

impl<T: Scalar> Buffer<T> {
    /// A handle of all values.
    #[must_use]
    pub fn whole(&self) -> View<'_, T> {
        self.view(0..self.length())
    }

    /// A handle of all values, mutable.
    #[must_use]
    pub fn whole_mut(&mut self) -> ViewMut<'_, T> {
        self.view_mut(0..self.length())
    }

    /// A handle of a range of values.
    #[must_use]
    pub fn view(&self, range: Range<usize>) -> View<'_, T> {
        View::new(self, range)
    }

    /// A handle of a range of values, mutable.
    #[must_use]
    pub fn view_mut(&mut self, range: Range<usize>) -> ViewMut<'_, T> {
        ViewMut::new(self, range)
    }
}

impl<'a, T: Scalar> View<'a, T> {
    fn new(buffer: &'a Buffer<T>, range: Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= buffer.length(), "{range:?} of {}", buffer.length());
        Self { buffer, start: range.start, length: range.len() }
    }

    /// The number of values.
    #[must_use]
    pub fn length(self) -> usize {
        self.length
    }

    /// The handle of a range of these values.
    #[must_use]
    pub fn part(self, range: Range<usize>) -> Self {
        assert!(range.end <= self.length, "{range:?} of {}", self.length);
        Self::new(self.buffer, self.start + range.start..self.start + range.end)
    }

    pub(in crate::kernels) fn slice(self) -> &'a [T] {
        &self.buffer.slice()[self.start..][..self.length]
    }
}

impl<'a, T: Scalar> ViewMut<'a, T> {
    fn new(buffer: &'a mut Buffer<T>, range: Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= buffer.length(), "{range:?} of {}", buffer.length());
        Self { buffer, range }
    }

    /// The number of values.
    #[must_use]
    pub fn length(&self) -> usize {
        self.range.len()
    }

    pub(in crate::kernels) fn into_slice(self) -> &'a mut [T] {
        &mut self.buffer.slice_mut()[self.range]
    }
}

impl<T: Scalar> Matrix<T> {
    /// Zeros.
    ///
    /// # Errors
    /// Memory allocation fails.
    pub fn zeros(rows: usize, columns: usize) -> Result<Self, TchError> {
        let buffer = Buffer::zeros(rows * columns)?;
        let tensor = buffer.matrix(0, rows, columns, columns)?;
        let strided_rows = StridedRows { first: 0, outer: (1, 0), inner: (1, 0), length: rows * columns };
        Ok(Self { buffer, strided_rows, tensor, columns })
    }

    /// The number of columns.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The matrix as a tensor.
    pub fn tensor(&self) -> &Tensor {
        &self.tensor
    }

    /// The buffer.
    #[must_use]
    pub fn buffer(&self) -> &Buffer<T> {
        &self.buffer
    }

    /// The buffer, mutable.
    #[must_use]
    pub fn buffer_mut(&mut self) -> &mut Buffer<T> {
        &mut self.buffer
    }

    /// The rows.
    #[must_use]
    pub fn rows(&self) -> Rows<'_, T> {
        Rows { buffer: &self.buffer, strided_rows: &self.strided_rows, matrix: &self.tensor }
    }

    /// The rows, mutable.
    #[must_use]
    pub fn rows_mut(&mut self) -> RowsMut<'_, T> {
        RowsMut { buffer: &mut self.buffer, strided_rows: &self.strided_rows, matrix: &self.tensor }
    }
}
