//! Diagnostics of layers at an evaluation: angles, norms, reconstruction errors, dead and saturated units.
//!
//! All diagnostics use the last training batch, after a forward pass through the current parameters. They change
//! nothing: a lane has the same curve with and without diagnostics.

use biosweep_common::diagnostics::{DiagnosticPoint, Measure};
use biosweep_common::rules::Rule;
use biosweep_common::vocabulary::ActivationFunction;
use tch::TchError;

use crate::kernels::scalar::Scalar;
use crate::model::{ForwardPass, Model};
use crate::rules::{self, GradientSink, LearningRule, StepContext};

/// A diagnostics probe of one lane.
pub(super) struct DiagnosticsProbe<'a, T: Scalar> {
    pub(super) model: &'a mut Model<T>,
    /// The forward pass of the batch, with the current parameters.
    pub(super) pass: &'a ForwardPass<T>,
    pub(super) rule: &'a mut dyn LearningRule<T>,
    pub(super) kind: Rule,
    pub(super) lane: usize,
    /// Updates done.
    pub(super) update: u64,
    pub(super) target_step: f64,
    pub(super) noise_std: f64,
    pub(super) noise: &'a mut dyn FnMut(usize, &mut [T]),
}

impl<T: Scalar> DiagnosticsProbe<'_, T> {
    /// The points of these measures, layer by layer. A measure that is undefined for a layer has no point there.
    pub(super) fn measure(&mut self, measures: &[Measure]) -> Result<Vec<DiagnosticPoint>, TchError> {
        let wanted = |measure: Measure| measures.contains(&measure);
        let gradients = [Measure::UpdateAngle, Measure::UpdateNorm, Measure::ReconstructionError];
        let of_rule = if gradients.into_iter().any(wanted) { self.backward(None)? } else { Vec::new() };
        let reconstructions = self.rule.inverse_losses().to_vec();
        let of_loss = if wanted(Measure::UpdateAngle) { self.backward(Some(Rule::Bp))? } else { Vec::new() };
        let mut points = Vec::new();
        for &measure in measures {
            for layer in 1..=self.model.architecture.topology.output() {
                let found = match measure {
                    Measure::UpdateAngle => angle(&of_rule[layer - 1], &of_loss[layer - 1]),
                    Measure::UpdateNorm => Some(norm(&of_rule[layer - 1])),
                    Measure::WeightNorm => Some(norm(&doubles(self.model.forward.raw_weight(self.lane, layer)))),
                    Measure::FeedbackAngle => self.feedback_angle(layer),
                    Measure::ReconstructionError => {
                        let units = self.model.architecture.hidden_channels(layer) * self.positions(layer);
                        let of_layer = reconstructions.iter().find(|(decoder, _)| *decoder == layer);
                        of_layer.map(|(_, loss)| loss / units as f64)
                    }
                    Measure::DeadUnits => self.dead_units(layer),
                    Measure::SaturatedUnits => self.saturated_units(layer),
                };
                let point = |value| DiagnosticPoint { update: self.update, layer: layer as u32, measure, value };
                points.extend(found.filter(|value| value.is_finite()).map(point));
            }
        }
        Ok(points)
    }

    /// The weight gradients of all layers, by the rule of the lane or by another rule.
    fn backward(&mut self, other: Option<Rule>) -> Result<Vec<Vec<f64>>, TchError> {
        let mut context = StepContext {
            lane: self.lane,
            target_step: self.target_step,
            noise_std: self.noise_std,
            noise: self.noise,
            forward_sink: GradientSink::Gradients,
            decoder_sink: GradientSink::Gradients,
            wants_decoder_losses: true,
        };
        match other {
            None => self.rule.backward(self.model, self.pass, &mut context)?,
            Some(rule) => {
                rules::new(rule, self.model, self.pass.batch_size)?.backward(self.model, self.pass, &mut context)?;
            }
        }
        let forward = &self.model.forward;
        Ok(forward.layers().map(|layer| doubles(&forward.weight_gradient(layer))).collect())
    }

    fn positions(&self, layer: usize) -> usize {
        self.model.architecture.extent(layer).positions()
    }

    /// The angle between the feedback weights of a layer and its forward weights.
    fn feedback_angle(&self, layer: usize) -> Option<f64> {
        let weight = doubles(&self.model.forward.weight(self.lane, layer));
        let sign = |weight: &f64| if *weight == 0.0 { 0.0 } else { weight.signum() };
        let fixed = || {
            let feedback = self.model.feedback.as_ref().filter(|feedback| feedback.layers().contains(&layer));
            feedback.map(|feedback| doubles(&feedback.weight(self.lane, layer)))
        };
        let feedback = match self.kind {
            Rule::Fa => fixed()?,
            Rule::Usf => (layer > 1).then(|| weight.iter().map(sign).collect())?,
            Rule::Frsf => fixed()?.iter().zip(&weight).map(|(size, weight)| size.abs() * sign(weight)).collect(),
            Rule::Bp | Rule::Dfa | Rule::Dtp | Rule::Sdtp => return None,
        };
        angle(&feedback, &weight)
    }

    /// The activations of a hidden layer, image by image.
    fn activations(&self, layer: usize) -> Option<impl Iterator<Item = Vec<f64>>> {
        if layer == self.model.architecture.topology.output() {
            return None;
        }
        let (numbers, strided_rows) = self.pass.hidden.values(layer);
        let starts: Vec<usize> = strided_rows.starts().collect();
        let (length, of_image) = (strided_rows.length, starts.len() / self.pass.batch_size);
        let images: Vec<Vec<usize>> = starts.chunks(of_image).map(<[usize]>::to_vec).collect();
        let row = move |start: usize| doubles(&numbers[start..start + length]);
        Some(images.into_iter().map(move |starts| starts.into_iter().flat_map(&row).collect()))
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
    let dot: f64 = left.iter().zip(right).map(|(left, right)| left * right).sum();
    let norms = norm(left) * norm(right);
    (norms > 0.0).then(|| (dot / norms).clamp(-1.0, 1.0).acos().to_degrees())
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
