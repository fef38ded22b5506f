//! The reverse walk that rules with layer-by-layer feedback share:
//!
//! δ_s = σ'(z_s) ⊙ Σ_{l reads s} [δ_l · F_l]_s,  from the output down to the first hidden layer,
//!
//! where F_l is a matrix of W_l's shape: W_l itself for back-propagation, something else for its kin.

use std::collections::BTreeSet;

use tch::TchError;

use super::{Delta, LearningRule, Update, learn_layer};
use crate::activation::times_derivative;
use crate::activities::Activities;
use crate::layer::{self, Arrival};
use crate::network::{Network, Pass};
use crate::parameters::{Form, Parameters};
use crate::scalar::Scalar;

/// Where F is.
#[derive(Debug)]
pub(super) enum Feedback<T> {
    /// The forward weights.
    Forward,
    /// The network's fixed feedback.
    Fixed,
    /// Made from the forward weights at every update.
    Computed {
        /// What was made last.
        of_update: Parameters<T>,
        /// Makes it for a lane.
        compute: fn(&mut Parameters<T>, &Network<T>, usize),
    },
}

/// Forms of F for the layers that send errors back, alike W's.
pub(super) fn forms_of_feedback<T: Scalar>(network: &Network<T>) -> Vec<Form> {
    let output = network.wiring.topology.output();
    (2..=output).map(|layer| network.forward.slot(layer).form.clone()).collect()
}

/// A rule that walks back through F.
#[derive(Debug)]
pub(super) struct LayerwiseFeedback<T> {
    /// δ of all hidden layers.
    deltas: Activities<T>,
    /// From the output down to layer 1: the layer, and how its errors arrive at each run of its sources.
    steps: Vec<(usize, Vec<Arrival>)>,
    /// Whether some errors are added to where none has arrived: the walk then begins from zeros.
    from_zero: bool,
    feedback: Feedback<T>,
}

impl<T: Scalar> LayerwiseFeedback<T> {
    pub(super) fn new(network: &Network<T>, rows: usize, feedback: Feedback<T>) -> Result<Self, TchError> {
        let deltas = Activities::<T>::zeros(&network.wiring, rows)?;
        let mut reached = BTreeSet::new();
        let mut from_zero = false;
        let mut steps = Vec::new();
        for reader in (1..=network.wiring.topology.output()).rev() {
            let mut arrivals = Vec::new();
            for run in deltas.runs(reader) {
                let known = run.places().filter(|place| reached.contains(place)).count();
                from_zero |= known > 0 && known < run.sources.len();
                arrivals.push(if known == 0 { Arrival::First } else { Arrival::Added });
                reached.extend(run.places());
            }
            steps.push((reader, arrivals));
        }
        Ok(Self { deltas, steps, from_zero, feedback })
    }
}

impl<T: Scalar> LearningRule<T> for LayerwiseFeedback<T> {
    fn learn(&mut self, network: &mut Network<T>, pass: &Pass<T>, update: &mut Update<'_, T>) -> Result<(), TchError> {
        let lane = update.lane;
        if let Feedback::Computed { of_update, compute } = &mut self.feedback {
            compute(of_update, network, lane);
        }
        if self.from_zero {
            self.deltas.clear();
        } else {
            self.deltas.clear_guards();
        }
        let Network { wiring, activation, forward, feedback, .. } = network;
        let output = wiring.topology.output();
        for (reader, arrivals) in &self.steps {
            let reader = *reader;
            if reader != output {
                // All that arrives at this layer has arrived: δ is that times σ'.
                self.deltas.collect(reader);
                let (numbers, lines) = self.deltas.numbers_mut(reader);
                times_derivative(*activation, T::of(1.0), numbers, pass.hidden.numbers(reader).0, lines);
            }
            let delta = if reader == output { Delta::of_output(pass) } else { Delta::of_hidden(&self.deltas, reader) };
            let runs = self.deltas.runs(reader);
            if !runs.is_empty() {
                let parts = match &self.feedback {
                    Feedback::Forward => forward.parts(lane, reader),
                    Feedback::Fixed => feedback.as_ref().expect("a rule with fixed feedback").parts(lane, reader),
                    Feedback::Computed { of_update, .. } => of_update.parts(0, reader),
                };
                // Where a layer reads the input too, that comes first, and no error goes there.
                let parts = &parts[parts.len() - runs.len()..];
                for ((run, part), arrival) in runs.iter().zip(parts).zip(arrivals) {
                    layer::error_to_input(*arrival, &run.matrix, delta.matrix, &part.transposed)?;
                }
            }
            let inputs = pass.inputs(wiring, reader).map(|(_, transposed)| transposed);
            learn_layer(forward, (lane, reader), &mut update.forward, inputs, &delta)?;
        }
        Ok(())
    }
}
