//! Pool-and-unfold: the copy of a convolutional layer that its readers read, and the adjoint operation.

use biosweep_numeric::vector::wide;

use crate::architecture::PaddedImageLayout;
use crate::kernels::scalar::Scalar;

/// The shapes of a pool-and-unfold operation.
#[derive(Debug, Clone, Copy)]
pub(super) struct PoolAndUnfold {
    pub(super) images: usize,
    /// The layout of the source layer.
    pub(super) source: PaddedImageLayout,
    /// The layout of the reader.
    pub(super) reader: PaddedImageLayout,
    /// The first column of the source, and its row stride.
    pub(super) source_columns: (usize, usize),
    /// The pooling factor in either direction.
    pub(super) factor: usize,
    pub(super) channels: usize,
    /// The row stride of the copy.
    pub(super) stride: usize,
    /// The first column of the layer in the copy.
    pub(super) column: usize,
    /// Whether each row of the copy also holds the left and right neighbours. Without them the copy is the mean over all
    /// positions of an image.
    pub(super) is_unfolded: bool,
}

impl PoolAndUnfold {
    /// Whether every position of the source is pooled into some position of the reader.
    pub(super) fn covers_source(self) -> bool {
        let (height, width) = (self.source.height, self.source.width);
        !self.is_unfolded || (height.is_multiple_of(self.factor) && width.is_multiple_of(self.factor))
    }
}

wide! {
    /// The mean over squares of `factor` · `factor` positions, with the left and right neighbours of each; or the mean
    /// over all positions.
    pub(super) fn pool_and_unfold<T: Scalar>(copy: &mut [T], source: &[T], operation: PoolAndUnfold) {
        let PoolAndUnfold { images, source: from, reader: to, factor, channels, stride, column, is_unfolded, .. } =
            operation;
        let (first, source_stride) = operation.source_columns;
        if !is_unfolded {
            let share = T::from_f64(1.0 / (from.height * from.width) as f64);
            for image in 0..images {
                let mean = &mut copy[image * stride + column..][..channels];
                mean.fill(T::default());
                for y in 0..from.height {
                    let row = from.row(image, y);
                    for position in row..row + from.width {
                        let position = &source[position * source_stride + first..][..channels];
                        mean.iter_mut().zip(position).for_each(|(mean, &h)| *mean += h);
                    }
                }
                mean.iter_mut().for_each(|mean| *mean = *mean * share);
            }
            return;
        }
        let share = T::from_f64(1.0 / (factor * factor) as f64);
        for image in 0..images {
            for y in 0..to.height {
                for x in 0..to.width {
                    let position = to.row(image, y) + x;
                    let middle = position * stride + column + channels;
                    let pooled = &mut copy[middle..][..channels];
                    let corner = from.row(image, y * factor) + x * factor;
                    pooled.copy_from_slice(&source[corner * source_stride + first..][..channels]);
                    if factor > 1 {
                        for offset in 1..factor * factor {
                            let other = corner + offset / factor * from.row_stride + offset % factor;
                            let other = &source[other * source_stride + first..][..channels];
                            pooled.iter_mut().zip(other).for_each(|(pooled, &h)| *pooled += h);
                        }
                        pooled.iter_mut().for_each(|pooled| *pooled = *pooled * share);
                    }
                    // This position is the left neighbour of the next one and the right neighbour of the previous one.
                    copy.copy_within(middle..middle + channels, middle + stride - channels);
                    copy.copy_within(middle..middle + channels, middle - stride + channels);
                }
            }
        }
    }
}

wide! {
    /// The adjoint of [`pool_and_unfold`]. The first contribution overwrites the source; later ones are added.
    pub(super) fn pool_and_unfold_adjoint<T: Scalar>(
        source: &mut [T],
        copy: &[T],
        operation: PoolAndUnfold,
        is_first: bool,
    ) {
        let PoolAndUnfold { images, source: to, reader: from, factor, channels, stride, column, is_unfolded, .. } =
            operation;
        if !is_unfolded {
            let share = T::from_f64(1.0 / (to.height * to.width) as f64);
            for image in 0..images {
                let mean = &copy[image * stride + column..][..channels];
                for y in 0..to.height {
                    let row = &mut source[to.row(image, y) * channels..][..to.width * channels];
                    for position in row.chunks_exact_mut(channels) {
                        if is_first {
                            position.iter_mut().zip(mean).for_each(|(value, &mean)| *value = mean * share);
                        } else {
                            position.iter_mut().zip(mean).for_each(|(value, &mean)| *value += mean * share);
                        }
                    }
                }
            }
            return;
        }
        let share = T::from_f64(1.0 / (factor * factor) as f64);
        for image in 0..images {
            for y in 0..from.height {
                for x in 0..from.width {
                    let middle = (from.row(image, y) + x) * stride + column + channels;
                    let middles = &copy[middle..][..channels];
                    let after = &copy[middle + stride - channels..][..channels];
                    let before = &copy[middle - stride + channels..][..channels];
                    for offset in 0..factor * factor {
                        let row = to.row(image, y * factor + offset / factor);
                        let values = &mut source[(row + x * factor + offset % factor) * channels..][..channels];
                        let sums = middles.iter().zip(after).zip(before).map(|((&m, &a), &b)| (m + a + b) * share);
                        if is_first {
                            values.iter_mut().zip(sums).for_each(|(value, sum)| *value = sum);
                        } else {
                            values.iter_mut().zip(sums).for_each(|(value, sum)| *value += sum);
                        }
                    }
                }
            }
        }
    }
}
