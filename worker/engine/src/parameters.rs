//! The weights and biases of a network in one flat [lanes, P] buffer, and the gradients of the lane that learns.

use std::ops::Range;

use tch::{TchError, Tensor};

use crate::buffer::{Buffer, aligned};
use crate::scalar::Scalar;
use crate::wiring::Reads;

/// What a layer's weights are made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// What its units read: the rows of its weight matrix [in, out].
    pub reads: Reads,
    /// Its units, or channels.
    pub outputs: usize,
    /// The rows that belong together, in the order in which what they read is at hand.
    pub parts: Vec<Range<usize>>,
    /// How the matrix lies in memory.
    pub layout: Layout,
}

/// How a weight matrix lies in memory. A product is faster with a matrix as it lies than with its transpose, by up to a
/// fifth: weights that carry activities forward are best stored with their inputs first, feedback that carries errors
/// back with its outputs first, and a matrix with few outputs likewise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// [in, out], row after row.
    InputsFirst,
    /// [out, in], row after row.
    OutputsFirst,
}

/// Where one layer's numbers lie within a lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// What the weights are made of.
    pub form: Form,
    /// Its weights.
    pub weight: Range<usize>,
    /// Its biases.
    pub bias: Range<usize>,
}

/// One part of a layer's weights as tensors: views of the flat buffers.
#[derive(Debug)]
pub struct Part {
    /// [in, out].
    pub weight: Tensor,
    /// The same transposed, [out, in].
    pub transposed: Tensor,
    /// [in, out].
    pub gradient: Tensor,
}

/// The parameters of a run of layers in all lanes. Lanes learn one after another, so that one set of gradients will do.
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
    parts: Vec<Vec<Part>>,
}

impl Layout {
    /// The layout for weights that carry activities forward to so many units.
    #[must_use]
    pub fn forward(outputs: usize) -> Self {
        if outputs < 16 { Self::OutputsFirst } else { Self::InputsFirst }
    }
}

impl Slot {
    /// The place of a weight among those of the layer.
    fn place(&self, input: usize, output: usize) -> usize {
        match self.form.layout {
            Layout::InputsFirst => input * self.form.outputs + output,
            Layout::OutputsFirst => output * self.form.reads.fan_in() + input,
        }
    }

    /// The places of all weights in the order [out, channel, kernel row, kernel column].
    fn places(&self) -> impl Iterator<Item = usize> + '_ {
        let Form { reads, outputs, .. } = &self.form;
        let taps = reads.taps;
        (0..*outputs).flat_map(move |output| {
            let of_channel = move |channel| {
                (0..taps * taps).map(move |tap| self.place(reads.row(channel, tap / taps, tap % taps), output))
            };
            (0..reads.channels()).flat_map(of_channel)
        })
    }
}

impl<T: Scalar> Parameters<T> {
    /// Zeros for layers `first`, `first + 1`, … of these forms, in so many lanes.
    ///
    /// # Errors
    /// Memory that cannot be had.
    pub fn zeros(lanes: usize, first: usize, forms: Vec<Form>) -> Result<Self, TchError> {
        let mut slots = Vec::with_capacity(forms.len());
        let mut end = 0;
        for form in forms {
            let weight = end..end + form.reads.fan_in() * form.outputs;
            let bias = aligned(weight.end)..aligned(weight.end) + form.outputs;
            end = aligned(bias.end);
            slots.push(Slot { form, weight, bias });
        }
        let (values, gradients) = (Buffer::zeros(lanes * end)?, Buffer::zeros(end)?);
        let mut parts = Vec::with_capacity(lanes * slots.len());
        for start in (0..lanes).map(|lane| lane * end) {
            for slot in &slots {
                parts.push(of_slot(slot, start, &values, &gradients)?);
            }
        }
        Ok(Self { first, slots, stride: end, values, gradients, parts })
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

    /// A layer's weights in a lane as tensors.
    #[must_use]
    pub fn parts(&self, lane: usize, layer: usize) -> &[Part] {
        &self.parts[lane * self.slots.len() + layer - self.first]
    }

    /// A layer's weights, in the order [out, channel, kernel row, kernel column].
    #[must_use]
    pub fn weight(&self, lane: usize, layer: usize) -> Vec<T> {
        self.ordered(lane, layer, self.values.slice())
    }

    /// A layer's weight gradient, in the same order.
    #[must_use]
    pub fn weight_gradient(&self, layer: usize) -> Vec<T> {
        self.ordered(0, layer, self.gradients.slice())
    }

    /// Sets a layer's weights, given in the same order.
    ///
    /// # Panics
    /// Where there are not as many as the layer has.
    pub fn set_weight(&mut self, lane: usize, layer: usize, numbers: &[T]) {
        let slot = &self.slots[layer - self.first];
        assert_eq!(numbers.len(), slot.weight.len(), "the weights of layer {layer}");
        let start = lane * self.stride + slot.weight.start;
        let values = self.values.slice_mut();
        slot.places().zip(numbers).for_each(|(place, &number)| values[start + place] = number);
    }

    fn ordered(&self, lane: usize, layer: usize, numbers: &[T]) -> Vec<T> {
        let slot = self.slot(layer);
        let start = lane * self.stride + slot.weight.start;
        slot.places().map(|place| numbers[start + place]).collect()
    }

    /// A layer's weights as they lie in memory.
    #[must_use]
    pub fn weight_slice(&self, lane: usize, layer: usize) -> &[T] {
        &self.values.slice()[self.range(lane, &self.slot(layer).weight)]
    }

    /// The same, to be changed.
    #[must_use]
    pub fn weight_slice_mut(&mut self, lane: usize, layer: usize) -> &mut [T] {
        let weight = self.range(lane, &self.slot(layer).weight);
        &mut self.values.slice_mut()[weight]
    }

    /// A layer's biases.
    #[must_use]
    pub fn bias(&self, lane: usize, layer: usize) -> &[T] {
        &self.values.slice()[self.range(lane, &self.slot(layer).bias)]
    }

    /// The same, to be changed.
    #[must_use]
    pub fn bias_mut(&mut self, lane: usize, layer: usize) -> &mut [T] {
        let bias = self.range(lane, &self.slot(layer).bias);
        &mut self.values.slice_mut()[bias]
    }

    /// A layer's bias gradient.
    #[must_use]
    pub fn bias_gradient(&self, layer: usize) -> &[T] {
        &self.gradients.slice()[self.slot(layer).bias.clone()]
    }

    /// The same, to be changed.
    #[must_use]
    pub fn bias_gradient_mut(&mut self, layer: usize) -> &mut [T] {
        let bias = self.slot(layer).bias.clone();
        &mut self.gradients.slice_mut()[bias]
    }

    /// A layer's numbers in a lane, where they begin in it, and their gradients; padding (zero in both) included.
    #[must_use]
    pub fn layer_mut(&mut self, lane: usize, layer: usize) -> (usize, &mut [T], &[T]) {
        let slot = &self.slots[layer - self.first];
        let (first, length) = (slot.weight.start, aligned(slot.bias.end) - slot.weight.start);
        let start = lane * self.stride + first;
        let gradients = &self.gradients.slice()[first..first + length];
        (first, &mut self.values.slice_mut()[start..start + length], gradients)
    }

    /// All numbers of a lane as they lie in memory, padding included.
    #[must_use]
    pub fn lane(&self, lane: usize) -> &[T] {
        &self.values.slice()[self.range(lane, &(0..self.stride))]
    }

    /// The same, to be changed.
    #[must_use]
    pub fn lane_mut(&mut self, lane: usize) -> &mut [T] {
        let all = self.range(lane, &(0..self.stride));
        &mut self.values.slice_mut()[all]
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

fn of_slot<T: Scalar>(
    slot: &Slot,
    lane_start: usize,
    values: &Buffer<T>,
    gradients: &Buffer<T>,
) -> Result<Vec<Part>, TchError> {
    let (inputs, outputs) = (slot.form.reads.fan_in(), slot.form.outputs);
    let view = |buffer: &Buffer<T>, start: usize, rows: &Range<usize>| match slot.form.layout {
        Layout::InputsFirst => buffer.matrix(start + rows.start * outputs, rows.len(), outputs, outputs),
        Layout::OutputsFirst => buffer.matrix(start + rows.start, outputs, rows.len(), inputs)?.f_tr(),
    };
    let part = |rows: &Range<usize>| {
        let weight = view(values, lane_start + slot.weight.start, rows)?;
        Ok(Part { transposed: weight.f_tr()?, weight, gradient: view(gradients, slot.weight.start, rows)? })
    };
    slot.form.parts.iter().map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::ALIGNMENT;

    fn form(blocks: &[usize], outputs: usize, taps: usize, layout: Layout) -> Form {
        let reads = Reads { blocks: blocks.to_vec(), taps };
        let whole = 0..reads.fan_in();
        Form { parts: Vec::from([whole]), reads, outputs, layout }
    }

    #[test]
    fn every_matrix_and_every_lane_starts_aligned_and_none_overlap() {
        let forms = [(7, 5), (5, 1), (33, 4)].map(|(inputs, outputs)| form(&[inputs], outputs, 1, Layout::InputsFirst));
        let parameters = Parameters::<f32>::zeros(2, 3, forms.to_vec()).expect("memory");
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
    fn a_weight_has_the_same_value_whatever_the_layout() {
        for layout in [Layout::InputsFirst, Layout::OutputsFirst] {
            for taps in [1, 3] {
                let form = form(&[2, 3], 2, taps, layout);
                let row = form.reads.row(3, taps - 1, 0);
                let count = form.reads.fan_in() * 2;
                let mut parameters = Parameters::<f64>::zeros(2, 1, vec![form]).expect("memory");
                let numbers: Vec<f64> = (0..count).map(|number| number as f64).collect();
                parameters.set_weight(1, 1, &numbers);
                assert_eq!(parameters.weight(1, 1), numbers);
                // Of the second unit, the first number of the fourth channel's last kernel row.
                let expected = numbers[((5 + 3) * taps + taps - 1) * taps];
                let part = &parameters.parts(1, 1)[0];
                assert_eq!(part.weight.double_value(&[row as i64, 1]), expected);
                assert_eq!(part.transposed.double_value(&[1, row as i64]), expected);
                assert_eq!(parameters.parts(0, 1)[0].weight.double_value(&[row as i64, 1]), 0.0);
            }
        }
    }
}
