//! The weights and biases of a network in one flat [lanes, P] buffer, their gradients in another of the same form.

use std::ops::Range;

use tch::{TchError, Tensor};

use crate::buffer::{Buffer, aligned};
use crate::random::Stream;
use crate::scalar::Scalar;

/// Where one layer's numbers lie within a lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Units of the layer.
    pub rows: usize,
    /// Units it reads.
    pub columns: usize,
    /// Its weights, row after row.
    pub weight: Range<usize>,
    /// Its biases.
    pub bias: Range<usize>,
}

/// One layer's numbers as tensors: views of the flat buffers.
#[derive(Debug)]
pub struct Views {
    /// [out, in].
    pub weight: Tensor,
    /// The same transposed, [in, out].
    pub weight_t: Tensor,
    /// `[out]`.
    pub bias: Tensor,
    /// [out, in].
    pub weight_gradient: Tensor,
}

/// The parameters of a run of layers, and their gradients.
#[derive(Debug)]
pub struct Parameters<T> {
    /// The number of the first layer.
    first: usize,
    slots: Vec<Slot>,
    /// Numbers of one lane, padding included.
    stride: usize,
    values: Buffer<T>,
    gradients: Buffer<T>,
    /// Of the first lane's layers, then of the next lane's.
    views: Vec<Views>,
}

impl<T: Scalar> Parameters<T> {
    /// Zeros for layers `first`, `first + 1`, … of these [out, in] shapes, in so many lanes.
    ///
    /// # Errors
    /// Memory that cannot be had.
    pub fn zeros(lanes: usize, first: usize, shapes: &[(usize, usize)]) -> Result<Self, TchError> {
        let mut slots = Vec::with_capacity(shapes.len());
        let mut end = 0;
        for &(rows, columns) in shapes {
            let weight = end..end + rows * columns;
            let bias = aligned(weight.end)..aligned(weight.end) + rows;
            end = aligned(bias.end);
            slots.push(Slot { rows, columns, weight, bias });
        }
        let (values, gradients) = (Buffer::zeros(lanes * end)?, Buffer::zeros(lanes * end)?);
        let mut views = Vec::with_capacity(lanes * slots.len());
        for start in (0..lanes).map(|lane| lane * end) {
            for slot in &slots {
                let weight = values.matrix(start + slot.weight.start, slot.rows, slot.columns, slot.columns)?;
                views.push(Views {
                    weight_t: weight.f_tr()?,
                    weight,
                    bias: values.vector(start + slot.bias.start, slot.rows)?,
                    weight_gradient: gradients.matrix(
                        start + slot.weight.start,
                        slot.rows,
                        slot.columns,
                        slot.columns,
                    )?,
                });
            }
        }
        Ok(Self { first, slots, stride: end, values, gradients, views })
    }

    /// The layers' numbers, ascending.
    pub fn layers(&self) -> Range<usize> {
        self.first..self.first + self.slots.len()
    }

    /// Where a layer's numbers lie.
    #[must_use]
    pub fn slot(&self, layer: usize) -> &Slot {
        &self.slots[layer - self.first]
    }

    /// A layer of a lane as tensors.
    #[must_use]
    pub fn views(&self, lane: usize, layer: usize) -> &Views {
        &self.views[lane * self.slots.len() + layer - self.first]
    }

    /// Draws a layer's weights from N(0, variance); its biases stay as they are.
    pub fn draw_weights(&mut self, lane: usize, layer: usize, stream: &mut Stream, variance: f64) {
        let weight = self.range(lane, &self.slot(layer).weight);
        T::fill_normal(&mut self.values.slice_mut()[weight], stream, variance.sqrt());
    }

    /// A layer's weights, row after row.
    #[must_use]
    pub fn weight_mut(&mut self, lane: usize, layer: usize) -> &mut [T] {
        let weight = self.range(lane, &self.slot(layer).weight);
        &mut self.values.slice_mut()[weight]
    }

    /// A layer's biases.
    #[must_use]
    pub fn bias_mut(&mut self, lane: usize, layer: usize) -> &mut [T] {
        let bias = self.range(lane, &self.slot(layer).bias);
        &mut self.values.slice_mut()[bias]
    }

    /// A layer's weight gradient, row after row.
    #[must_use]
    pub fn weight_gradient(&self, lane: usize, layer: usize) -> &[T] {
        &self.gradients.slice()[self.range(lane, &self.slot(layer).weight)]
    }

    /// A layer's bias gradient.
    #[must_use]
    pub fn bias_gradient(&self, lane: usize, layer: usize) -> &[T] {
        &self.gradients.slice()[self.range(lane, &self.slot(layer).bias)]
    }

    /// A layer's bias gradient, to be written.
    #[must_use]
    pub fn bias_gradient_mut(&mut self, lane: usize, layer: usize) -> &mut [T] {
        let bias = self.range(lane, &self.slot(layer).bias);
        &mut self.gradients.slice_mut()[bias]
    }

    /// All numbers of a lane and their gradients, padding (which is zero in both) included.
    #[must_use]
    pub fn lane_mut(&mut self, lane: usize) -> (&mut [T], &[T]) {
        let lane = lane * self.stride..(lane + 1) * self.stride;
        (&mut self.values.slice_mut()[lane.clone()], &self.gradients.slice()[lane])
    }

    /// Numbers of one lane, padding included.
    #[must_use]
    pub fn lane_length(&self) -> usize {
        self.stride
    }

    fn range(&self, lane: usize, within: &Range<usize>) -> Range<usize> {
        lane * self.stride + within.start..lane * self.stride + within.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::ALIGNMENT;

    #[test]
    fn every_matrix_and_every_lane_starts_aligned_and_none_overlap() {
        let parameters = Parameters::<f32>::zeros(2, 3, &[(5, 7), (1, 5), (4, 33)]).expect("memory");
        let mut end = 0;
        for layer in parameters.layers() {
            let slot = parameters.slot(layer);
            assert!(slot.weight.start >= end && slot.bias.start >= slot.weight.end);
            assert!([slot.weight.start, slot.bias.start].iter().all(|start| start.is_multiple_of(ALIGNMENT)));
            end = slot.bias.end;
        }
        assert!(parameters.lane_length() >= end && parameters.lane_length().is_multiple_of(ALIGNMENT));
    }

    #[test]
    fn views_are_windows_onto_the_flat_buffer() {
        let mut parameters = Parameters::<f64>::zeros(2, 1, &[(2, 3)]).expect("memory");
        parameters.weight_mut(1, 1).copy_from_slice(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(parameters.views(1, 1).weight_t.double_value(&[2, 1]), 6.0);
        assert_eq!(parameters.views(0, 1).weight.double_value(&[1, 2]), 0.0);
    }
}
