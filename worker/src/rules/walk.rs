//! The reverse walk that rules with layer-by-layer feedback share:
//!
//! δ_s = σ'(z_s) ⊙ Σ_{l reads s} [δ_l · F_l]_s,  from the output down to the first hidden layer,
//!
//! where F_l is a matrix of W_l's shape: W_l itself for back-propagation, something else for its kin.

use std::collections::BTreeSet;

use tch::TchError;

use super::{LearningRule, Surroundings, gradients_of_deltas};
use crate::activation::times_derivative;
use crate::layer::{self, Arrival};
use crate::network::{HiddenMatrix, Network, Pass};
use crate::parameters::Parameters;
use crate::scalar::Scalar;

/// A rule that walks back through F.
#[derive(Debug)]
pub(super) struct LayerwiseFeedback<T> {
    walk: Walk<T>,
    /// Where F is.
    feedback: fn(&Network<T>) -> &Parameters<T>,
}

impl<T: Scalar> LayerwiseFeedback<T> {
    pub(super) fn new(
        network: &Network<T>,
        rows: usize,
        feedback: fn(&Network<T>) -> &Parameters<T>,
    ) -> Result<Self, TchError> {
        Ok(Self { walk: Walk::new(network, rows)?, feedback })
    }
}

impl<T: Scalar> LearningRule<T> for LayerwiseFeedback<T> {
    fn gradients(
        &mut self,
        network: &mut Network<T>,
        pass: &Pass<T>,
        _: &mut Surroundings<'_, T>,
    ) -> Result<(), TchError> {
        let feedback = (self.feedback)(network);
        self.walk.run(network, pass, feedback)?;
        gradients_of_deltas(network, pass, &self.walk.deltas)
    }
}

/// The walk's errors, and how they arrive.
#[derive(Debug)]
struct Walk<T> {
    /// δ of all hidden layers.
    deltas: HiddenMatrix<T>,
    /// (layer, how its errors arrive at its sources), from the output down to layer 2.
    steps: Vec<(usize, Arrival)>,
    /// Whether some errors are added to where none has arrived: the walk then begins from zeros.
    from_zero: bool,
}

impl<T: Scalar> Walk<T> {
    fn new(network: &Network<T>, rows: usize) -> Result<Self, TchError> {
        let topology = &network.wiring.topology;
        let mut reached: BTreeSet<usize> = BTreeSet::new();
        let mut from_zero = false;
        let mut steps = Vec::new();
        for reader in (2..=topology.output()).rev() {
            let sources = topology.sources(reader);
            let known = sources.iter().filter(|source| reached.contains(*source)).count();
            from_zero |= known > 0 && known < sources.len();
            steps.push((reader, if known == 0 { Arrival::First } else { Arrival::Added }));
            reached.extend(sources);
        }
        Ok(Self { deltas: HiddenMatrix::zeros(&network.wiring, rows)?, steps, from_zero })
    }

    /// Leaves δ of all hidden layers.
    fn run(&mut self, network: &Network<T>, pass: &Pass<T>, feedback: &Parameters<T>) -> Result<(), TchError> {
        if self.from_zero {
            self.deltas.buffer.slice_mut().fill(T::default());
        }
        let output = network.wiring.topology.output();
        for place in 0..self.steps.len() {
            let (reader, arrival) = self.steps[place];
            if reader != output {
                self.settle(network, pass, reader);
            }
            let delta = if reader == output { pass.output_delta() } else { self.deltas.layer(reader) };
            if let Some(error) = self.deltas.sources(reader) {
                layer::error_to_input(arrival, error, delta, &feedback.views(0, reader).weight)?;
            }
        }
        self.settle(network, pass, 1);
        Ok(())
    }

    /// All that arrives at a layer has arrived: δ is that times σ'.
    fn settle(&mut self, network: &Network<T>, pass: &Pass<T>, layer: usize) {
        let (column, width) = (network.wiring.column(layer), network.wiring.width(layer));
        let hidden = pass.hidden.buffer.slice().chunks(pass.hidden.stride);
        for (error, hidden) in self.deltas.buffer.slice_mut().chunks_mut(self.deltas.stride).zip(hidden) {
            let columns = column..column + width;
            times_derivative(network.activation, &mut error[columns.clone()], &hidden[columns]);
        }
    }
}
