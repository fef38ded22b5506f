//! A buffer: flat memory as tensors, and as a slice inside kernels. This is the only file with `unsafe` for memory.
//!
//! Matrix products run over tensors that are views of the memory. Fused loops run over a slice of the same memory. The
//! memory belongs to a libtorch CPU tensor, which is aligned to 64 bytes.
//!
//! No other module than `kernels` can take a slice. A kernel ends its slices before libtorch writes to the same memory,
//! so no slice is alive beside such a write.
#![expect(unsafe_code, reason = "a slice over the memory of a tensor, checked once where the tensor is made")]

use std::marker::PhantomData;

use tch::{Device, Tensor};

use super::scalar::Scalar;

/// The alignment of every matrix, in values: 64 bytes of float32. Equal alignment is one condition for equal sums to
/// the last bit, at any position in a buffer.
pub const ALIGNMENT: usize = 16;

/// A flat buffer of values, initially zero.
#[derive(Debug)]
pub struct Buffer<T> {
    tensor: Tensor,
    length: usize,
    scalar: PhantomData<T>,
}

impl<T: Scalar> Buffer<T> {
    /// A buffer of `length` zeros.
    ///
    /// # Errors
    /// Memory allocation fails, or libtorch aligns the memory to less than 64 bytes. Curves would then depend on the address.
    pub fn zeros(length: usize) -> Result<Self, tch::TchError> {
        // An empty tensor has no address, and a slice needs one.
        let tensor = Tensor::f_zeros([length.max(1) as i64], (T::KIND, Device::Cpu))?;
        let address = tensor.data_ptr() as usize;
        if !address.is_multiple_of(64) {
            let what =
                format!("a tensor is at address {address:#x}, not at a multiple of 64; use libtorch's own allocator");
            return Err(tch::TchError::Torch(what));
        }
        Ok(Self { tensor, length, scalar: PhantomData })
    }

    /// The number of values.
    #[must_use]
    pub fn length(&self) -> usize {
        self.length
    }

    /// All values, for a kernel.
    pub(in crate::kernels) fn slice(&self) -> &[T] {
        // SAFETY: the tensor is a contiguous CPU tensor of at least `length` numbers of kind `T::KIND`, whose memory lives as
        // long as `self`; its views are written to by tensor operations only, which run to their end on this thread, and
        // no kernel runs one while it holds a slice of the memory that the operation writes to.
        unsafe { std::slice::from_raw_parts(self.tensor.data_ptr().cast::<T>(), self.length) }
    }

    /// All values, mutable, for a kernel.
    pub(in crate::kernels) fn slice_mut(&mut self) -> &mut [T] {
        // SAFETY: as for `slice`; `self` is borrowed mutably, so this is the only slice.
        unsafe { std::slice::from_raw_parts_mut(self.tensor.data_ptr().cast::<T>(), self.length) }
    }

    /// A matrix view: element (i, j) is value `start + i · stride + j`.
    ///
    /// # Errors
    /// The matrix does not fit into the buffer.
    pub fn matrix(&self, start: usize, rows: usize, columns: usize, stride: usize) -> Result<Tensor, tch::TchError> {
        self.tensor.f_as_strided([rows as i64, columns as i64], [stride as i64, 1], start as i64)
    }

    /// The inverse of [`Buffer::matrix`]: the start, the rows, the columns and the stride of a view.
    ///
    /// # Panics
    /// The tensor is not a matrix in this buffer.
    pub(in crate::kernels) fn place_of(&self, matrix: &Tensor) -> (usize, usize, usize, usize) {
        let (sizes, strides) = (matrix.size(), matrix.stride());
        let (&[rows, columns], &[stride, 1]) = (sizes.as_slice(), strides.as_slice()) else {
            panic!("a view of sizes {sizes:?} and strides {strides:?} is no matrix of whole rows");
        };
        let bytes = (matrix.data_ptr() as usize).wrapping_sub(self.tensor.data_ptr() as usize);
        let (start, rows, columns, stride) = (bytes / size_of::<T>(), rows as usize, columns as usize, stride as usize);
        let end = start + rows.saturating_sub(1) * stride + columns;
        assert!(end <= self.length, "a matrix that ends at {end} in a buffer of {}", self.length);
        (start, rows, columns, stride)
    }
}

/// The next aligned length: the next index at which a matrix may start.
#[must_use]
pub const fn aligned(length: usize) -> usize {
    length.next_multiple_of(ALIGNMENT)
}
