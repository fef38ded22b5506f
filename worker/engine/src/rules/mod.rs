//! Learning rules, one file each: what replaces the gradient.
//!
//! A rule takes a batch after the forward pass, with δ of the output layer, and computes a gradient for every
//! parameter. A new rule is one new file and one line in [`new`].

mod bp;
mod decoder;
mod dfa;
mod dtp;
mod fa;
mod frsf;
mod layerwise_feedback;
mod sdtp;
mod target_propagation;
mod usf;

use biosweep_common::rules::Rule;
use biosweep_numeric::vector::wide;
use tch::{TchError, Tensor};

use crate::activations::Activations;
use crate::architecture::StridedRows;
use crate::kernels::linear::{self, WriteMode};
use crate::kernels::scalar::Scalar;
use crate::model::parameters::Parameters;
use crate::model::{ForwardPass, Model};
use crate::optim::{InPlaceSgd, Optimise};

/// A learning rule: the backward pass of a batch.
pub trait LearningRule<T: Scalar> {
    /// Computes the gradients of all parameters, and passes them to the sinks of the context.
    ///
    /// # Errors
    /// libtorch reports an error.
    fn backward(
        &mut self,
        model: &mut Model<T>,
        pass: &ForwardPass<T>,
        context: &mut StepContext<'_, T>,
    ) -> Result<(), TchError>;

    /// T − h of the hidden layers, if the rule has targets T.
    fn target_differences(&self) -> Option<&Activations<T>> {
        None
    }

    /// (layer, loss) of each decoder in the last update for which the context wanted the losses.
    fn inverse_losses(&self) -> &[(usize, f64)] {
        &[]
    }
}

/// The context of one update.
pub struct StepContext<'a, T> {
    /// The lane to train.
    pub lane: usize,
    /// η of target propagation: the step size of the first targets.
    pub target_step: f64,
    /// The standard deviation of the noise on the inputs of decoders.
    pub noise_std: f64,
    /// Fills the slice with standard normal deviates for the decoder of a layer: for each image, each position, each
    /// channel.
    pub noise: &'a mut dyn FnMut(usize, &mut [T]),
    /// The sink of the gradients of forward weights. δ of the output layer is already scaled for it.
    pub forward_sink: GradientSink<'a, T>,
    /// The sink of the gradients of decoders.
    pub decoder_sink: GradientSink<'a, T>,
    /// Whether the rule computes the losses of decoders.
    pub wants_decoder_losses: bool,
}

/// A gradient sink: the destination of gradients.
pub enum GradientSink<'a, T> {
    /// The gradient buffers.
    Gradients,
    /// The parameters themselves, by in-place SGD. The errors carry the rate.
    InPlace(InPlaceSgd),
    /// An optimiser, which updates each layer as soon as its gradients are computed.
    Optimiser(&'a mut dyn Optimise<T>),
}

impl<'a, T: Scalar> GradientSink<'a, T> {
    /// The sink for the next update of an optimiser.
    pub fn for_optimiser(optimiser: &'a mut dyn Optimise<T>) -> Self {
        optimiser.begin();
        match optimiser.in_place_sgd() {
            Some(in_place_sgd) => Self::InPlace(in_place_sgd),
            None => Self::Optimiser(optimiser),
        }
    }

    /// The factor of all errors for this sink.
    #[must_use]
    pub fn scale(&self) -> f64 {
        match self {
            Self::Gradients | Self::Optimiser(_) => 1.0,
            Self::InPlace(InPlaceSgd { rate, .. }) => -rate,
        }
    }
}

/// The rule for this model and this batch size.
///
/// # Errors
/// Memory allocation fails.
pub fn new<T: Scalar>(rule: Rule, model: &Model<T>, batch_size: usize) -> Result<Box<dyn LearningRule<T>>, TchError> {
    Ok(match rule {
        Rule::Bp => Box::new(bp::rule(model, batch_size)?),
        Rule::Fa => Box::new(fa::rule(model, batch_size)?),
        Rule::Dfa => Box::new(dfa::DirectFeedbackAlignment::new(model, batch_size)?),
        Rule::Usf => Box::new(usf::rule(model, batch_size)?),
        Rule::Frsf => Box::new(frsf::rule(model, batch_size)?),
        Rule::Dtp => Box::new(dtp::rule(model, batch_size)?),
        Rule::Sdtp => Box::new(sdtp::rule(model, batch_size)?),
    })
}

/// δ of a layer: the matrix [positions, out], the buffer, and the rows of the layer in the buffer.
struct Delta<'a, T> {
    matrix: &'a Tensor,
    values: &'a [T],
    strided_rows: &'a StridedRows,
}

impl<'a, T: Scalar> Delta<'a, T> {
    fn of_hidden(deltas: &'a Activations<T>, layer: usize) -> Self {
        let (values, strided_rows) = deltas.values(layer);
        Self { matrix: deltas.matrix(layer), values, strided_rows }
    }

    fn of_output(pass: &'a ForwardPass<T>) -> Self {
        Self { matrix: pass.output_delta(), values: pass.output_delta.slice(), strided_rows: pass.output_rows() }
    }
}

/// ΔW = inputᵀ · δ and Δb = Σ δ of a layer. `inputs_transposed` has the order of the weight slices.
fn backward_layer<'a, T: Scalar>(
    parameters: &mut Parameters<T>,
    (lane, layer): (usize, usize),
    sink: &mut GradientSink<'_, T>,
    inputs_transposed: impl Iterator<Item = &'a Tensor>,
    delta: &Delta<'_, T>,
) -> Result<(), TchError> {
    if let GradientSink::InPlace(InPlaceSgd { keep, .. }) = sink {
        let keep = T::from_f64(*keep);
        if keep != T::from_f64(1.0) {
            scale(parameters.raw_weight_mut(lane, layer), keep);
            scale(parameters.bias_mut(lane, layer), keep);
        }
        for (slice, input) in parameters.weight_slices(lane, layer).iter().zip(inputs_transposed) {
            linear::weight_gradient(WriteMode::Add, &slice.weight, input, delta.matrix)?;
        }
        linear::add_bias_gradient(parameters.bias_mut(lane, layer), delta.values, delta.strided_rows);
        return Ok(());
    }
    for (slice, input) in parameters.weight_slices(lane, layer).iter().zip(inputs_transposed) {
        linear::weight_gradient(WriteMode::Overwrite, &slice.gradient, input, delta.matrix)?;
    }
    let bias = parameters.bias_gradient_mut(layer);
    bias.fill(T::default());
    linear::add_bias_gradient(bias, delta.values, delta.strided_rows);
    if let GradientSink::Optimiser(optimiser) = sink {
        let (first, values, gradients) = parameters.layer_mut(lane, layer);
        optimiser.update(first, values, gradients);
    }
    Ok(())
}

wide! {
    fn scale<T: Scalar>(numbers: &mut [T], factor: T) {
        numbers.iter_mut().for_each(|number| *number = factor * *number);
    }
}

/// The gradients of all layers, from δ of the hidden layers and of the output layer.
fn backward_all<T: Scalar>(
    model: &mut Model<T>,
    pass: &ForwardPass<T>,
    deltas: &Activations<T>,
    context: &mut StepContext<'_, T>,
) -> Result<(), TchError> {
    let Model { architecture, forward, .. } = model;
    let output = architecture.topology.output();
    for layer in 1..=output {
        let delta = if layer == output { Delta::of_output(pass) } else { Delta::of_hidden(deltas, layer) };
        let inputs = pass.input_matrices(architecture, layer).map(|(_, transposed)| transposed);
        backward_layer(forward, (context.lane, layer), &mut context.forward_sink, inputs, &delta)?;
    }
    Ok(())
}
