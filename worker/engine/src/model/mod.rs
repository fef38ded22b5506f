//! The model: the architecture, the parameters of all lanes, and the forward pass.
//!
//! | module | contents |
//! |---|---|
//! | here | the parameters that each rule needs, and their initial values |
//! | [`parameters`] | weights, biases and gradients in flat buffers |
//! | `pass` | the forward pass of one batch |

pub mod parameters;
mod pass;

use biosweep_common::rules::Rule;
use biosweep_common::vocabulary::ActivationFunction;
use biosweep_numeric::random::{Purpose, Stream};
use tch::TchError;

use self::parameters::{ParameterSpec, Parameters, WeightLayout};
pub use self::pass::ForwardPass;
use crate::activations::kernel_rows;
use crate::architecture::{Architecture, InputSpec, KERNEL_SIZE};
use crate::kernels::scalar::Scalar;

/// The parameters of all lanes of one network.
#[derive(Debug)]
pub struct Model<T> {
    /// The architecture of the network.
    pub architecture: Architecture,
    /// The activation function σ of the hidden layers.
    pub activation: ActivationFunction,
    /// W and b of layers 1 to L+1.
    pub forward: Parameters<T>,
    /// Fixed feedback weights, for the rules that have them: B of layers 2 to L+1 (fa), R of layers 2 to L+1 (frsf), or
    /// D of layers 1 to L (dfa). Their biases are unused.
    pub feedback: Option<Parameters<T>>,
    /// V and c of layers 2 to L, or to L+1 (sdtp), for the rules with decoders.
    pub decoders: Option<Parameters<T>>,
}

impl<T: Scalar> Model<T> {
    /// A model whose parameters are zero, with the parameters that the rule needs.
    ///
    /// # Errors
    /// Memory allocation fails.
    pub fn zeros(
        architecture: Architecture,
        rule: Rule,
        activation: ActivationFunction,
        lanes: usize,
    ) -> Result<Self, TchError> {
        let output = architecture.topology.output();
        let forward_of = |layer: usize| forward_spec(&architecture, layer);
        let forward = Parameters::zeros(lanes, 1, (1..=output).map(forward_of).collect())?;
        let feedback = match rule {
            Rule::Fa => {
                let turned = |layer: usize| ParameterSpec { layout: WeightLayout::OutputsFirst, ..forward_of(layer) };
                Some(Parameters::zeros(lanes, 2, (2..=output).map(turned).collect())?)
            }
            Rule::Frsf => Some(Parameters::zeros(lanes, 2, (2..=output).map(forward_of).collect())?),
            Rule::Dfa => Some(Parameters::zeros(
                lanes,
                1,
                (1..output).map(|layer| direct_feedback_spec(&architecture, layer)).collect(),
            )?),
            Rule::Bp | Rule::Usf | Rule::Dtp | Rule::Sdtp => None,
        };
        let specs =
            || rule.descriptor().decoders.layers(output).map(|layer| decoder_spec(&architecture, layer)).collect();
        let decoders = rule.has_decoders().then(|| Parameters::zeros(lanes, 2, specs())).transpose()?;
        Ok(Self { architecture, activation, forward, feedback, decoders })
    }

    /// Draws the initial parameters of a lane. Weights are from N(0, 2/fan_in) for relu and from N(0, 1/fan_in)
    /// otherwise. Feedback of W's shape is drawn as W is, direct feedback from N(0, 1/classes), decoders from N(0,
    /// 1/fan_in). Biases are zero.
    pub fn draw(&mut self, lane: usize, rule: Rule, seed: u64, fold: u32) {
        let gain = if self.activation == ActivationFunction::Relu { 2.0 } else { 1.0 };
        let normal = |layer: usize, purpose: fn(u32) -> Purpose, variance: f64, count: usize| {
            let mut numbers = vec![T::default(); count];
            let mut stream = Stream::new(seed, fold, purpose(layer as u32), 0);
            T::fill_normal(&mut numbers, &mut stream, variance.sqrt());
            numbers
        };
        let draw = |parameters: &mut Parameters<T>, gain: f64, purpose: fn(u32) -> Purpose| {
            for layer in parameters.layers() {
                let fan_in = parameters.parameter_range(layer).spec.inputs.fan_in();
                let count = parameters.parameter_range(layer).weight.len();
                parameters.set_weight(lane, layer, &normal(layer, purpose, gain / fan_in as f64, count));
                parameters.bias_mut(lane, layer).fill(T::default());
            }
        };
        draw(&mut self.forward, gain, Purpose::Weights);
        if rule == Rule::Dfa {
            for layer in self.architecture.topology.hidden() {
                let classes = self.architecture.classes();
                let count = classes * self.architecture.extent(layer).units();
                self.set_direct_feedback(lane, layer, &normal(layer, Purpose::Feedback, 1.0 / classes as f64, count));
            }
        } else if let Some(feedback) = &mut self.feedback {
            draw(feedback, gain, Purpose::Feedback);
        }
        if let Some(decoders) = &mut self.decoders {
            draw(decoders, 1.0, Purpose::Decoder);
        }
    }

    /// Sets D of a layer, given as [classes, channel, row, column].
    ///
    /// # Panics
    /// The model has no direct feedback, or the number of values is not that of D.
    pub fn set_direct_feedback(&mut self, lane: usize, layer: usize, numbers: &[T]) {
        let (extent, layout) = (self.architecture.extent(layer), self.architecture.layout(layer));
        let feedback = self.feedback.as_mut().expect("a network with direct feedback");
        let units = feedback.parameter_range(layer).spec.outputs;
        assert_eq!(numbers.len(), self.architecture.classes() * extent.units(), "the feedback of layer {layer}");
        let weight = feedback.raw_weight_mut(lane, layer);
        for (row, numbers) in weight.chunks_exact_mut(units).zip(numbers.chunks_exact(extent.units())) {
            for (index, &number) in numbers.iter().enumerate() {
                let (channel, position) = (index / extent.positions(), index % extent.positions());
                let (y, x) = (position / extent.width, position % extent.width);
                row[(y * layout.row_stride + x) * extent.channels + channel] = number;
            }
        }
    }
}

/// The parameter spec of the forward weights of a layer.
fn forward_spec(architecture: &Architecture, layer: usize) -> ParameterSpec {
    let (inputs, outputs) = (architecture.inputs(layer), architecture.channels(layer));
    let all = 0..inputs.fan_in();
    let row_ranges = if layer == 1 {
        vec![all]
    } else if inputs.kernel_size == KERNEL_SIZE {
        kernel_row_ranges(&inputs)
    } else {
        let of_group = |group: crate::architecture::InputGroup| {
            let channels: usize = group.sources.iter().map(|&source| architecture.channels(source)).sum();
            group.first_channel..group.first_channel + channels
        };
        architecture.input_groups(layer).into_iter().map(of_group).collect()
    };
    ParameterSpec { layout: WeightLayout::forward(outputs), inputs, outputs, row_ranges }
}

/// The parameter spec of a decoder: its inputs are the units of the layer, its outputs the hidden sources of the layer.
fn decoder_spec(architecture: &Architecture, layer: usize) -> ParameterSpec {
    let (inputs, outputs) = (
        InputSpec::block(architecture.channels(layer), architecture.kernel_size(layer)),
        architecture.hidden_channels(layer),
    );
    let row_ranges = kernel_row_ranges(&inputs);
    ParameterSpec { layout: WeightLayout::forward(outputs), inputs, outputs, row_ranges }
}

/// The parameter spec of direct feedback: from the classes to all positions of a layer, padding included.
fn direct_feedback_spec(architecture: &Architecture, layer: usize) -> ParameterSpec {
    let inputs = InputSpec::block(architecture.classes(), 1);
    let row_ranges = kernel_row_ranges(&inputs);
    let outputs = architecture.layout(layer).image_stride * architecture.channels(layer);
    ParameterSpec { inputs, outputs, row_ranges, layout: WeightLayout::InputsFirst }
}

fn kernel_row_ranges(inputs: &InputSpec) -> Vec<std::ops::Range<usize>> {
    let rows = inputs.fan_in() / inputs.kernel_size;
    kernel_rows(inputs.kernel_size).map(|kernel_row| kernel_row * rows..(kernel_row + 1) * rows).collect()
}
