//! Diagnostics of layers at an evaluation: angles, norms, reconstruction errors, dead and saturated units.
//!
//! All diagnostics use the last training batch, after a forward pass through the current parameters. They change
//! nothing: a lane has the same curve with and without diagnostics.

use biosweep_common::configuration::{Hyperparameters, Procedure};
use biosweep_common::rules::Rule;
use biosweep_common::vocabulary::ActivationFunction;
use biosweep_common::vocabulary::diagnostics::{DiagnosticPoint, Measure};
use tch::TchError;

use crate::kernels::linear;
use crate::kernels::scalar::Scalar;
use crate::kernels::transfer::{copy_rows_to_host, copy_to_host};
use crate::model::{ForwardPass, Model};
use crate::rules::{self, Batch, Destination, LearningRule, Normal, StepContext};

/// A diagnostics probe of one lane.
pub(super) struct DiagnosticsProbe<'a, T: Scalar> {
    pub(super) model: &'a mut Model<T>,
    /// The forward pass of the batch, with the current parameters.
    pub(super) pass: &'a mut ForwardPass<T>,
    pub(super) labels: &'a [i64],
    /// The rule of the lane. It is another object than the one that trains, so that its buffers are others too.
    pub(super) rule: Box<dyn LearningRule<T>>,
    pub(super) lane: usize,
    /// Updates done.
    pub(super) update: u64,
    pub(super) hyperparameters: &'a Hyperparameters,
    pub(super) procedure: Procedure,
    pub(super) normal: &'a mut Normal<'a, T>,
}

impl<T: Scalar> DiagnosticsProbe<'_, T> {
    /// The points of these measures, layer by layer. A measure that is undefined for a layer has no point there.
    pub(super) fn measure(&mut self, measures: &[Measure]) -> Result<Vec<DiagnosticPoint>, TchError> {
        let wanted = |measure: Measure| measures.contains(&measure);
        let gradients = [Measure::UpdateAngle, Measure::UpdateNorm, Measure::ReconstructionError];
        let of_rule = if gradients.into_iter().any(wanted) { self.gradients()? } else { Vec::new() };
        let reconstructions = self.rule.inverse_losses().to_vec();
        let of_loss = if wanted(Measure::UpdateAngle) { self.gradients_of_loss()? } else { Vec::new() };
        let decoders = if wanted(Measure::DecoderAngle) { self.decoder_angles()? } else { Vec::new() };
        let of_decoder = |values: &[(usize, f64)], layer: usize| {
            values.iter().find(|(decoder, _)| *decoder == layer).map(|(_, value)| *value)
        };
        let mut points = Vec::new();
        for &measure in measures {
            for layer in 1..=self.model.architecture.topology.output() {
                let found = match measure {
                    Measure::UpdateAngle => angle(&of_rule[layer - 1], &of_loss[layer - 1]),
                    Measure::UpdateNorm => Some(norm(&of_rule[layer - 1])),
                    Measure::WeightNorm => {
                        Some(norm(&doubles(&copy_to_host(self.model.forward.raw_weight(self.lane, layer)))))
                    }
                    Measure::FeedbackAngle => self.feedback_angle(layer),
                    Measure::ReconstructionError => {
                        let units = self.model.architecture.hidden_channels(layer) * self.positions(layer);
                        of_decoder(&reconstructions, layer).map(|loss| loss / units as f64)
                    }
                    Measure::DecoderAngle => of_decoder(&decoders, layer),
                    Measure::DeadUnits => self.dead_units(layer),
                    Measure::SaturatedUnits => self.saturated_units(layer),
                };
                let point = |value| DiagnosticPoint { update: self.update, layer: layer as u32, measure, value };
                points.extend(found.filter(|value| value.is_finite()).map(point));
            }
        }
        Ok(points)
    }

    /// The weight gradients of all layers by the rule of the lane.
    fn gradients(&mut self) -> Result<Vec<Vec<f64>>, TchError> {
        self.with_rule(|rule, step| rule.backward(step))?;
        let forward = &self.model.forward;
        Ok(forward.layers().map(|layer| doubles(&forward.weight_gradient(layer))).collect())
    }

    /// The angles of the decoders.
    fn decoder_angles(&mut self) -> Result<Vec<(usize, f64)>, TchError> {
        self.with_rule(|rule, step| rule.decoder_angles(step))
    }

    /// The answer of the rule about the batch. No parameter changes.
    fn with_rule<R>(
        &mut self,
        ask: impl FnOnce(&mut dyn LearningRule<T>, &mut StepContext<'_, T>) -> Result<R, TchError>,
    ) -> Result<R, TchError> {
        let Self { model, pass, labels, rule, lane, update, hyperparameters, procedure, normal } = self;
        let (lane, update, procedure) = (*lane, *update, *procedure);
        let batch = Batch { labels, lane, update, hyperparameters, procedure, normal: &mut **normal };
        ask(&mut **rule, &mut StepContext::new(model, pass, batch, Destination::Gradients))
    }

    /// The weight gradients of all layers by back-propagation.
    fn gradients_of_loss(&mut self) -> Result<Vec<Vec<f64>>, TchError> {
        let back_propagation = rules::new(Rule::Bp, self.model, self.pass.batch_size)?;
        let own = std::mem::replace(&mut self.rule, back_propagation);
        let gradients = self.gradients();
        self.rule = own;
        gradients
    }

    fn positions(&self, layer: usize) -> usize {
        self.model.architecture.extent(layer).positions()
    }

    /// The angle between the feedback weights of a layer and its forward weights.
    fn feedback_angle(&mut self, layer: usize) -> Option<f64> {
        let feedback = self.rule.feedback(self.model, self.lane, layer)?;
        angle(&doubles(&feedback), &doubles(&self.model.forward.weight(self.lane, layer)))
    }

    /// σ(z) of a hidden layer, image by image.
    fn activations(&self, layer: usize) -> Option<impl Iterator<Item = Vec<f64>>> {
        if layer == self.model.architecture.topology.output() {
            return None;
        }
        let all = doubles(&copy_rows_to_host(self.pass.activated(layer)));
        let units = all.len() / self.pass.batch_size;
        Some((0..self.pass.batch_size).map(move |image| all[image * units..][..units].to_vec()))
    }

    fn dead_units(&self, layer: usize) -> Option<f64> {
        if self.model.activation != ActivationFunction::Relu {
            return None;
        }
        let mut is_alive: Vec<bool> = Vec::new();
        for image in self.activations(layer)? {
            is_alive.resize(image.len(), false);
            is_alive.iter_mut().zip(image).for_each(|(is_alive, h)| *is_alive |= h > 0.0);
        }
        Some(is_alive.iter().filter(|is_alive| !**is_alive).count() as f64 / is_alive.len() as f64)
    }

    fn saturated_units(&self, layer: usize) -> Option<f64> {
        let is_flat = |h: &f64| match self.model.activation {
            ActivationFunction::Relu => false,
            ActivationFunction::Sigmoid => h * (1.0 - h) < 0.01 * 0.25,
            ActivationFunction::Tanh => 1.0 - h * h < 0.01,
        };
        if self.model.activation == ActivationFunction::Relu {
            return None;
        }
        let (mut flat, mut all) = (0, 0);
        for image in self.activations(layer)? {
            flat += image.iter().filter(|h| is_flat(h)).count();
            all += image.len();
        }
        Some(flat as f64 / all as f64)
    }
}

fn doubles<T: Scalar>(numbers: &[T]) -> Vec<f64> {
    numbers.iter().map(|number| number.to_f64()).collect()
}

fn norm(numbers: &[f64]) -> f64 {
    numbers.iter().map(|number| number * number).sum::<f64>().sqrt()
}

/// The angle between two vectors in degrees; `None` if one of them is zero.
fn angle(left: &[f64], right: &[f64]) -> Option<f64> {
    let product = |left: &[f64], right: &[f64]| left.iter().zip(right).map(|(left, right)| left * right).sum();
    linear::angle(product(left, right), [product(left, left), product(right, right)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_angle_is_in_degrees_and_needs_two_directions() {
        let close = |found: Option<f64>, expected: f64| found.is_some_and(|found| (found - expected).abs() < 1e-6);
        assert!(close(angle(&[1.0, 0.0], &[2.0, 2.0]), 45.0));
        assert!(close(angle(&[1.0, 0.0], &[-3.0, 0.0]), 180.0));
        assert!(close(angle(&[1.0, 0.0], &[0.0, 0.1]), 90.0));
        assert_eq!(angle(&[0.0, 0.0], &[1.0, 0.0]), None);
    }
}
