//! Parameters and optimiser state as named tensors, in the order of files: what checkpoints hold.

use std::collections::BTreeMap;

use super::parameters::Parameters;
use crate::kernels::handles::View;
use crate::kernels::scalar::Scalar;
use crate::kernels::transfer::{copy_to_host, gather_to_host};

/// A tensor outside the model.
#[derive(Debug, Clone, PartialEq)]
pub struct SavedTensor<T> {
    /// The shape, such as [out, in].
    pub shape: Vec<usize>,
    /// The values, row-major.
    pub values: Vec<T>,
}

/// Tensors by name, such as `forward.3.weight` or `forward.mean.3.bias`.
pub type SavedTensors<T> = BTreeMap<String, SavedTensor<T>>;

impl<T: Scalar> Parameters<T> {
    /// The tensors of each layer, `NAME.L.weight` and `NAME.L.bias`, from numbers in the memory order of a lane: the parameters
    /// themselves, or the state of their optimiser.
    pub fn save(&self, name: &str, numbers: View<'_, T>, tensors: &mut SavedTensors<T>) {
        for layer in self.layers() {
            let range = self.parameter_range(layer);
            let values = gather_to_host(numbers.part(range.weight.clone()), &range.spec.indices());
            let weight = SavedTensor { shape: range.spec.shape(), values };
            tensors.insert(format!("{name}.{layer}.weight"), weight);
            if range.spec.has_biases {
                let values = copy_to_host(numbers.part(range.bias.clone()));
                tensors.insert(format!("{name}.{layer}.bias"), SavedTensor { shape: vec![values.len()], values });
            }
        }
    }

    /// The name and the shape of each tensor that [`Parameters::save`] makes under this name.
    pub fn shapes(&self, name: &str) -> impl Iterator<Item = (String, Vec<usize>)> {
        self.layers().flat_map(move |layer| {
            let spec = &self.parameter_range(layer).spec;
            let weight = (format!("{name}.{layer}.weight"), spec.shape());
            let bias = spec.has_biases.then(|| (format!("{name}.{layer}.bias"), vec![spec.outputs]));
            [Some(weight), bias].into_iter().flatten()
        })
    }

    /// The numbers of a lane in memory order, from the tensors of each layer. The alignment is zero.
    ///
    /// # Panics
    /// A tensor is missing or has another shape: callers check that first.
    #[must_use]
    pub fn load(&self, name: &str, tensors: &SavedTensors<T>) -> Vec<T> {
        let mut numbers = vec![T::default(); self.lane_length()];
        for layer in self.layers() {
            let range = self.parameter_range(layer);
            let weights = &mut numbers[range.weight.clone()];
            let saved = &tensors[&format!("{name}.{layer}.weight")].values;
            range.spec.indices().into_iter().zip(saved).for_each(|(index, &value)| weights[index] = value);
            if range.spec.has_biases {
                let saved = &tensors[&format!("{name}.{layer}.bias")].values;
                numbers[range.bias.clone()].copy_from_slice(saved);
            }
        }
        numbers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::architecture::InputSpec;
    use crate::kernels::transfer::copy_from_host;
    use crate::model::parameters::{ParameterSpec, WeightLayout};

    #[test]
    fn parameters_are_the_same_after_saving_and_loading_in_every_layout() {
        for layout in [WeightLayout::InputsFirst, WeightLayout::OutputsFirst] {
            let inputs = InputSpec { blocks: vec![3], kernel_size: 1 };
            let whole = 0..inputs.fan_in();
            let spec = ParameterSpec { row_ranges: Vec::from([whole]), inputs, outputs: 2, layout, has_biases: true };
            let mut parameters = Parameters::<f32>::zeros(1, 4, vec![spec]).expect("memory");
            parameters.set_weight(0, 4, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
            copy_from_host(parameters.bias_mut(0, 4), &[7.0, 8.0]);
            let mut tensors = SavedTensors::new();
            parameters.save("forward", parameters.lane(0), &mut tensors);
            let weight = SavedTensor { shape: vec![2, 3], values: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0] };
            assert_eq!(tensors["forward.4.weight"], weight, "the order of files does not depend on {layout:?}");
            assert_eq!(tensors["forward.4.bias"].values, [7.0, 8.0]);
            let saved: Vec<_> = tensors.iter().map(|(name, saved)| (name.clone(), saved.shape.clone())).collect();
            let mut shapes: Vec<_> = parameters.shapes("forward").collect();
            shapes.sort();
            assert_eq!(shapes, saved);
            assert_eq!(parameters.load("forward", &tensors), copy_to_host(parameters.lane(0)));
        }
    }
}
