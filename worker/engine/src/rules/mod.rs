//! Learning rules: what each puts in the place of the gradient. One file a rule.
//!
//! A rule is given a batch that has gone forward, with δ of the output layer, and leaves a gradient for every
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

use biosweep_common::vocabulary::Rule;
use biosweep_numeric::vector::wide;
use tch::{TchError, Tensor};

use crate::activations::Activations;
use crate::architecture::StridedRows;
use crate::kernels::linear::{self, WriteMode};
use crate::kernels::scalar::Scalar;
use crate::model::parameters::Parameters;
use crate::model::{ForwardPass, Model};
use crate::optim::{InPlaceSgd, Optimise};

/// What a rule computes from a batch.
pub trait LearningRule<T: Scalar> {
    /// Leaves the gradients of all parameters, or moves them by these, as the update says.
    ///
    /// # Errors
    /// What libtorch refuses.
    fn backward(
        &mut self,
        model: &mut Model<T>,
        pass: &ForwardPass<T>,
        context: &mut StepContext<'_, T>,
    ) -> Result<(), TchError>;

    /// T − h of the hidden layers, where the rule has targets T.
    fn target_differences(&self) -> Option<&Activations<T>> {
        None
    }

    /// (layer, loss) of the decoders in the last observed update, where the rule has any.
    fn inverse_losses(&self) -> &[(usize, f64)] {
        &[]
    }
}

/// What a rule needs beside the network and the batch.
pub struct StepContext<'a, T> {
    /// Which lane of the network learns.
    pub lane: usize,
    /// η of target propagation: the step of the output layer's target for its sources.
    pub target_step: f64,
    /// Standard deviation of the noise decoders learn to undo.
    pub noise_std: f64,
    /// Fills with the standard normal deviates for a layer's decoder: of each image, each of its positions, each channel.
    pub noise: &'a mut dyn FnMut(usize, &mut [T]),
    /// Where the gradients of the forward weights go. δ of the output layer has been scaled for it.
    pub forward_sink: GradientSink<'a, T>,
    /// Where the gradients of the decoders go.
    pub decoder_sink: GradientSink<'a, T>,
    /// Whether the losses of the decoders are wanted.
    pub wants_decoder_losses: bool,
}

/// Where gradients go.
pub enum GradientSink<'a, T> {
    /// To their own memory.
    Gradients,
    /// Into the parameters at once. The errors that gradients are made of carry the rate.
    InPlace(InPlaceSgd),
    /// To an optimiser, layer by layer, as each layer's are found.
    Optimiser(&'a mut dyn Optimise<T>),
}

impl<'a, T: Scalar> GradientSink<'a, T> {
    /// Where an optimiser wants gradients in its next update.
    pub fn for_optimiser(optimiser: &'a mut dyn Optimise<T>) -> Self {
        optimiser.begin();
        match optimiser.in_place_sgd() {
            Some(in_place_sgd) => Self::InPlace(in_place_sgd),
            None => Self::Optimiser(optimiser),
        }
    }

    /// By what errors are multiplied on the way.
    #[must_use]
    pub fn scale(&self) -> f64 {
        match self {
            Self::Gradients | Self::Optimiser(_) => 1.0,
            Self::InPlace(InPlaceSgd { rate, .. }) => -rate,
        }
    }
}

/// A rule for this network and batches of so many images.
///
/// # Errors
/// Memory that cannot be had.
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

/// δ of a layer: as the matrix [positions, out], as the memory that it lies in, and where.
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

/// ΔW = inputᵀ · δ and Δb = Σ δ of a layer; `inputs_transposed` are in the order of its weights.
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

/// The same for all layers, from δ of the hidden layers and of the output.
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
