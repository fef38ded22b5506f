//! The model: the architecture, the parameters of all lanes, and the forward pass.
//!
//! | module | contents |
//! |---|---|
//! | here | the model, its initial values |
//! | [`group`] | the parameters that a learning rule adds |
//! | [`parameters`] | weights, biases and gradients in flat buffers |
//! | [`optimisers`] | the optimisers of one lane |
//! | [`saved`] | parameters and optimiser state as named tensors |
//! | `pass` | the forward pass of one batch |

pub mod group;
pub mod optimisers;
pub mod parameters;
mod pass;
pub mod saved;

use biosweep_common::configuration::Hyperparameters;
use biosweep_common::vocabulary::ActivationFunction;
use biosweep_numeric::random::{Purpose, Stream};
use tch::TchError;

use self::group::{Change, FirstDraw, Gain, Group, Law, ParameterGroup, forward_spec};
use self::parameters::Parameters;
pub use self::pass::{ForwardPass, LayerValues};
use crate::architecture::Architecture;
use crate::kernels::scalar::Scalar;
use crate::kernels::transfer::{draw_normal, fill};

/// The parameters of all lanes of one network.
#[derive(Debug)]
pub struct Model<T> {
    /// The architecture of the network.
    pub architecture: Architecture,
    /// The activation function σ of the hidden layers.
    pub activation: ActivationFunction,
    /// W and b of layers 1 to L+1.
    pub forward: Parameters<T>,
    /// The parameters that the learning rule adds.
    pub groups: Vec<Group<T>>,
}

/// The source of a lane's random numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seed {
    /// The seed of the trajectory.
    pub seed: u64,
    /// The fold of the trajectory.
    pub fold: u32,
}

impl<T: Scalar> Model<T> {
    /// A model whose parameters are zero, with the groups of a learning rule.
    ///
    /// # Errors
    /// Memory allocation fails.
    pub fn zeros(
        architecture: Architecture,
        activation: ActivationFunction,
        lanes: usize,
        groups: Vec<ParameterGroup>,
    ) -> Result<Self, TchError> {
        let forward_of = |layer: usize| forward_spec(&architecture, layer);
        let forward = Parameters::zeros(lanes, 1, (1..=architecture.topology.output()).map(forward_of).collect())?;
        let with_memory = |declared: ParameterGroup| {
            let parameters = Parameters::zeros(lanes, declared.first, declared.specs.clone())?;
            Ok(Group { declared, parameters })
        };
        let groups = groups.into_iter().map(with_memory).collect::<Result<_, TchError>>()?;
        Ok(Self { architecture, activation, forward, groups })
    }

    /// The parameters of a group.
    ///
    /// # Panics
    /// The rule declares no group of this name.
    #[must_use]
    pub fn group(&self, name: &str) -> &Parameters<T> {
        let group = self.groups.iter().find(|group| group.declared.name == name);
        &group.unwrap_or_else(|| panic!("the rule declares no parameters `{name}`")).parameters
    }

    /// The parameters of a group, mutable.
    ///
    /// # Panics
    /// The rule declares no group of this name.
    #[must_use]
    pub fn group_mut(&mut self, name: &str) -> &mut Parameters<T> {
        let group = self.groups.iter_mut().find(|group| group.declared.name == name);
        &mut group.unwrap_or_else(|| panic!("the rule declares no parameters `{name}`")).parameters
    }

    /// Draws the initial parameters of a lane. Forward weights are from N(0, 2/fan_in) for relu and from N(0, 1/fan_in)
    /// otherwise, other parameters from the law of their group and the hyperparameters. Biases are zero.
    pub fn draw(&mut self, lane: usize, seed: Seed, own: &Hyperparameters) {
        let Self { activation, forward, groups, .. } = self;
        let numbers = |parameters: &Parameters<T>, layer: usize, law: Law, scale: f64| {
            let spec = &parameters.parameter_range(layer).spec;
            let mut numbers = vec![T::default(); spec.count()];
            let std = scale * law.std(*activation, spec.inputs.fan_in());
            T::fill_normal(&mut numbers, &mut seed.stream((law.purpose)(layer as u32), 0), std);
            numbers
        };
        let of_forward = Law { purpose: Purpose::Weights, gain: Gain::OfActivation, first_draw: FirstDraw::plain };
        for layer in forward.layers() {
            let drawn = numbers(forward, layer, of_forward, 1.0);
            forward.set_weight(lane, layer, &drawn);
            fill(forward.bias_mut(lane, layer), T::default());
        }
        for Group { declared: ParameterGroup { law, .. }, parameters } in groups {
            let FirstDraw { scale, alignment } = (law.first_draw)(own);
            for layer in parameters.layers() {
                let mut drawn = numbers(parameters, layer, *law, scale);
                if alignment > 0.0 {
                    let (of_weights, of_drawn) = (scale * alignment, (1.0 - alignment * alignment).sqrt());
                    let weights = forward.weight(lane, layer);
                    drawn.iter_mut().zip(weights).for_each(|(drawn, weight)| {
                        *drawn = T::from_f64(of_weights * weight.to_f64() + of_drawn * drawn.to_f64());
                    });
                }
                parameters.set_weight(lane, layer, &drawn);
                fill(parameters.bias_mut(lane, layer), T::default());
            }
        }
    }

    /// Draws the parameters of a lane that are drawn anew at every update, in memory order: the order of files would take
    /// longer than the rest of the draw.
    pub fn redraw(&mut self, lane: usize, seed: Seed, update: u64) {
        for Group { declared: ParameterGroup { law, change, .. }, parameters } in &mut self.groups {
            if !matches!(change, Change::Redrawn) {
                continue;
            }
            for layer in parameters.layers() {
                let std = law.std(self.activation, parameters.parameter_range(layer).spec.inputs.fan_in());
                let mut stream = seed.stream((law.purpose)(layer as u32), update);
                draw_normal(parameters.raw_weight_mut(lane, layer), &mut stream, std);
            }
        }
    }
}

impl Seed {
    /// The stream of random numbers for a purpose, at a draw.
    #[must_use]
    pub fn stream(self, purpose: Purpose, draw: u64) -> Stream {
        Stream::new(self.seed, self.fold, purpose, draw)
    }
}

#[cfg(test)]
mod tests {
    use biosweep_common::configuration::Skip;
    use biosweep_common::network::topology::Topology;
    use biosweep_common::vocabulary::Network;
    use biosweep_common::vocabulary::extent::Extent;

    use super::group::FEEDBACK;
    use super::*;

    #[test]
    fn parameters_are_drawn_anew_at_every_update_and_equally_for_equal_updates() {
        let sizes = |change: Change, update: u64| {
            let topology = Topology::new(Network::Nn, 2, &Skip::default());
            let architecture = Architecture::new(topology, false, [20, 40, 50, 10].map(Extent::flat).to_vec());
            let groups = vec![ParameterGroup::layerwise_feedback(&architecture, change, FirstDraw::plain)];
            let mut model = Model::<f64>::zeros(architecture, ActivationFunction::Relu, 2, groups).expect("memory");
            model.draw(1, Seed { seed: 3, fold: 0 }, &Hyperparameters::default());
            model.redraw(1, Seed { seed: 3, fold: 0 }, update);
            model.group(FEEDBACK).weight(1, 2)
        };
        let first = sizes(Change::Redrawn, 1);
        assert_eq!(first, sizes(Change::Redrawn, 1));
        assert_ne!(first, sizes(Change::Redrawn, 2));
        assert_eq!(sizes(Change::Fixed, 1), sizes(Change::Fixed, 2));
        let variance = first.iter().map(|size| size * size).sum::<f64>() / first.len() as f64;
        assert!((variance * 40.0 / 2.0 - 1.0).abs() < 0.2, "N(0, 2/fan_in) for relu, but the variance is {variance}");
    }

    #[test]
    fn feedback_has_the_correlation_with_the_weights_and_the_scale_of_its_settings() {
        let drawn = |feedback_alignment: f64, feedback_scale: f64| {
            let topology = Topology::new(Network::Nn, 2, &Skip::default());
            let architecture = Architecture::new(topology, false, [20, 100, 100, 10].map(Extent::flat).to_vec());
            let groups = vec![ParameterGroup::layerwise_feedback(&architecture, Change::Fixed, FirstDraw::aligned)];
            let mut model = Model::<f64>::zeros(architecture, ActivationFunction::Relu, 1, groups).expect("memory");
            let own = Hyperparameters { feedback_alignment, feedback_scale, ..Hyperparameters::default() };
            model.draw(0, Seed { seed: 3, fold: 0 }, &own);
            (model.forward.weight(0, 2), model.group(FEEDBACK).weight(0, 2))
        };
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        for alignment in [0.0, 0.3, 0.9, 1.0] {
            for scale in [1.0, 0.5, 3.0] {
                let (weights, feedback) = drawn(alignment, scale);
                let norms = (dot(&weights, &weights), dot(&feedback, &feedback));
                let correlation = dot(&weights, &feedback) / (norms.0 * norms.1).sqrt();
                // Four standard deviations of a correlation of 10,000 weights.
                assert!((correlation - alignment).abs() < 0.04, "{alignment} {scale}: {correlation}");
                assert!(((norms.1 / norms.0).sqrt() / scale - 1.0).abs() < 0.04, "{alignment} {scale}: {norms:?}");
            }
        }
        let (weights, feedback) = drawn(1.0, 1.0);
        assert_eq!(weights, feedback);
        let (half, whole) = (drawn(0.0, 0.5).1, drawn(0.0, 1.0).1);
        assert!(half.iter().zip(&whole).all(|(half, whole)| (2.0 * half - whole).abs() < 1e-12));
    }
}
