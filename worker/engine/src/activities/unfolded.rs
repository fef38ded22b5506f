//! Any matrix as a convolution reads it.

use tch::{TchError, Tensor};

use super::shifts;
use super::sight::{Sight, see};
use crate::buffer::Buffer;
use crate::scalar::Scalar;
use crate::wiring::{Frame, TAPS};

/// A framed matrix [positions, channels] as a convolution reads it: unfolded by one row of the kernel.
#[derive(Debug)]
pub struct Unfolded<T> {
    buffer: Buffer<T>,
    sights: Vec<Sight>,
    /// [positions, in] for each row of the kernel, in the order of the weights.
    pub matrices: Vec<Tensor>,
}

impl<T: Scalar> Unfolded<T> {
    /// Room for so many images in a frame, of these blocks of channels.
    ///
    /// # Errors
    /// Memory that cannot be had.
    pub fn new(frame: Frame, images: usize, blocks: &[usize]) -> Result<Self, TchError> {
        let channels: usize = blocks.iter().sum();
        let stride = TAPS * channels;
        let buffer = Buffer::zeros(frame.allocated(images) * stride)?;
        let mut sights = Vec::with_capacity(blocks.len());
        let mut before = 0;
        for &block in blocks {
            sights.push(Sight {
                images,
                own: frame,
                seen: frame,
                from: (before, channels),
                factor: 1,
                channels: block,
                stride,
                column: TAPS * before,
                is_unfolded: true,
            });
            before += block;
        }
        let matrix = |shift: usize| {
            let start = (frame.guard + shift * frame.pitch - frame.pitch) * stride;
            buffer.matrix(start, frame.positions(images), stride, stride)
        };
        let matrices = shifts(TAPS).map(matrix).collect::<Result<_, _>>()?;
        Ok(Self { buffer, sights, matrices })
    }

    /// Unfolds a matrix whose rows hold the blocks side by side and nothing else.
    pub fn look(&mut self, from: &[T]) {
        self.sights.iter().for_each(|sight| see(self.buffer.slice_mut(), from, *sight));
    }
}
