//! The im2col buffer: any matrix, unfolded for a convolution.

use tch::{TchError, Tensor};

use super::kernel_rows;
use crate::architecture::{KERNEL_SIZE, PaddedImageLayout};
use crate::kernels::buffer::Buffer;
use crate::kernels::pool_and_unfold::{PoolAndUnfold, pool_and_unfold};
use crate::kernels::scalar::Scalar;

/// An im2col buffer: a padded matrix [positions, channels], unfolded by one kernel row.
#[derive(Debug)]
pub struct Im2colBuffer<T> {
    buffer: Buffer<T>,
    operations: Vec<PoolAndUnfold>,
    /// [positions, in] for each kernel row, in the order of the weight slices.
    pub matrices: Vec<Tensor>,
}

impl<T: Scalar> Im2colBuffer<T> {
    /// A buffer for `images` images of this layout, with these blocks of channels.
    ///
    /// # Errors
    /// Memory allocation fails.
    pub fn new(layout: PaddedImageLayout, images: usize, blocks: &[usize]) -> Result<Self, TchError> {
        let channels: usize = blocks.iter().sum();
        let stride = KERNEL_SIZE * channels;
        let buffer = Buffer::zeros(layout.allocated(images) * stride)?;
        let mut operations = Vec::with_capacity(blocks.len());
        let mut before = 0;
        for &block in blocks {
            operations.push(PoolAndUnfold {
                images,
                source: layout,
                reader: layout,
                source_columns: (before, channels),
                factor: 1,
                channels: block,
                stride,
                column: KERNEL_SIZE * before,
                is_unfolded: true,
            });
            before += block;
        }
        let matrix = |kernel_row: usize| {
            let start = (layout.padding + kernel_row * layout.row_stride - layout.row_stride) * stride;
            buffer.matrix(start, layout.positions(images), stride, stride)
        };
        let matrices = kernel_rows(KERNEL_SIZE).map(matrix).collect::<Result<_, _>>()?;
        Ok(Self { buffer, operations, matrices })
    }

    /// Fills the buffer from a matrix whose rows hold the blocks side by side and nothing else.
    pub fn fill(&mut self, input: &Buffer<T>) {
        self.operations.iter().for_each(|operation| pool_and_unfold(&mut self.buffer, input, *operation));
    }
}
