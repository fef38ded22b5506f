//! Learning rules: what each puts in the place of the gradient. One file a rule.
//!
//! A rule is given a batch that has gone forward, with δ of the output layer, and leaves a gradient for every
//! parameter. A new rule is one new file and one line in [`new`].

mod bp;
mod dfa;
mod dtp;
mod fa;
mod frsf;
mod sdtp;
mod targets;
mod usf;
mod walk;

use biosweep_common::vocabulary::Rule;
use biosweep_numeric::vector::wide;
use tch::{TchError, Tensor};

use crate::activities::Activities;
use crate::layer::{self, Arrival};
use crate::network::{Network, Pass};
use crate::optim::{Direct, Optimise};
use crate::parameters::Parameters;
use crate::scalar::Scalar;
use crate::wiring::Lines;

/// What a rule computes from a batch.
pub trait LearningRule<T: Scalar> {
    /// Leaves the gradients of all parameters, or moves them by these, as the update says.
    ///
    /// # Errors
    /// What libtorch refuses.
    fn learn(&mut self, network: &mut Network<T>, pass: &Pass<T>, update: &mut Update<'_, T>) -> Result<(), TchError>;

    /// T − h of the hidden layers, where the rule has targets T.
    fn target_changes(&self) -> Option<&Activities<T>> {
        None
    }

    /// (layer, loss) of the decoders in the last observed update, where the rule has any.
    fn inverse_losses(&self) -> &[(usize, f64)] {
        &[]
    }
}

/// What a rule needs beside the network and the batch.
pub struct Update<'a, T> {
    /// Which lane of the network learns.
    pub lane: usize,
    /// η of target propagation: the step of the output layer's target for its sources.
    pub target_step: f64,
    /// Standard deviation of the noise decoders learn to undo.
    pub noise_std: f64,
    /// Fills with the standard normal deviates for a layer's decoder: of each image, each of its positions, each channel.
    pub noise: &'a mut dyn FnMut(usize, &mut [T]),
    /// Where the gradients of the forward weights go. δ of the output layer has been scaled for it.
    pub forward: Destination<'a, T>,
    /// Where the gradients of the decoders go.
    pub decoders: Destination<'a, T>,
    /// Whether the losses of the decoders are wanted.
    pub is_observed: bool,
}

/// Where gradients go.
pub enum Destination<'a, T> {
    /// To their own memory.
    Gradients,
    /// Into the parameters at once. The errors that gradients are made of carry the rate.
    Parameters(Direct),
    /// To an optimiser, layer by layer, as each layer's are found.
    Optimiser(&'a mut dyn Optimise<T>),
}

impl<'a, T: Scalar> Destination<'a, T> {
    /// Where an optimiser wants gradients in its next update.
    pub fn of(optimiser: &'a mut dyn Optimise<T>) -> Self {
        optimiser.begin();
        match optimiser.direct() {
            Some(direct) => Self::Parameters(direct),
            None => Self::Optimiser(optimiser),
        }
    }

    /// By what errors are multiplied on the way.
    #[must_use]
    pub fn scale(&self) -> f64 {
        match self {
            Self::Gradients | Self::Optimiser(_) => 1.0,
            Self::Parameters(Direct { rate, .. }) => -rate,
        }
    }
}

/// A rule for this network and batches of so many images.
///
/// # Errors
/// Memory that cannot be had.
pub fn new<T: Scalar>(rule: Rule, network: &Network<T>, rows: usize) -> Result<Box<dyn LearningRule<T>>, TchError> {
    Ok(match rule {
        Rule::Bp => Box::new(bp::rule(network, rows)?),
        Rule::Fa => Box::new(fa::rule(network, rows)?),
        Rule::Dfa => Box::new(dfa::DirectFeedbackAlignment::new(network, rows)?),
        Rule::Usf => Box::new(usf::rule(network, rows)?),
        Rule::Frsf => Box::new(frsf::rule(network, rows)?),
        Rule::Dtp => Box::new(dtp::rule(network, rows)?),
        Rule::Sdtp => Box::new(sdtp::rule(network, rows)?),
    })
}

/// δ of a layer: as the matrix [positions, out], as the memory that it lies in, and where.
struct Delta<'a, T> {
    matrix: &'a Tensor,
    numbers: &'a [T],
    lines: &'a Lines,
}

impl<'a, T: Scalar> Delta<'a, T> {
    fn of_hidden(deltas: &'a Activities<T>, layer: usize) -> Self {
        let (numbers, lines) = deltas.numbers(layer);
        Self { matrix: deltas.layer(layer), numbers, lines }
    }

    fn of_output(pass: &'a Pass<T>) -> Self {
        Self { matrix: pass.output_delta(), numbers: pass.output_delta.slice(), lines: pass.output_lines() }
    }
}

/// ΔW = inputᵀ · δ and Δb = Σ δ of a layer; `inputs_transposed` are in the order of its weights.
fn learn_layer<'a, T: Scalar>(
    parameters: &mut Parameters<T>,
    (lane, layer): (usize, usize),
    destination: &mut Destination<'_, T>,
    inputs_transposed: impl Iterator<Item = &'a Tensor>,
    delta: &Delta<'_, T>,
) -> Result<(), TchError> {
    if let Destination::Parameters(Direct { keep, .. }) = destination {
        let keep = T::of(*keep);
        if keep != T::of(1.0) {
            scale(parameters.weight_slice_mut(lane, layer), keep);
            scale(parameters.bias_mut(lane, layer), keep);
        }
        for (part, input) in parameters.parts(lane, layer).iter().zip(inputs_transposed) {
            layer::weight_gradient(Arrival::Added, &part.weight, input, delta.matrix)?;
        }
        layer::add_bias_gradient(parameters.bias_mut(lane, layer), delta.numbers, delta.lines);
        return Ok(());
    }
    for (part, input) in parameters.parts(lane, layer).iter().zip(inputs_transposed) {
        layer::weight_gradient(Arrival::First, &part.gradient, input, delta.matrix)?;
    }
    let bias = parameters.bias_gradient_mut(layer);
    bias.fill(T::default());
    layer::add_bias_gradient(bias, delta.numbers, delta.lines);
    if let Destination::Optimiser(optimiser) = destination {
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
fn learn_all<T: Scalar>(
    network: &mut Network<T>,
    pass: &Pass<T>,
    deltas: &Activities<T>,
    update: &mut Update<'_, T>,
) -> Result<(), TchError> {
    let Network { wiring, forward, .. } = network;
    let output = wiring.topology.output();
    for layer in 1..=output {
        let delta = if layer == output { Delta::of_output(pass) } else { Delta::of_hidden(deltas, layer) };
        let inputs = pass.inputs(wiring, layer).map(|(_, transposed)| transposed);
        learn_layer(forward, (update.lane, layer), &mut update.forward, inputs, &delta)?;
    }
    Ok(())
}
