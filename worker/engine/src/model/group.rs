//! Parameter groups: parameters that a learning rule adds to the forward weights. Memory, initial values, checkpoints and
//! updates follow from what the rule declares here.

use std::fmt;

use biosweep_common::configuration::Hyperparameters;
use biosweep_common::vocabulary::ActivationFunction;
use biosweep_numeric::random::Purpose;

use super::parameters::{ParameterSpec, Parameters, WeightLayout};
use crate::activations::kernel_rows;
use crate::architecture::{Architecture, InputGroup, InputSpec, KERNEL_SIZE};
use crate::optim::OptimiserConfig;

/// The name of feedback weights.
pub const FEEDBACK: &str = "feedback";
/// The name of the classifiers of hidden layers.
pub const AUXILIARY: &str = "auxiliary";
/// The name of decoders.
pub const DECODER: &str = "decoder";

/// The declaration of a group: parameters of consecutive layers.
#[derive(Debug, Clone)]
pub struct ParameterGroup {
    /// The name in checkpoints and in the tensors of `step`.
    pub name: &'static str,
    /// The first layer.
    pub first: usize,
    /// The shape of the parameters of each layer, from the first on.
    pub specs: Vec<ParameterSpec>,
    /// The law of the first draw.
    pub law: Law,
    /// What happens after the first draw.
    pub change: Change,
}

/// The law of a draw: weights from N(0, gain/fan_in), biases zero.
#[derive(Debug, Clone, Copy)]
pub struct Law {
    /// The purpose of the random numbers, for a layer.
    pub purpose: fn(u32) -> Purpose,
    /// The gain.
    pub gain: Gain,
    /// What hyperparameters change about the first draw.
    pub first_draw: fn(&Hyperparameters) -> FirstDraw,
}

/// What hyperparameters change about a first draw: the weights are scale · (a W + √(1 − a²) R), where R follows the law alone, W
/// are the first forward weights, and a is the alignment. So a is the correlation with W, whatever the scale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FirstDraw {
    /// The factor of the weights.
    pub scale: f64,
    /// a, from 0 to 1. Only weights of W's shape have one above 0.
    pub alignment: f64,
}

impl FirstDraw {
    /// R.
    #[must_use]
    pub fn plain(_: &Hyperparameters) -> Self {
        Self { scale: 1.0, alignment: 0.0 }
    }

    /// `feedback_scale` · R.
    #[must_use]
    pub fn scaled(own: &Hyperparameters) -> Self {
        Self { scale: own.feedback_scale, alignment: 0.0 }
    }

    /// `feedback_scale` · (a W + √(1 − a²) R) with a = `feedback_alignment`.
    #[must_use]
    pub fn aligned(own: &Hyperparameters) -> Self {
        Self { scale: own.feedback_scale, alignment: own.feedback_alignment }
    }
}

/// The gain of a law.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gain {
    /// The gain of the forward weights: 2 for relu, and 1 for other activation functions.
    OfActivation,
    /// 1.
    One,
}

impl Law {
    /// The standard deviation of a weight with this number of inputs.
    #[must_use]
    pub fn std(self, activation: ActivationFunction, fan_in: usize) -> f64 {
        let gain = match (self.gain, activation) {
            (Gain::OfActivation, ActivationFunction::Relu) => 2.0,
            (Gain::OfActivation | Gain::One, _) => 1.0,
        };
        f64::sqrt(gain / fan_in as f64)
    }
}

/// What happens to parameters after the first draw.
#[derive(Clone, Copy)]
pub enum Change {
    /// Nothing.
    Fixed,
    /// A new draw before every update, of weights of W's shape.
    Redrawn,
    /// The rule computes gradients. The optimiser follows from that of the forward weights and from the hyperparameters; it
    /// has its own state and counts its own steps.
    Trained(fn(OptimiserConfig, &Hyperparameters) -> OptimiserConfig),
}

impl fmt::Debug for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Fixed => "Fixed",
            Self::Redrawn => "Redrawn",
            Self::Trained(_) => "Trained",
        })
    }
}

/// A group of a model: the declaration, and the parameters of all lanes.
#[derive(Debug)]
pub struct Group<T> {
    /// The declaration.
    pub declared: ParameterGroup,
    /// The parameters.
    pub parameters: Parameters<T>,
}

impl ParameterGroup {
    /// Feedback weights of W's shape, for layers 2 to L+1, drawn as W is.
    #[must_use]
    pub fn layerwise_feedback(
        architecture: &Architecture,
        change: Change,
        first_draw: fn(&Hyperparameters) -> FirstDraw,
    ) -> Self {
        let of_layer = |layer| ParameterSpec { has_biases: false, ..forward_spec(architecture, layer) };
        let specs = (2..=architecture.topology.output()).map(of_layer).collect();
        let law = Law { purpose: Purpose::Feedback, gain: Gain::OfActivation, first_draw };
        Self { name: FEEDBACK, first: 2, specs, law, change }
    }

    /// Feedback weights from the classes to every unit of layers 1 to L, from N(0, 1/classes), times `feedback_scale`.
    #[must_use]
    pub fn direct_feedback(architecture: &Architecture, change: Change) -> Self {
        let specs = architecture.topology.hidden().map(|layer| direct_feedback_spec(architecture, layer)).collect();
        let law = Law { purpose: Purpose::Feedback, gain: Gain::One, first_draw: FirstDraw::scaled };
        Self { name: FEEDBACK, first: 1, specs, law, change }
    }

    /// Decoders of layers 2 to `last`, from N(0, 1/fan_in).
    #[must_use]
    pub fn decoders(architecture: &Architecture, last: usize, change: Change) -> Self {
        let specs = (2..=last).map(|layer| decoder_spec(architecture, layer)).collect();
        let law = Law { purpose: Purpose::Decoder, gain: Gain::One, first_draw: FirstDraw::plain };
        Self { name: DECODER, first: 2, specs, law, change }
    }

    /// Decoders from the output to every unit of layers 1 to L, from N(0, 1/classes), without biases.
    #[must_use]
    pub fn output_decoders(architecture: &Architecture, change: Change) -> Self {
        let from_classes = || InputSpec::block(architecture.classes(), 1);
        let of_layer =
            |layer| ParameterSpec { has_biases: false, ..separate_spec(from_classes(), architecture.channels(layer)) };
        let specs = architecture.topology.hidden().map(of_layer).collect();
        let law = Law { purpose: Purpose::Decoder, gain: Gain::One, first_draw: FirstDraw::plain };
        Self { name: DECODER, first: 1, specs, law, change }
    }

    /// Classifiers of layers 1 to L: from the channels of a layer to the classes, drawn as the output layer is.
    #[must_use]
    pub fn classifiers(architecture: &Architecture, change: Change) -> Self {
        let specs = architecture.topology.hidden().map(|layer| classifier_spec(architecture, layer)).collect();
        let law = Law { purpose: Purpose::Auxiliary, gain: Gain::OfActivation, first_draw: FirstDraw::plain };
        Self { name: AUXILIARY, first: 1, specs, law, change }
    }

    /// The group with weights that are stored with the outputs first.
    #[must_use]
    pub fn outputs_first(mut self) -> Self {
        self.specs.iter_mut().for_each(|spec| spec.layout = WeightLayout::OutputsFirst);
        self
    }
}

/// The parameter spec of the forward weights of a layer.
pub(super) fn forward_spec(architecture: &Architecture, layer: usize) -> ParameterSpec {
    let (inputs, outputs) = (architecture.inputs(layer), architecture.channels(layer));
    let all = 0..inputs.fan_in();
    let row_ranges = if layer == 1 {
        vec![all]
    } else if inputs.kernel_size == KERNEL_SIZE {
        kernel_row_ranges(&inputs)
    } else {
        let of_group = |group: InputGroup| {
            let channels: usize = group.sources.iter().map(|&source| architecture.channels(source)).sum();
            group.first_channel..group.first_channel + channels
        };
        architecture.input_groups(layer).into_iter().map(of_group).collect()
    };
    ParameterSpec { layout: WeightLayout::forward(outputs), inputs, outputs, row_ranges, has_biases: true }
}

/// The parameter spec of a decoder: its inputs are the units of the layer, its outputs the hidden sources of the layer.
fn decoder_spec(architecture: &Architecture, layer: usize) -> ParameterSpec {
    let inputs = InputSpec::block(architecture.channels(layer), architecture.kernel_size(layer));
    separate_spec(inputs, architecture.hidden_channels(layer))
}

/// The parameter spec of the classifier of a hidden layer.
fn classifier_spec(architecture: &Architecture, layer: usize) -> ParameterSpec {
    separate_spec(InputSpec::block(architecture.channels(layer), 1), architecture.classes())
}

/// The parameter spec of weights and biases beside the network, with a slice for each kernel row.
fn separate_spec(inputs: InputSpec, outputs: usize) -> ParameterSpec {
    let row_ranges = kernel_row_ranges(&inputs);
    ParameterSpec { layout: WeightLayout::forward(outputs), inputs, outputs, row_ranges, has_biases: true }
}

/// The parameter spec of direct feedback: from the classes to all positions of a layer, padding included.
fn direct_feedback_spec(architecture: &Architecture, layer: usize) -> ParameterSpec {
    let inputs = InputSpec::block(architecture.classes(), 1);
    let row_ranges = kernel_row_ranges(&inputs);
    let (extent, image) = (architecture.extent(layer), architecture.layout(layer));
    let outputs = image.image_stride * extent.channels;
    ParameterSpec { inputs, outputs, row_ranges, layout: WeightLayout::ToUnits { extent, image }, has_biases: false }
}

fn kernel_row_ranges(inputs: &InputSpec) -> Vec<std::ops::Range<usize>> {
    let rows = inputs.fan_in() / inputs.kernel_size;
    kernel_rows(inputs.kernel_size).map(|kernel_row| kernel_row * rows..(kernel_row + 1) * rows).collect()
}
