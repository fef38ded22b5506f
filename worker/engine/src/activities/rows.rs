//! Rows of numbers that are copied, or added, to where others lie.

use biosweep_numeric::vector::wide;

use crate::scalar::Scalar;
use crate::wiring::Frame;

/// Rows of numbers in two places; `(first, stride)` each, counted from the first allocated position.
#[derive(Clone, Copy)]
pub(super) struct Rows {
    pub(super) frame: Frame,
    pub(super) channels: usize,
    pub(super) to: (usize, usize),
    pub(super) from: (usize, usize),
}

wide! {
    pub(super) fn copy_rows<T: Scalar>(to: &mut [T], from: &[T], rows: Rows) {
        let Rows { frame, channels, to: (to_first, to_stride), from: (from_first, from_stride) } = rows;
        let images = (to.len() / to_stride - 2 * frame.guard) / frame.image;
        for image in 0..images {
            for y in 0..frame.height {
                for position in frame.row(image, y)..frame.row(image, y) + frame.width {
                    let to = &mut to[position * to_stride + to_first..][..channels];
                    to.copy_from_slice(&from[position * from_stride + from_first..][..channels]);
                }
            }
        }
    }
}

#[derive(Clone, Copy)]
pub(super) struct Spread {
    pub(super) images: usize,
    pub(super) own: Frame,
    pub(super) own_column: usize,
    pub(super) own_stride: usize,
    pub(super) from: Frame,
    pub(super) column: usize,
    pub(super) stride: usize,
    pub(super) channels: usize,
}

wide! {
    pub(super) fn add_spread<T: Scalar>(own: &mut [T], from: &[T], spread: Spread, scale: T) {
        let Spread { images, own: to, own_column, own_stride, from: low, column, stride, channels } = spread;
        for image in 0..images {
            for y in 0..to.height {
                let row = low.row(image, y * low.height / to.height);
                for x in 0..to.width {
                    let position = row + x * low.width / to.width;
                    let from = &from[position * stride + column..][..channels];
                    let own = &mut own[(to.row(image, y) + x) * own_stride + own_column..][..channels];
                    own.iter_mut().zip(from).for_each(|(own, &from)| *own += scale * from);
                }
            }
        }
    }
}
