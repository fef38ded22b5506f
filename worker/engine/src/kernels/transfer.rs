//! Values that enter and leave buffers: constants, random draws, batches of images, and copies from and to the host.

use biosweep_data::{Dataset, Part};
use biosweep_numeric::random::Stream;

use super::buffer::Buffer;
use super::handles::{Rows, View, ViewMut};
use super::scalar::Scalar;

/// values ← value.
pub fn fill<T: Scalar>(values: ViewMut<'_, T>, value: T) {
    values.into_slice().fill(value);
}

/// values ← N(0, std²), drawn in memory order.
pub fn draw_normal<T: Scalar>(values: ViewMut<'_, T>, stream: &mut Stream, std: f64) {
    T::fill_normal(values.into_slice(), stream, std);
}

/// images ← the images of these indices, and labels ← their labels. Fewer indices than images leave the rest as it is.
pub fn load_batch<T: Scalar>(images: &mut Buffer<T>, labels: &mut [i64], data: &Dataset, part: Part, indices: &[u32]) {
    let pixels = &mut images.slice_mut()[..indices.len() * data.image().units()];
    data.gather(part, indices, pixels, &mut labels[..indices.len()]);
}

/// values ← host.
///
/// # Panics
/// The numbers of values differ.
pub fn copy_from_host<T: Scalar>(values: ViewMut<'_, T>, host: &[T]) {
    values.into_slice().copy_from_slice(host);
}

/// `values[index]` ← host, for each pair.
pub fn scatter_from_host<T: Scalar>(values: ViewMut<'_, T>, indices: &[usize], host: &[T]) {
    let values = values.into_slice();
    indices.iter().zip(host).for_each(|(&index, &value)| values[index] = value);
}

/// The values.
#[must_use]
pub fn copy_to_host<T: Scalar>(values: View<'_, T>) -> Vec<T> {
    values.slice().to_vec()
}

/// `values[index]` for each index.
#[must_use]
pub fn gather_to_host<T: Scalar>(values: View<'_, T>, indices: &[usize]) -> Vec<T> {
    let values = values.slice();
    indices.iter().map(|&index| values[index]).collect()
}

/// The values of all rows, row after row.
#[must_use]
pub fn copy_rows_to_host<T: Scalar>(rows: Rows<'_, T>) -> Vec<T> {
    let (values, length) = (rows.buffer.slice(), rows.strided_rows.length);
    rows.strided_rows.starts().flat_map(|start| &values[start..start + length]).copied().collect()
}
