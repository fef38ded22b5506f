//! The parameters of a network: weights and biases of all lanes in one flat [lanes, P] buffer, and gradients of one
//! lane.

use std::ops::Range;

use biosweep_common::vocabulary::extent::Extent;
use tch::{TchError, Tensor};

use crate::architecture::{InputSpec, PaddedImageLayout};
use crate::kernels::buffer::{Buffer, aligned};
use crate::kernels::handles::{Rows, View, ViewMut};
use crate::kernels::linear::Multiples;
use crate::kernels::scalar::Scalar;
use crate::kernels::transfer::{gather_to_host, scatter_from_host};

/// The shape of the parameters of one layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterSpec {
    /// The inputs: the rows of the weight matrix [in, out].
    pub inputs: InputSpec,
    /// The outputs: units, or channels.
    pub outputs: usize,
    /// The row range of each weight slice, in the order of the input matrices.
    pub row_ranges: Vec<Range<usize>>,
    /// The memory layout of the weight matrix.
    pub layout: WeightLayout,
    /// Whether each output has a bias.
    pub has_biases: bool,
}

/// The memory layout of a weight matrix. A product with a stored matrix is up to a fifth faster than a product with its
/// transpose. Forward weights are therefore stored with the inputs first. Feedback weights, and matrices with few
/// outputs, are stored with the outputs first. Files and random draws have an order of their own, whatever the layout: see
/// [`Parameters::weight`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightLayout {
    /// [in, out], row-major.
    InputsFirst,
    /// [out, in], row-major.
    OutputsFirst,
    /// [in, positions, channels], row-major: from each input to every unit of a hidden layer. The positions include the
    /// padding, whose weights are zero.
    ToUnits {
        /// The extent of the hidden layer.
        extent: Extent,
        /// The positions of the hidden layer.
        image: PaddedImageLayout,
    },
}

/// The range of one layer's parameters within a lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterRange {
    /// The shape of the parameters.
    pub spec: ParameterSpec,
    /// The range of the weights.
    pub weight: Range<usize>,
    /// The range of the biases.
    pub bias: Range<usize>,
}

/// A slice of a layer's weights: views of the flat buffers, for one range of rows.
#[derive(Debug)]
pub struct WeightSlice {
    /// [in, out].
    pub weight: Tensor,
    /// The transposed weights, [out, in].
    pub transposed: Tensor,
    /// [in, out].
    pub gradient: Tensor,
}

/// The parameters of consecutive layers, in all lanes. One set of gradients is enough, because lanes train one after
/// another.
#[derive(Debug)]
pub struct Parameters<T> {
    /// The first layer.
    first: usize,
    ranges: Vec<ParameterRange>,
    /// Values of one lane, alignment included.
    stride: usize,
    values: Buffer<T>,
    gradients: Buffer<T>,
    /// The slices of each layer of the first lane, then of the next lane.
    weight_slices: Vec<Vec<WeightSlice>>,
    multiples: Multiples<T>,
}

impl WeightLayout {
    /// The memory layout of forward weights with this number of outputs.
    #[must_use]
    pub fn forward(outputs: usize) -> Self {
        if outputs < 16 { Self::OutputsFirst } else { Self::InputsFirst }
    }
}

impl ParameterSpec {
    /// The number of weights, without those of padding.
    #[must_use]
    pub fn count(&self) -> usize {
        match self.layout {
            WeightLayout::InputsFirst | WeightLayout::OutputsFirst => self.inputs.fan_in() * self.outputs,
            WeightLayout::ToUnits { extent, .. } => self.inputs.fan_in() * extent.units(),
        }
    }

    /// The shape of the weights in a file: [out, in]; [out, in, rows, columns] for a convolution; [in, units] for weights
    /// to every unit of a layer.
    #[must_use]
    pub fn shape(&self) -> Vec<usize> {
        let kernel_size = self.inputs.kernel_size;
        match self.layout {
            WeightLayout::ToUnits { extent, .. } => vec![self.inputs.fan_in(), extent.units()],
            _ if kernel_size > 1 => vec![self.outputs, self.inputs.channels(), kernel_size, kernel_size],
            _ => vec![self.outputs, self.inputs.channels()],
        }
    }

    /// The index in memory of each weight, in the order of a file.
    pub(super) fn indices(&self) -> Vec<usize> {
        let (inputs, outputs) = (&self.inputs, self.outputs);
        if let WeightLayout::ToUnits { extent, image } = self.layout {
            let to_unit = |unit: usize| {
                let (channel, position) = (unit / extent.positions(), unit % extent.positions());
                let (y, x) = (position / extent.width, position % extent.width);
                (y * image.row_stride + x) * extent.channels + channel
            };
            let of_input = |input: usize| (0..extent.units()).map(move |unit| input * outputs + to_unit(unit));
            return (0..inputs.fan_in()).flat_map(of_input).collect();
        }
        let (kernel_size, fan_in) = (inputs.kernel_size, inputs.fan_in());
        let index = |input: usize, output: usize| match self.layout {
            WeightLayout::OutputsFirst => output * fan_in + input,
            WeightLayout::InputsFirst | WeightLayout::ToUnits { .. } => input * outputs + output,
        };
        let mut indices = Vec::with_capacity(self.count());
        for output in 0..outputs {
            for channel in 0..inputs.channels() {
                for offset in 0..kernel_size * kernel_size {
                    indices.push(index(inputs.row(channel, offset / kernel_size, offset % kernel_size), output));
                }
            }
        }
        indices
    }
}

impl<T: Scalar> Parameters<T> {
    /// Zeros for layers `first`, `first + 1`, …, one for each spec, in `lanes` lanes.
    ///
    /// # Errors
    /// Memory allocation fails.
    pub fn zeros(lanes: usize, first: usize, specs: Vec<ParameterSpec>) -> Result<Self, TchError> {
        let mut ranges = Vec::with_capacity(specs.len());
        let mut end = 0;
        for spec in specs {
            let weight = end..end + spec.inputs.fan_in() * spec.outputs;
            let biases = if spec.has_biases { spec.outputs } else { 0 };
            let bias = aligned(weight.end)..aligned(weight.end) + biases;
            end = aligned(bias.end);
            ranges.push(ParameterRange { spec, weight, bias });
        }
        let (values, gradients) = (Buffer::zeros(lanes * end)?, Buffer::zeros(end)?);
        let mut weight_slices = Vec::with_capacity(lanes * ranges.len());
        for start in (0..lanes).map(|lane| lane * end) {
            for range in &ranges {
                weight_slices.push(weight_slices_of(range, start, &values, &gradients)?);
            }
        }
        let multiples = Multiples::new()?;
        Ok(Self { first, ranges, stride: end, values, gradients, weight_slices, multiples })
    }

    /// The layers, ascending.
    pub fn layers(&self) -> Range<usize> {
        self.first..self.first + self.ranges.len()
    }

    /// The range of a layer's parameters.
    #[must_use]
    pub fn parameter_range(&self, layer: usize) -> &ParameterRange {
        &self.ranges[layer - self.first]
    }

    /// The weight slices of a layer in a lane; none for a layer that has no weights here.
    #[must_use]
    pub fn weight_slices(&self, lane: usize, layer: usize) -> &[WeightSlice] {
        if !self.layers().contains(&layer) {
            return &[];
        }
        &self.weight_slices[lane * self.ranges.len() + layer - self.first]
    }

    /// The weights of a layer in the order of a file: [out, channel, kernel row, kernel column], or [in, channel, row,
    /// column] for weights to every unit of a layer.
    #[must_use]
    pub fn weight(&self, lane: usize, layer: usize) -> Vec<T> {
        gather_to_host(self.raw_weight(lane, layer), &self.parameter_range(layer).spec.indices())
    }

    /// The weight gradient of a layer, in the same order.
    #[must_use]
    pub fn weight_gradient(&self, layer: usize) -> Vec<T> {
        let ParameterRange { spec, weight, .. } = self.parameter_range(layer);
        gather_to_host(self.gradients.view(weight.clone()), &spec.indices())
    }

    /// Sets the weights of a layer, given in the same order.
    ///
    /// # Panics
    /// The number of values is not the number of weights.
    pub fn set_weight(&mut self, lane: usize, layer: usize, values: &[T]) {
        let spec = &self.parameter_range(layer).spec;
        assert_eq!(values.len(), spec.count(), "the weights of layer {layer}");
        let indices = spec.indices();
        scatter_from_host(self.raw_weight_mut(lane, layer), &indices, values);
    }

    /// The weights of a layer in memory order.
    #[must_use]
    pub fn raw_weight(&self, lane: usize, layer: usize) -> View<'_, T> {
        self.values.view(self.in_lane(lane, &self.parameter_range(layer).weight))
    }

    /// The weights of a layer in memory order, mutable.
    #[must_use]
    pub fn raw_weight_mut(&mut self, lane: usize, layer: usize) -> ViewMut<'_, T> {
        let weight = self.in_lane(lane, &self.parameter_range(layer).weight);
        self.values.view_mut(weight)
    }

    /// The biases of a layer.
    #[must_use]
    pub fn bias(&self, lane: usize, layer: usize) -> View<'_, T> {
        self.values.view(self.in_lane(lane, &self.parameter_range(layer).bias))
    }

    /// The biases of a layer, mutable.
    #[must_use]
    pub fn bias_mut(&mut self, lane: usize, layer: usize) -> ViewMut<'_, T> {
        let bias = self.in_lane(lane, &self.parameter_range(layer).bias);
        self.values.view_mut(bias)
    }

    /// The bias gradient of a layer.
    #[must_use]
    pub fn bias_gradient(&self, layer: usize) -> View<'_, T> {
        self.gradients.view(self.parameter_range(layer).bias.clone())
    }

    /// The bias gradient of a layer, mutable.
    #[must_use]
    pub fn bias_gradient_mut(&mut self, layer: usize) -> ViewMut<'_, T> {
        let bias = self.parameter_range(layer).bias.clone();
        self.gradients.view_mut(bias)
    }

    /// The parameters of a layer in a lane: their offset in the lane, the values, and the gradients. Both include the
    /// alignment, which is zero.
    #[must_use]
    pub fn layer_mut(&mut self, lane: usize, layer: usize) -> (usize, ViewMut<'_, T>, View<'_, T>) {
        let range = &self.ranges[layer - self.first];
        let (first, length) = (range.weight.start, aligned(range.bias.end) - range.weight.start);
        let start = lane * self.stride + first;
        let gradients = self.gradients.view(first..first + length);
        (first, self.values.view_mut(start..start + length), gradients)
    }

    /// The weights of a layer in a lane, without the biases: their offset in the lane, and the values.
    #[must_use]
    pub fn weight_mut(&mut self, lane: usize, layer: usize) -> (usize, ViewMut<'_, T>) {
        (self.parameter_range(layer).weight.start, self.raw_weight_mut(lane, layer))
    }

    /// The weight gradient of a layer in memory order.
    #[must_use]
    pub fn raw_weight_gradient(&self, layer: usize) -> View<'_, T> {
        self.gradients.view(self.parameter_range(layer).weight.clone())
    }

    /// The weight gradient of a layer in memory order, mutable.
    #[must_use]
    pub fn raw_weight_gradient_mut(&mut self, layer: usize) -> ViewMut<'_, T> {
        let weight = self.parameter_range(layer).weight.clone();
        self.gradients.view_mut(weight)
    }

    /// The biases of a layer in a lane: their offset in the lane, the values, and the gradients.
    #[must_use]
    pub fn bias_and_gradient_mut(&mut self, lane: usize, layer: usize) -> (usize, ViewMut<'_, T>, View<'_, T>) {
        let bias = self.ranges[layer - self.first].bias.clone();
        let values = self.in_lane(lane, &bias);
        (bias.start, self.values.view_mut(values), self.gradients.view(bias))
    }

    /// factor · δ of a layer. The next call overwrites it.
    ///
    /// # Errors
    /// Memory allocation fails.
    pub fn multiple(&mut self, delta: Rows<'_, T>, factor: f64) -> Result<Tensor, TchError> {
        self.multiples.of(delta, factor)
    }

    /// All parameters of a lane in memory order, alignment included.
    #[must_use]
    pub fn lane(&self, lane: usize) -> View<'_, T> {
        self.values.view(self.in_lane(lane, &(0..self.stride)))
    }

    /// All parameters of a lane in memory order, mutable.
    #[must_use]
    pub fn lane_mut(&mut self, lane: usize) -> ViewMut<'_, T> {
        let all = self.in_lane(lane, &(0..self.stride));
        self.values.view_mut(all)
    }

    /// The number of values of one lane, alignment included.
    #[must_use]
    pub fn lane_length(&self) -> usize {
        self.stride
    }

    fn in_lane(&self, lane: usize, within: &Range<usize>) -> Range<usize> {
        lane * self.stride + within.start..lane * self.stride + within.end
    }
}

fn weight_slices_of<T: Scalar>(
    range: &ParameterRange,
    lane_start: usize,
    values: &Buffer<T>,
    gradients: &Buffer<T>,
) -> Result<Vec<WeightSlice>, TchError> {
    let (inputs, outputs) = (range.spec.inputs.fan_in(), range.spec.outputs);
    let view = |buffer: &Buffer<T>, start: usize, rows: &Range<usize>| match range.spec.layout {
        WeightLayout::InputsFirst | WeightLayout::ToUnits { .. } => {
            buffer.matrix(start + rows.start * outputs, rows.len(), outputs, outputs)
        }
        WeightLayout::OutputsFirst => buffer.matrix(start + rows.start, outputs, rows.len(), inputs)?.f_tr(),
    };
    let slice = |rows: &Range<usize>| {
        let weight = view(values, lane_start + range.weight.start, rows)?;
        Ok(WeightSlice { transposed: weight.f_tr()?, weight, gradient: view(gradients, range.weight.start, rows)? })
    };
    range.spec.row_ranges.iter().map(slice).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::buffer::ALIGNMENT;

    fn spec(blocks: &[usize], outputs: usize, kernel_size: usize, layout: WeightLayout) -> ParameterSpec {
        let inputs = InputSpec { blocks: blocks.to_vec(), kernel_size };
        let whole = 0..inputs.fan_in();
        ParameterSpec { row_ranges: Vec::from([whole]), inputs, outputs, layout, has_biases: true }
    }

    #[test]
    fn every_matrix_and_every_lane_starts_aligned_and_none_overlap() {
        let specs =
            [(7, 5), (5, 1), (33, 4)].map(|(inputs, outputs)| spec(&[inputs], outputs, 1, WeightLayout::InputsFirst));
        let parameters = Parameters::<f32>::zeros(2, 3, specs.to_vec()).expect("memory");
        let mut end = 0;
        for layer in parameters.layers() {
            let range = parameters.parameter_range(layer);
            assert!(range.weight.start >= end && range.bias.start >= range.weight.end);
            assert!([range.weight.start, range.bias.start].iter().all(|start| start.is_multiple_of(ALIGNMENT)));
            end = range.bias.end;
        }
        assert!(parameters.lane_length() >= end && parameters.lane_length().is_multiple_of(ALIGNMENT));
    }

    #[test]
    fn a_weight_has_the_same_value_whatever_the_layout() {
        for layout in [WeightLayout::InputsFirst, WeightLayout::OutputsFirst] {
            for kernel_size in [1, 3] {
                let spec = spec(&[2, 3], 2, kernel_size, layout);
                let row = spec.inputs.row(3, kernel_size - 1, 0);
                let count = spec.inputs.fan_in() * 2;
                let mut parameters = Parameters::<f64>::zeros(2, 1, vec![spec]).expect("memory");
                let values: Vec<f64> = (0..count).map(|number| number as f64).collect();
                parameters.set_weight(1, 1, &values);
                assert_eq!(parameters.weight(1, 1), values);
                // The first weight of the last kernel row of the fourth channel of the second unit.
                let expected = values[((5 + 3) * kernel_size + kernel_size - 1) * kernel_size];
                let slice = &parameters.weight_slices(1, 1)[0];
                assert_eq!(slice.weight.double_value(&[row as i64, 1]), expected);
                assert_eq!(slice.transposed.double_value(&[1, row as i64]), expected);
                assert_eq!(parameters.weight_slices(0, 1)[0].weight.double_value(&[row as i64, 1]), 0.0);
            }
        }
    }
}
