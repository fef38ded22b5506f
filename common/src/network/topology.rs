//! The connections of a network: the sources of each layer.
//!
//! Layer 0 is the input, layers 1 to L are hidden (L is the depth), and layer L+1 is the linear output. Im, Patil and
//! Branson (arXiv 2001.01647) compare two architectures: a chain, and dense connections from every hidden layer to
//! every later layer (Huang et al. 2017). In their discussion they ask about architectures like that of the brain,
//! where the lengths of connections have a log-normal distribution. The network `lognormal` is such an architecture.
//!
//! Two networks take the effects of skip connections apart. In `readout` only the output has skip connections, so that errors
//! reach every layer in one step. In `residual` the skip connections have no weights (He et al. 2016): a hidden layer adds
//! its activations to those of the layer before, h_l = h_{l-1} + σ(z_l).

use std::ops::RangeInclusive;

use crate::configuration::Skip;
use crate::vocabulary::Network;

/// The sources of every layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    /// Of layer 1 first and of the output last; each list is ascending and not empty.
    sources: Vec<Vec<usize>>,
    /// Whether hidden layers above the first add the layer before.
    is_residual: bool,
}

impl Topology {
    /// The connections of a network with `depth` hidden layers, at least one.
    #[must_use]
    pub fn new(network: Network, depth: usize, skip: &Skip) -> Self {
        let output = depth.max(1) + 1;
        let drawn = (network == Network::Lognormal).then(|| Drawn::new(output, skip));
        let sources = |layer: usize| match (network, layer) {
            (_, 1) => vec![0],
            (Network::Readout, _) if layer == output => (1..layer).collect(),
            (Network::Nn | Network::Convnet | Network::Readout | Network::Residual, _) => vec![layer - 1],
            (Network::Dn, _) if skip.input => (0..layer).collect(),
            (Network::Dn | Network::DenseConvnet, _) => (1..layer).collect(),
            (Network::Lognormal, _) => {
                let kept = |source: &usize| drawn.as_ref().is_some_and(|drawn| drawn.keeps(*source, layer));
                (1..layer - 1).filter(kept).chain([layer - 1]).collect()
            }
        };
        Self { sources: (1..=output).map(sources).collect(), is_residual: network == Network::Residual }
    }

    /// The number of hidden layers.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.sources.len() - 1
    }

    /// The number of the output layer.
    #[must_use]
    pub fn output(&self) -> usize {
        self.sources.len()
    }

    /// The numbers of the hidden layers.
    #[must_use]
    pub fn hidden(&self) -> RangeInclusive<usize> {
        1..=self.depth()
    }

    /// The sources of `layer`, ascending; `layer` is 1 to L+1.
    #[must_use]
    pub fn sources(&self, layer: usize) -> &[usize] {
        &self.sources[layer - 1]
    }

    /// I(l): whether the activations of a layer are h_l = h_{l-1} + σ(z_l), and not σ(z_l) alone.
    #[must_use]
    pub fn has_identity(&self, layer: usize) -> bool {
        self.is_residual && (2..self.output()).contains(&layer)
    }

    /// The layers that have `layer` as a source, ascending.
    pub fn readers(&self, layer: usize) -> impl DoubleEndedIterator<Item = usize> {
        (1..=self.output()).filter(move |&reader| self.sources(reader).contains(&layer))
    }
}

/// Random skip connections. One over a distance of d layers, d ≥ 2, exists with probability
///
/// p(d) = min(1, c · exp(−(ln d)² / 2σ²)),
///
/// where c is chosen so that the expected fraction of connections is the given density.
struct Drawn {
    sigma: f64,
    scale: f64,
    seed: u64,
}

impl Drawn {
    fn new(output: usize, skip: &Skip) -> Self {
        let mut drawn = Self { sigma: skip.decay.0, scale: 0.0, seed: skip.seed };
        // The number of pairs of a hidden layer and a later layer at distance d.
        let pairs = |distance: usize| (output - distance) as f64;
        let possible: f64 = (2..output).map(pairs).sum();
        let wanted = skip.density.0 * possible;
        // The expected number is continuous and increasing in c, so bisection finds c to the last bit.
        let (mut low, mut high) = (0.0_f64, 1.0);
        let expected = |drawn: &Self| (2..output).map(|d| pairs(d) * drawn.probability(d)).sum::<f64>();
        loop {
            drawn.scale = high;
            if expected(&drawn) >= wanted * (1.0 - 1e-12) || high > f64::MAX / 4.0 {
                break;
            }
            high *= 2.0;
        }
        for _ in 0..2_000 {
            drawn.scale = f64::midpoint(low, high);
            if drawn.scale <= low || drawn.scale >= high {
                break;
            }
            if expected(&drawn) < wanted { low = drawn.scale } else { high = drawn.scale }
        }
        drawn.scale = high;
        drawn
    }

    fn probability(&self, distance: usize) -> f64 {
        let logarithm = (distance as f64).ln() / self.sigma;
        (self.scale * (-0.5 * logarithm * logarithm).exp()).min(1.0)
    }

    fn keeps(&self, source: usize, reader: usize) -> bool {
        let mut hasher = blake3::Hasher::new_derive_key("biosweep skip connections 1");
        hasher.update(&self.seed.to_le_bytes());
        hasher.update(&(source as u64).to_le_bytes());
        hasher.update(&(reader as u64).to_le_bytes());
        let mut bits = [0; 8];
        hasher.finalize_xof().fill(&mut bits);
        let unit = (u64::from_le_bytes(bits) >> 11) as f64 / (1_u64 << 53) as f64;
        unit < self.probability(reader - source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::Real;

    fn topology(network: Network, depth: usize) -> Topology {
        Topology::new(network, depth, &Skip::default())
    }

    #[test]
    fn a_layer_of_a_chain_has_the_previous_layer_as_source() {
        for network in [Network::Nn, Network::Convnet, Network::Residual] {
            let chain = topology(network, 3);
            assert_eq!((1..=4).map(|layer| chain.sources(layer)).collect::<Vec<_>>(), [[0], [1], [2], [3]]);
            assert_eq!(chain.readers(2).collect::<Vec<_>>(), [3]);
        }
    }

    #[test]
    fn a_dense_layer_has_all_previous_hidden_layers_as_sources_but_not_the_input() {
        for network in [Network::Dn, Network::DenseConvnet] {
            let dense = topology(network, 3);
            assert_eq!(dense.sources(1), [0]);
            assert_eq!(dense.sources(2), [1]);
            assert_eq!(dense.sources(3), [1, 2]);
            assert_eq!(dense.sources(dense.output()), [1, 2, 3]);
            assert_eq!(dense.readers(1).collect::<Vec<_>>(), [2, 3, 4]);
        }
    }

    #[test]
    fn only_the_output_of_a_readout_network_has_several_sources() {
        let readout = topology(Network::Readout, 3);
        assert_eq!((1..=4).map(|layer| readout.sources(layer).len()).collect::<Vec<_>>(), [1, 1, 1, 3]);
        assert_eq!((readout.sources(3), readout.sources(4)), (&[2][..], &[1, 2, 3][..]));
    }

    #[test]
    fn only_hidden_layers_above_the_first_of_a_residual_network_add_the_layer_before() {
        for &network in Network::ALL {
            let with_identity: Vec<usize> = (1..=4).filter(|&layer| topology(network, 3).has_identity(layer)).collect();
            assert_eq!(with_identity, if network == Network::Residual { vec![2, 3] } else { vec![] }, "{network}");
        }
    }

    #[test]
    fn a_dense_layer_also_has_the_input_as_source_with_skip_input() {
        let dense = Topology::new(Network::Dn, 2, &Skip { input: true, ..Skip::default() });
        assert_eq!(
            (1..=3).map(|layer| dense.sources(layer).to_vec()).collect::<Vec<_>>(),
            [vec![0], vec![0, 1], vec![0, 1, 2]]
        );
    }

    /// The skip connections of many draws: for each distance, the existing and the possible ones.
    fn census(depth: usize, density: f64, decay: f64) -> Vec<(usize, usize)> {
        let mut census = vec![(0, 0); depth + 1];
        for seed in 0..400 {
            let skip = Skip { density: Real(density), decay: Real(decay), seed, ..Skip::default() };
            let topology = Topology::new(Network::Lognormal, depth, &skip);
            for reader in 2..=topology.output() {
                assert!(topology.sources(reader).is_sorted() && topology.sources(reader).ends_with(&[reader - 1]));
                for source in 1..reader - 1 {
                    census[reader - source].1 += 1;
                    census[reader - source].0 += usize::from(topology.sources(reader).contains(&source));
                }
            }
        }
        census
    }

    #[test]
    fn skip_connections_have_the_given_density_and_are_fewer_over_longer_distances() {
        for density in [0.1, 0.3, 0.7] {
            let census = census(10, density, 1.0);
            let (kept, possible) = census.iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
            // Five standard deviations of a fraction of at least 18,000 draws.
            assert!((kept as f64 / possible as f64 - density).abs() < 0.019, "{density}: {kept} of {possible}");
            let share = |distance: usize| census[distance].0 as f64 / census[distance].1 as f64;
            assert!(share(2) > share(4) && share(4) > share(8), "{density}");
        }
    }

    #[test]
    fn density_1_gives_a_dense_network_and_a_draw_is_repeatable() {
        let all = Skip { density: Real(1.0), ..Skip::default() };
        assert_eq!(Topology::new(Network::Lognormal, 6, &all), topology(Network::Dn, 6));
        assert_eq!(topology(Network::Lognormal, 9), topology(Network::Lognormal, 9));
        let other = Skip { seed: 1, ..Skip::default() };
        assert_ne!(topology(Network::Lognormal, 9), Topology::new(Network::Lognormal, 9, &other));
    }

    #[test]
    fn a_narrow_decay_and_a_single_layer_work_too() {
        let narrow = Skip { decay: Real(1e-3), density: Real(0.5), ..Skip::default() };
        for depth in [1, 2, 3, 20] {
            assert_eq!(Topology::new(Network::Lognormal, depth, &narrow).depth(), depth);
        }
    }
}
