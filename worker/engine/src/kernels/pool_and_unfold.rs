//! What a convolution reads: unfolded images, and pooled and unfolded copies of other layers; and the adjoint operation.

use biosweep_numeric::vector::wide;

use super::buffer::Buffer;
use super::linear::WriteMode;
use super::scalar::Scalar;
use crate::architecture::{KERNEL_SIZE, PaddedImageLayout};

/// The shapes of a pool-and-unfold operation.
#[derive(Debug, Clone, Copy)]
pub struct PoolAndUnfold {
    /// Images in the batch.
    pub images: usize,
    /// The layout of the source layer.
    pub source: PaddedImageLayout,
    /// The layout of the reader.
    pub reader: PaddedImageLayout,
    /// The first column of the source, and its row stride.
    pub source_columns: (usize, usize),
    /// The pooling factor in either direction.
    pub factor: usize,
    /// The channels of the source.
    pub channels: usize,
    /// The row stride of the copy.
    pub stride: usize,
    /// The first column of the layer in the copy.
    pub column: usize,
    /// Whether each row of the copy also holds the left and right neighbours. Without them the copy is the mean over all
    /// positions of an image.
    pub is_unfolded: bool,
}

impl PoolAndUnfold {
    /// Whether every position of the source is pooled into some position of the reader.
    fn covers_source(self) -> bool {
        let (height, width) = (self.source.height, self.source.width);
        !self.is_unfolded || (height.is_multiple_of(self.factor) && width.is_multiple_of(self.factor))
    }
}

/// Im2col of images: for each position, all values under a 3×3 kernel, in the order row, column, channel. Values
/// outside the image stay zero, because nothing writes to them.
pub fn unfold<T: Scalar>(unfolded: &mut Buffer<T>, images: &Buffer<T>, layout: PaddedImageLayout, channels: usize) {
    unfold_slice(unfolded.slice_mut(), images.slice(), layout, channels);
}

/// copy ← the mean over squares of `factor` · `factor` positions, with the left and right neighbours of each; or the
/// mean over all positions.
pub fn pool_and_unfold<T: Scalar>(copy: &mut Buffer<T>, source: &Buffer<T>, operation: PoolAndUnfold) {
    pool_and_unfold_slice(copy.slice_mut(), source.slice(), operation);
}

/// The adjoint of [`pool_and_unfold`]: source ← the contributions of the copy, or source += these.
pub fn pool_and_unfold_adjoint<T: Scalar>(
    mode: WriteMode,
    source: &mut Buffer<T>,
    copy: &Buffer<T>,
    operation: PoolAndUnfold,
) {
    let source = source.slice_mut();
    let mut is_first = mode == WriteMode::Overwrite;
    if is_first && !operation.covers_source() {
        source.fill(T::default());
        is_first = false;
    }
    adjoint_slice(source, copy.slice(), operation, is_first);
}

wide! {
    fn pool_and_unfold_slice<T: Scalar>(copy: &mut [T], source: &[T], operation: PoolAndUnfold) {
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
    fn adjoint_slice<T: Scalar>(source: &mut [T], copy: &[T], operation: PoolAndUnfold, is_first: bool) {
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

wide! {
    fn unfold_slice<T: Scalar>(unfolded: &mut [T], images: &[T], layout: PaddedImageLayout, channels: usize) {
        let (height, width, row) = (layout.height, layout.width, KERNEL_SIZE * KERNEL_SIZE * channels);
        let of_image = images.chunks_exact(channels * height * width).enumerate();
        for (image, pixels) in of_image {
            let first = image * layout.image_stride;
            for (channel, pixels) in pixels.chunks_exact(height * width).enumerate() {
                for offset in 0..KERNEL_SIZE * KERNEL_SIZE {
                    let (down, right) = (offset / KERNEL_SIZE, offset % KERNEL_SIZE);
                    // Position (y, x) has pixel (y + down − 1, x + right − 1) at this offset of the kernel.
                    for y in usize::from(down == 0)..height - usize::from(down == 2) {
                        let from = usize::from(right == 0);
                        let to = width - usize::from(right == 2);
                        let pixels = &pixels[(y + down - 1) * width..][..width];
                        let mut index = (first + y * layout.row_stride + from) * row + offset * channels + channel;
                        for &pixel in &pixels[from + right - 1..to + right - 1] {
                            unfolded[index] = pixel;
                            index += row;
                        }
                    }
                }
            }
        }
    }
}
