//! Learning rules: what each puts in the place of the gradient. One file a rule.
//!
//! A rule is given a batch that has gone forward, with δ of the output layer, and leaves a gradient for every
//! parameter. A new rule is one new file and one line in [`new`].

mod bp;
mod dtp;
mod fa;
mod walk;

use biosweep_common::vocabulary::Rule;
use tch::TchError;

use crate::layer;
use crate::network::{HiddenMatrix, Network, Pass};
use crate::scalar::Scalar;

/// What a rule computes from a batch.
pub trait LearningRule<T: Scalar> {
    /// Leaves the gradients of all parameters in the network.
    ///
    /// # Errors
    /// What libtorch refuses.
    fn gradients(
        &mut self,
        network: &mut Network<T>,
        pass: &Pass<T>,
        surroundings: &mut Surroundings<'_, T>,
    ) -> Result<(), TchError>;

    /// T − h of the hidden layers, where the rule has targets T.
    fn target_changes(&self) -> Option<&HiddenMatrix<T>> {
        None
    }

    /// (layer, loss) of the decoders, where the rule has any.
    fn inverse_losses(&self) -> &[(usize, f64)] {
        &[]
    }
}

/// What a rule needs beside the network and the batch.
pub struct Surroundings<'a, T> {
    /// η: the step of the output layer's target for its sources.
    pub target_step: f64,
    /// Standard deviation of the noise decoders learn to undo.
    pub noise_std: f64,
    /// Fills with the standard normal deviates for a layer's decoder.
    pub noise: &'a mut dyn FnMut(usize, &mut [T]),
}

/// A rule for this network and batches of so many images.
///
/// # Errors
/// Memory that cannot be had.
pub fn new<T: Scalar>(rule: Rule, network: &Network<T>, rows: usize) -> Result<Box<dyn LearningRule<T>>, TchError> {
    Ok(match rule {
        Rule::Bp => Box::new(bp::rule(network, rows)?),
        Rule::Fa => Box::new(fa::rule(network, rows)?),
        Rule::Dtp => Box::new(dtp::DifferenceTargetPropagation::new(network, rows)?),
    })
}

/// ΔW_l = δ_lᵀ · input_l and Δb_l = Σ_batch δ_l for every layer, from δ of the hidden layers and of the output.
fn gradients_of_deltas<T: Scalar>(
    network: &mut Network<T>,
    pass: &Pass<T>,
    deltas: &HiddenMatrix<T>,
) -> Result<(), TchError> {
    for hidden in network.wiring.topology.hidden() {
        let views = network.forward.views(0, hidden);
        layer::weight_gradient(&views.weight_gradient, deltas.layer(hidden), pass.input(hidden))?;
        let delta = &deltas.buffer.slice()[network.wiring.column(hidden)..];
        layer::bias_gradient(network.forward.bias_gradient_mut(0, hidden), delta, deltas.stride);
    }
    let output = network.wiring.topology.output();
    let views = network.forward.views(0, output);
    layer::weight_gradient(&views.weight_gradient, pass.output_delta(), pass.input(output))?;
    let classes = network.wiring.width(output);
    layer::bias_gradient(network.forward.bias_gradient_mut(0, output), pass.output_delta.slice(), classes);
    Ok(())
}
