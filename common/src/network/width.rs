//! The units of a hidden layer: as given, or as many as bring a network's number of parameters nearest to that of another.
//!
//! A dense network has more weights than a chain of the same width. If it learns better, its size may be the cause. The setting
//! `parameters_as = "dn"` removes that difference: a chain gets the width at which it is as large.

use super::topology::Topology;
use crate::configuration::{Shape, Skip};
use crate::vocabulary::{Network, ParametersAs};

/// The numbers of inputs and outputs of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    /// Values of an image.
    pub inputs: usize,
    /// Classes.
    pub classes: usize,
}

/// The units of each hidden layer of a fully connected shape.
#[must_use]
pub fn hidden_units(shape: &Shape, ends: Ends) -> usize {
    let given = shape.hidden as usize;
    match shape.parameters_as.filter(|_| shape.network.takes_parameters_as()) {
        None => given,
        Some(other) => nearest(shape, ends, wanted_parameters(shape, other, ends)),
    }
}

/// The number of forward parameters, weights and biases, of a fully connected network.
#[must_use]
pub fn parameters(topology: &Topology, units: usize, ends: Ends) -> u128 {
    let width = |layer: usize| match layer {
        0 => ends.inputs as u128,
        _ if layer == topology.output() => ends.classes as u128,
        _ => units as u128,
    };
    let of_layer = |layer: usize| {
        let fan_in: u128 = topology.sources(layer).iter().map(|&source| width(source)).sum();
        (fan_in + 1) * width(layer)
    };
    (1..=topology.output()).map(of_layer).sum()
}

/// The number of forward parameters of the other network, with the depth and the units that the shape gives.
#[must_use]
pub fn wanted_parameters(shape: &Shape, other: ParametersAs, ends: Ends) -> u128 {
    let network = match other {
        ParametersAs::Dn => Network::Dn,
    };
    parameters(&Topology::new(network, shape.depth as usize, &Skip::default()), shape.hidden as usize, ends)
}

/// The width whose number of parameters is nearest to the wanted one; of two, the narrower.
fn nearest(shape: &Shape, ends: Ends, wanted: u128) -> usize {
    let topology = Topology::new(shape.network, shape.depth as usize, &shape.skip);
    let parameters = |units: usize| parameters(&topology, units, ends);
    // A dense layer has at most depth times the sources of a layer of a chain, so that this width is enough.
    let (mut below, mut enough) = (0, shape.hidden as usize * shape.depth as usize);
    while enough - below > 1 {
        let middle = usize::midpoint(below, enough);
        if parameters(middle) < wanted { below = middle } else { enough = middle }
    }
    let is_below_nearer = below > 0 && wanted - parameters(below) <= parameters(enough).abs_diff(wanted);
    if is_below_nearer { below } else { enough }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::{Configuration, Point};
    use crate::settings::{Setting, Value};

    const MNIST: Ends = Ends { inputs: 784, classes: 10 };

    fn shape(network: Network, depth: u64, hidden: u64, parameters_as: Option<&'static str>) -> Shape {
        let name = |name: &'static str| Value::Name(name.into());
        let mut point = Point::from([
            (Setting::Dataset, name("mnist")),
            (Setting::Network, name(network.name())),
            (Setting::Rule, name("bp")),
            (Setting::Depth, Value::Integer(depth)),
            (Setting::Hidden, Value::Integer(hidden)),
        ]);
        point.extend(parameters_as.map(|other| (Setting::ParametersAs, name(other))));
        Configuration::from_point(&point).expect("a configuration").shape
    }

    fn size(network: Network, depth: usize, units: usize) -> u128 {
        parameters(&Topology::new(network, depth, &Skip::default()), units, MNIST)
    }

    #[test]
    fn parameters_are_weights_and_biases() {
        assert_eq!(size(Network::Nn, 2, 128), 784 * 128 + 128 + 128 * 128 + 128 + 128 * 10 + 10);
        assert_eq!(size(Network::Dn, 3, 4), 784 * 4 + 4 + 16 + 4 + 32 + 4 + 120 + 10);
    }

    #[test]
    fn no_width_is_nearer_and_none_as_near_is_narrower() {
        for network in [Network::Nn, Network::Readout, Network::Residual] {
            for depth in [1, 2, 5, 10, 40] {
                for hidden in [1, 7, 128] {
                    let shape = shape(network, depth, hidden, Some("dn"));
                    let found = hidden_units(&shape, MNIST);
                    let wanted = size(Network::Dn, depth as usize, hidden as usize);
                    let distance = |units: usize| size(network, depth as usize, units).abs_diff(wanted);
                    let widths = 1..=hidden as usize * depth as usize + 2;
                    let best = widths.min_by_key(|&units| (distance(units), units));
                    assert_eq!(Some(found), best, "{network} {depth} {hidden}");
                }
            }
        }
    }

    #[test]
    fn a_network_of_its_own_size_has_the_given_units() {
        assert_eq!(hidden_units(&shape(Network::Nn, 5, 128, None), MNIST), 128);
        assert_eq!(hidden_units(&shape(Network::Nn, 1, 128, Some("dn")), MNIST), 128, "a single layer has no choice");
        assert_eq!(hidden_units(&shape(Network::Dn, 5, 128, Some("dn")), MNIST), 128, "dn does not take it");
    }
}
