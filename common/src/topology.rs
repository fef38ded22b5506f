//! Connectivity as data: which layers each layer reads.
//!
//! Layer 0 is the input, layers 1 to L are hidden (L is the depth), layer L+1 is the linear output. Im, Patil and
//! Branson (arXiv 2001.01647) compare two wirings: a chain, and dense connections from every hidden layer to every
//! layer after it (Huang et al. 2017).

use std::ops::RangeInclusive;

use crate::vocabulary::Network;

/// The sources of every layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    /// Of layer 1 first, of the output last; each ascending and not empty.
    sources: Vec<Vec<usize>>,
}

impl Topology {
    /// The wiring of a network with `depth` hidden layers, at least one.
    #[must_use]
    pub fn new(network: Network, depth: usize) -> Self {
        let sources = |layer: usize| match (network, layer) {
            (_, 1) => vec![0],
            (Network::Nn, _) => vec![layer - 1],
            (Network::Dn, _) => (1..layer).collect(),
        };
        Self { sources: (1..=depth.max(1) + 1).map(sources).collect() }
    }

    /// The number of hidden layers.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.sources.len() - 1
    }

    /// The output layer's number.
    #[must_use]
    pub fn output(&self) -> usize {
        self.sources.len()
    }

    /// The hidden layers' numbers.
    #[must_use]
    pub fn hidden(&self) -> RangeInclusive<usize> {
        1..=self.depth()
    }

    /// The layers that `layer` reads, ascending; `layer` is 1 to L+1.
    #[must_use]
    pub fn sources(&self, layer: usize) -> &[usize] {
        &self.sources[layer - 1]
    }

    /// The layers that read `layer`, ascending.
    pub fn readers(&self, layer: usize) -> impl DoubleEndedIterator<Item = usize> {
        (1..=self.output()).filter(move |&reader| self.sources(reader).contains(&layer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_reads_the_layer_before() {
        let chain = Topology::new(Network::Nn, 3);
        assert_eq!((1..=4).map(|layer| chain.sources(layer)).collect::<Vec<_>>(), [[0], [1], [2], [3]]);
        assert_eq!(chain.readers(2).collect::<Vec<_>>(), [3]);
    }

    #[test]
    fn a_dense_layer_reads_every_hidden_layer_before_it_and_not_the_input() {
        let dense = Topology::new(Network::Dn, 3);
        assert_eq!(dense.sources(1), [0]);
        assert_eq!(dense.sources(2), [1]);
        assert_eq!(dense.sources(3), [1, 2]);
        assert_eq!(dense.sources(dense.output()), [1, 2, 3]);
        assert_eq!(dense.readers(1).collect::<Vec<_>>(), [2, 3, 4]);
    }

    #[test]
    fn the_sources_of_every_layer_are_neighbours() {
        for network in Network::ALL {
            let topology = Topology::new(*network, 6);
            for layer in 1..=topology.output() {
                let sources = topology.sources(layer);
                assert_eq!(sources.len(), sources[sources.len() - 1] - sources[0] + 1, "{network} layer {layer}");
            }
        }
    }
}
