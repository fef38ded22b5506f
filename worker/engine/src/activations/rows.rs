//! Kernels over rows of channels: copy, and upsample-add.

use biosweep_numeric::vector::wide;

use crate::architecture::PaddedImageLayout;
use crate::kernels::scalar::Scalar;

/// The rows to copy. `output` and `input` are each (first column, row stride), counted from the first allocated position.
#[derive(Clone, Copy)]
pub(super) struct RowCopy {
    pub(super) layout: PaddedImageLayout,
    pub(super) channels: usize,
    pub(super) output: (usize, usize),
    pub(super) input: (usize, usize),
}

wide! {
    /// Copies the channels of all positions.
    pub(super) fn copy_rows<T: Scalar>(output: &mut [T], input: &[T], rows: RowCopy) {
        let RowCopy { layout, channels, .. } = rows;
        let ((output_first, output_stride), (input_first, input_stride)) = (rows.output, rows.input);
        let images = (output.len() / output_stride - 2 * layout.padding) / layout.image_stride;
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

/// The shapes of an upsample-add: the output at the higher resolution, the input at the lower one.
#[derive(Clone, Copy)]
pub(super) struct UpsampleAdd {
    pub(super) images: usize,
    pub(super) output: PaddedImageLayout,
    pub(super) output_column: usize,
    pub(super) output_stride: usize,
    pub(super) input: PaddedImageLayout,
    pub(super) input_column: usize,
    pub(super) input_stride: usize,
    pub(super) channels: usize,
}

wide! {
    /// output += scale · upsample(input), by the nearest position.
    pub(super) fn add_upsampled<T: Scalar>(output: &mut [T], input: &[T], upsample: UpsampleAdd, scale: T) {
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
