//! Operations on rows: concatenate, upsample-add, copy, add noise, subtract, combine, squared error, clear padding.

use biosweep_numeric::vector::wide;

use super::buffer::Buffer;
use super::handles::{Rows, RowsMut, View};
use super::scalar::Scalar;
use crate::architecture::{PaddedImageLayout, StridedRows};

/// The channels to copy. `output` and `input` are each (first column, row stride), counted from the first allocated
/// position.
#[derive(Debug, Clone, Copy)]
pub struct ChannelCopy {
    /// Images in the batch.
    pub images: usize,
    /// The layout of both.
    pub layout: PaddedImageLayout,
    /// The number of channels.
    pub channels: usize,
    /// The columns of the output.
    pub output: (usize, usize),
    /// The columns of the input.
    pub input: (usize, usize),
}

/// The shapes of an upsample-add: the output at the higher resolution, the input at the lower one.
#[derive(Debug, Clone, Copy)]
pub struct UpsampleAdd {
    /// Images in the batch.
    pub images: usize,
    /// The layout of the output.
    pub output: PaddedImageLayout,
    /// The first column of the output.
    pub output_column: usize,
    /// The row stride of the output.
    pub output_stride: usize,
    /// The layout of the input.
    pub input: PaddedImageLayout,
    /// The first column of the input.
    pub input_column: usize,
    /// The row stride of the input.
    pub input_stride: usize,
    /// The number of channels.
    pub channels: usize,
}

/// output ← input, for the channels of all positions. One copy for each source concatenates the sources.
pub fn copy_channels<T: Scalar>(output: &mut Buffer<T>, input: &Buffer<T>, copy: ChannelCopy) {
    copy_channels_slice(output.slice_mut(), input.slice(), copy);
}

/// output += scale · upsample(input), by the nearest position.
pub fn upsample_add<T: Scalar>(output: &mut Buffer<T>, input: &Buffer<T>, upsample: UpsampleAdd, scale: T) {
    upsample_add_slice(output.slice_mut(), input.slice(), upsample, scale);
}

/// output ← input. Both have the same rows.
pub fn copy<T: Scalar>(output: RowsMut<'_, T>, input: Rows<'_, T>) {
    assert_eq!(output.strided_rows, input.strided_rows, "the rows of the output and of the input");
    copy_slice(output.buffer.slice_mut(), input.buffer.slice(), output.strided_rows);
}

/// h ← h + std · noise. The noise has no gaps between rows.
pub fn add_noise<T: Scalar>(hidden: RowsMut<'_, T>, noise: View<'_, T>, std: T) {
    add_noise_slice(hidden.buffer.slice_mut(), noise.slice(), hidden.strided_rows, std);
}

/// values ← minuend − values. Both have the same rows.
pub fn subtract_from<T: Scalar>(values: RowsMut<'_, T>, minuend: Rows<'_, T>) {
    assert_eq!(values.strided_rows, minuend.strided_rows, "the rows of both operands");
    subtract_slice(values.buffer.slice_mut(), minuend.buffer.slice(), values.strided_rows);
}

/// output ← a · left + b · right. All have the same rows.
pub fn combine<T: Scalar>(output: RowsMut<'_, T>, (a, left): (T, Rows<'_, T>), (b, right): (T, Rows<'_, T>)) {
    let strided_rows = output.strided_rows;
    assert_eq!((strided_rows, strided_rows), (left.strided_rows, right.strided_rows), "the rows of all operands");
    let (left, right) = (left.buffer.slice(), right.buffer.slice());
    combine_slice(output.buffer.slice_mut(), (a, left), (b, right), strided_rows);
}

/// values ← values + factor · (left − right). All have the same rows.
pub fn add_difference<T: Scalar>(values: RowsMut<'_, T>, factor: T, left: Rows<'_, T>, right: Rows<'_, T>) {
    let strided_rows = values.strided_rows;
    assert_eq!((strided_rows, strided_rows), (left.strided_rows, right.strided_rows), "the rows of all operands");
    add_difference_slice(values.buffer.slice_mut(), factor, left.buffer.slice(), right.buffer.slice(), strided_rows);
}

/// values ← values + share · (goal − values). Both have the same rows.
pub fn approach<T: Scalar>(values: RowsMut<'_, T>, share: T, goal: Rows<'_, T>) {
    assert_eq!(values.strided_rows, goal.strided_rows, "the rows of both operands");
    approach_slice(values.buffer.slice_mut(), share, goal.buffer.slice(), values.strided_rows);
}

/// Σ (left − right)². Both have the same rows.
#[must_use]
pub fn squared_error<T: Scalar>(left: Rows<'_, T>, right: Rows<'_, T>) -> f64 {
    assert_eq!(left.strided_rows, right.strided_rows, "the rows of both operands");
    let (left_values, right_values) = (left.buffer.slice(), right.buffer.slice());
    let of_row = |start: usize| {
        let row = start..start + left.strided_rows.length;
        let pairs = left_values[row.clone()].iter().zip(&right_values[row]);
        pairs.map(|(&left, &right)| (left - right).to_f64() * (left - right).to_f64()).sum::<f64>()
    };
    left.strided_rows.starts().map(of_row).sum()
}

/// Sets the padding between and after the rows of images to zero. The matrix has `width` columns.
pub fn clear_padding<T: Scalar>(values: &mut Buffer<T>, layout: PaddedImageLayout, images: usize, width: usize) {
    clear_padding_slice(values.slice_mut(), layout, images, width);
}

wide! {
    fn copy_channels_slice<T: Scalar>(output: &mut [T], input: &[T], copy: ChannelCopy) {
        let ChannelCopy { images, layout, channels, .. } = copy;
        let ((output_first, output_stride), (input_first, input_stride)) = (copy.output, copy.input);
        for image in 0..images {
            for y in 0..layout.height {
                for position in layout.row(image, y)..layout.row(image, y) + layout.width {
                    let output = &mut output[position * output_stride + output_first..][..channels];
                    output.copy_from_slice(&input[position * input_stride + input_first..][..channels]);
                }
            }
        }
    }
}

wide! {
    fn upsample_add_slice<T: Scalar>(output: &mut [T], input: &[T], upsample: UpsampleAdd, scale: T) {
        let UpsampleAdd { images, output: high, output_column, output_stride, channels, .. } = upsample;
        let UpsampleAdd { input: low, input_column, input_stride, .. } = upsample;
        for image in 0..images {
            for y in 0..high.height {
                let row = low.row(image, y * low.height / high.height);
                for x in 0..high.width {
                    let position = row + x * low.width / high.width;
                    let input = &input[position * input_stride + input_column..][..channels];
                    let output = &mut output[(high.row(image, y) + x) * output_stride + output_column..][..channels];
                    output.iter_mut().zip(input).for_each(|(output, &input)| *output += scale * input);
                }
            }
        }
    }
}

wide! {
    fn copy_slice<T: Scalar>(output: &mut [T], input: &[T], strided_rows: &StridedRows) {
        for start in strided_rows.starts() {
            let row = start..start + strided_rows.length;
            output[row.clone()].copy_from_slice(&input[row]);
        }
    }
}

wide! {
    fn add_noise_slice<T: Scalar>(hidden: &mut [T], noise: &[T], strided_rows: &StridedRows, std: T) {
        for (start, noise) in strided_rows.starts().zip(noise.chunks_exact(strided_rows.length)) {
            hidden[start..start + strided_rows.length].iter_mut().zip(noise).for_each(|(h, &noise)| *h += std * noise);
        }
    }
}

wide! {
    fn subtract_slice<T: Scalar>(values: &mut [T], minuend: &[T], strided_rows: &StridedRows) {
        for start in strided_rows.starts() {
            let row = start..start + strided_rows.length;
            values[row.clone()].iter_mut().zip(&minuend[row]).for_each(|(value, &minuend)| *value = minuend - *value);
        }
    }
}

wide! {
    fn combine_slice<T: Scalar>(output: &mut [T], (a, left): (T, &[T]), (b, right): (T, &[T]), strided_rows: &StridedRows) {
        for start in strided_rows.starts() {
            let row = start..start + strided_rows.length;
            let pairs = left[row.clone()].iter().zip(&right[row.clone()]);
            output[row].iter_mut().zip(pairs).for_each(|(output, (&left, &right))| *output = a * left + b * right);
        }
    }
}

wide! {
    fn add_difference_slice<T: Scalar>(values: &mut [T], factor: T, left: &[T], right: &[T], strided_rows: &StridedRows) {
        for start in strided_rows.starts() {
            let row = start..start + strided_rows.length;
            let pairs = left[row.clone()].iter().zip(&right[row.clone()]);
            values[row].iter_mut().zip(pairs).for_each(|(value, (&left, &right))| *value += factor * (left - right));
        }
    }
}

wide! {
    fn approach_slice<T: Scalar>(values: &mut [T], share: T, goal: &[T], strided_rows: &StridedRows) {
        for start in strided_rows.starts() {
            let row = start..start + strided_rows.length;
            values[row.clone()].iter_mut().zip(&goal[row]).for_each(|(value, &goal)| *value += share * (goal - *value));
        }
    }
}

wide! {
    fn clear_padding_slice<T: Scalar>(values: &mut [T], layout: PaddedImageLayout, images: usize, width: usize) {
        let zero = T::default();
        for image in 0..images {
            for y in 0..layout.height {
                let end = (layout.row(image, y) + layout.width) * width;
                values[end..end + (layout.row_stride - layout.width) * width].fill(zero);
            }
            let last = layout.row(image, layout.height) * width;
            values[last..last + layout.row_stride * width].fill(zero);
        }
    }
}
