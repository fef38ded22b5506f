//! The units of hidden layers that follow from `parameters_as`.

use std::collections::BTreeSet;

use serde::Serialize;

use super::cost::shape;
use super::dataset_summary::{DatasetSummary, shapes};
use crate::grid::Grid;
use crate::network::topology::Topology;
use crate::network::width::{Ends, hidden_units, parameters, wanted_parameters};
use crate::vocabulary::dataset::DatasetRef;
use crate::vocabulary::{Network, ParametersAs};

/// A network with the units that `parameters_as` gives it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ResolvedWidth {
    /// The dataset, whose images and classes count.
    pub dataset: DatasetRef,
    /// The network.
    pub network: Network,
    /// Number of hidden layers.
    pub depth: u32,
    /// The network whose number of parameters is taken.
    pub parameters_as: ParametersAs,
    /// The units of a hidden layer of that network: the setting `hidden`.
    pub hidden: u32,
    /// The units of a hidden layer of this network.
    pub units: u64,
    /// The number of forward parameters of this network.
    pub parameters: u64,
    /// The number of forward parameters of that network.
    pub parameters_wanted: u64,
}

/// The units of all shapes of a grid with `parameters_as`, for these datasets. Of very many shapes only a sample is examined.
#[must_use]
pub fn widths(grid: &Grid, datasets: &[&DatasetSummary]) -> Vec<ResolvedWidth> {
    let mut widths = BTreeSet::new();
    for block in grid.blocks() {
        for trajectory in shapes(block) {
            let shape = shape(block, trajectory);
            let Some(parameters_as) = shape.parameters_as.filter(|_| shape.network.takes_parameters_as()) else {
                continue;
            };
            let Some(summary) = datasets.iter().find(|summary| summary.dataset == shape.dataset) else { continue };
            let ends = Ends { inputs: summary.image.units(), classes: summary.classes };
            let units = hidden_units(&shape, ends);
            let topology = Topology::new(shape.network, shape.depth as usize, &shape.skip);
            let count = |parameters: u128| u64::try_from(parameters).unwrap_or(u64::MAX);
            widths.insert(ResolvedWidth {
                parameters_as,
                units: units as u64,
                parameters: count(parameters(&topology, units, ends)),
                parameters_wanted: count(wanted_parameters(&shape, parameters_as, ends)),
                dataset: shape.dataset,
                network: shape.network,
                depth: shape.depth,
                hidden: shape.hidden,
            });
        }
    }
    widths.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{Format, SweepSpec};
    use crate::vocabulary::Dataset;

    #[test]
    fn each_network_and_depth_has_its_units_once() {
        let text = "name = \"w\"\n[data]\ndataset = \"mnist\"\n[grid]\nrule = [\"bp\", \"fa\"]\nnetwork = [\"nn\", \"dn\", \"readout\"]\n\
                    depth = [1, 5]\nparameters_as = \"dn\"\nfold = [0, 1]\n";
        let spec = SweepSpec::parse(text, Format::Toml, "w").unwrap_or_else(|errors| panic!("{errors}"));
        let found = widths(&spec.grid, &[&DatasetSummary::of_named(Dataset::Mnist)]);
        let of = |network, depth| {
            let is_wanted = |width: &&ResolvedWidth| (width.network, width.depth) == (network, depth);
            found.iter().filter(is_wanted).collect::<Vec<_>>()
        };
        assert_eq!(found.len(), 4, "dn has its own size: {found:?}");
        assert_eq!(of(Network::Nn, 1)[0].units, 128);
        let nn = of(Network::Nn, 5)[0];
        assert!(nn.units > 128 && nn.parameters.abs_diff(nn.parameters_wanted) < 1_000, "{nn:?}");
        assert!(of(Network::Readout, 5)[0].units < nn.units, "its output reads all layers");
        assert_eq!(widths(&spec.grid, &[]), []);
    }
}
