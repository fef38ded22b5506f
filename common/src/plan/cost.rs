//! Estimates of training cost, from the multiply-adds of the matrix products.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::configuration::{Convolution, Shape, Skip};
use crate::grid::{Block, Grid};
use crate::network::extents::extents;
use crate::network::topology::Topology;
use crate::rules::{Decoders, Descriptor, Errors, Learned};
use crate::settings::{Setting, Value};
use crate::vocabulary::dataset::DatasetRef;
use crate::vocabulary::{Dataset, Network, ParametersAs};

/// Multiply-adds per second of one core, assumed in estimates for networks of the usual shapes. Measured rates of
/// single cores are within a factor of two.
pub const MULTIPLY_ADDS_PER_CORE_SECOND: f64 = 3e10;

/// The maximum number of shapes that are examined one by one.
pub(crate) const SHAPES_MAX: u64 = 10_000;

/// The trajectories of a grid as ranges of one shape, by descending cost of complete training, so that no expensive one
/// starts last. `None` if there are more than `SHAPES_MAX` shapes.
#[must_use]
pub fn by_descending_cost(grid: &Grid) -> Option<Vec<Range<u64>>> {
    let shapes = grid.blocks().iter().try_fold(0_u64, |sum, block| sum.checked_add(block.shapes()))?;
    if shapes > SHAPES_MAX {
        return None;
    }
    let mut costs = Costs::default();
    let mut runs = Vec::new();
    let mut border = 0;
    for block in grid.blocks() {
        let updates = updates(block).most;
        let mut start = 0;
        while start < block.trajectories() {
            let end = block.shape_run_end(start);
            runs.push((updates * costs.of(&shape(block, start)), border + start..border + end));
            start = end;
        }
        border += block.trajectories();
    }
    runs.sort_by(|(left, _), (right, _)| right.total_cmp(left));
    Some(runs.into_iter().map(|(_, run)| run).collect())
}

/// The shape of a trajectory; `trajectory` is its index in the block.
pub(crate) fn shape(block: &Block, trajectory: u64) -> Shape {
    block.configuration(trajectory * block.trials_a_trajectory()).shape
}

/// Updates of the trials of a trajectory, without early stopping.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Updates {
    /// Of the longest trial.
    pub(crate) most: f64,
    /// On average.
    pub(crate) mean: f64,
}

pub(crate) fn updates(block: &Block) -> Updates {
    let varying = block.dimensions().iter().find(|dimension| dimension.axis(Setting::MaxUpdates).is_some());
    let Some(dimension) = varying else {
        let all = block.configuration(0).stopping_rule.max_updates as f64;
        return Updates { most: all, mean: all };
    };
    // The number of trials per trajectory is limited, so this loop is short.
    let each = (0..dimension.len()).flat_map(|digit| dimension.values(digit));
    let values = each.filter(|(setting, _)| *setting == Setting::MaxUpdates);
    let updates: Vec<u64> = values.filter_map(|(_, value)| as_integer(&value)).collect();
    let sum: f64 = updates.iter().map(|&updates| updates as f64).sum();
    let most = updates.iter().copied().max().unwrap_or(0) as f64;
    Updates { most, mean: sum / updates.len().max(1) as f64 }
}

fn as_integer(value: &Value) -> Option<u64> {
    match value {
        Value::Integer(number) => Some(*number),
        Value::Name(_) | Value::Real(_) | Value::Integers(_) | Value::Flag(_) => None,
    }
}

/// Multiply-adds per update, cached by network structure.
#[derive(Debug, Default)]
pub(crate) struct Costs(BTreeMap<Structure, Products>);

/// The settings that decide the connections of a network.
type Structure = (DatasetRef, Network, u32, u32, Option<ParametersAs>, Convolution, Skip);

/// Multiply-adds for one image in one direction.
#[derive(Debug, Clone, Copy, Default)]
struct Products {
    /// From the input to hidden layers.
    of_input: f64,
    /// From hidden layers to hidden layers.
    of_hidden: f64,
    /// From hidden layers to the output.
    of_output: f64,
    /// From the output directly to every unit.
    direct: f64,
    /// From each hidden layer to classes of its own.
    auxiliary: f64,
    /// From each hidden layer through all later layers.
    carried: f64,
}

impl Costs {
    /// Multiply-adds of one update of one trajectory, without evaluations.
    pub(crate) fn of(&mut self, shape: &Shape) -> f64 {
        let Shape { dataset, network, depth, hidden, parameters_as, convolution, skip, .. } = shape.clone();
        let structure = (dataset, network, depth, hidden, parameters_as, convolution, skip);
        let Products { of_input, of_hidden, of_output, direct, auxiliary, carried } =
            *self.0.entry(structure).or_insert_with(|| Products::of(shape));
        // Forward pass and weight gradients.
        let both = 2.0 * (of_input + of_hidden + of_output);
        let Descriptor { errors, decoders, learned, .. } = shape.rule.descriptor();
        let of_errors = match errors {
            Errors::ThroughLayers => of_hidden + of_output,
            Errors::ThroughOutput => of_output,
            Errors::Direct => direct,
            Errors::Inference => f64::from(shape.procedure.inference_steps) * 2.0 * (of_hidden + of_output),
            Errors::None => 0.0,
        };
        let with_decoders = match decoders {
            Decoders::None => 0.0,
            Decoders::OfHiddenLayers => of_hidden,
            Decoders::OfAllLayers => of_hidden + of_output,
            Decoders::FromOutput => auxiliary,
        };
        // A correction uses a decoder twice, unless the decoder is linear.
        let of_corrections = match learned {
            Learned::DifferenceDecoders | Learned::OutputDecoders => with_decoders,
            _ => 2.0 * with_decoders,
        };
        let decoder_steps = f64::from(shape.procedure.decoder_steps);
        let of_learned = match (learned, errors) {
            (Learned::None, _) => 0.0,
            (Learned::Decoders, _) => decoder_steps * 3.0 * with_decoders,
            (Learned::DifferenceDecoders, _) => decoder_steps * 4.0 * with_decoders,
            (Learned::OutputDecoders, _) => decoder_steps * (carried + 2.0 * with_decoders),
            (Learned::Feedback, Errors::Direct) => direct,
            (Learned::Feedback, _) => 0.0,
            (Learned::Auxiliary, _) => 3.0 * auxiliary,
        };
        let per_image = both + of_errors + of_corrections + of_learned;
        per_image * f64::from(shape.batch_size)
    }
}

impl Products {
    fn of(shape: &Shape) -> Self {
        let topology = Topology::new(shape.network, shape.depth as usize, &shape.skip);
        // The size of custom data is unknown here; an estimate does not read it.
        let dataset = match shape.dataset {
            DatasetRef::Named(dataset) => dataset,
            DatasetRef::Custom(_) => Dataset::Mnist,
        };
        let classes = dataset.classes();
        // A network that cannot be built is reported when the spec is read.
        let Ok(extents) = extents(shape, dataset.image(), classes) else { return Self::default() };
        let taps = if shape.network.is_convolutional() { 9.0 } else { 1.0 };
        let mut products = Self::default();
        for layer in 1..=topology.output() {
            let positions = extents[layer].positions() as f64;
            let mut of_layer = 0.0;
            for &source in topology.sources(layer) {
                let (from, to) = (extents[source].channels as f64, extents[layer].channels as f64);
                let product = if layer == topology.output() { from * to } else { positions * taps * from * to };
                match (source, layer == topology.output()) {
                    (0, _) => products.of_input += product,
                    (_, false) => products.of_hidden += product,
                    (_, true) => products.of_output += product,
                }
                of_layer += product;
            }
            products.carried += (layer - 1) as f64 * of_layer;
            products.direct += (extents[layer].units() * classes) as f64;
            if layer < topology.output() {
                products.auxiliary += (extents[layer].channels * classes) as f64;
            }
        }
        products
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Rule;
    use crate::spec::{Format, SweepSpec};
    use crate::vocabulary::ids::TrajectoryIndex;

    fn grid(lines: &str) -> Grid {
        let text = format!("name = \"c\"\n[data]\ndataset = \"mnist\"\n[grid]\nnetwork = \"nn\"\n{lines}");
        SweepSpec::parse(&text, Format::Toml, "c").unwrap_or_else(|errors| panic!("{errors}")).grid
    }

    #[test]
    fn the_order_is_by_descending_cost_and_stable() {
        let grid = grid(
            "rule = [\"bp\", \"fa\", \"dtp\"]\nseed = [0, 1]\n[[block]]\ndepth = [2, 5]\n\
             [[block]]\ndepth = 3\nmax_updates = [10, 78_000]\n",
        );
        let runs = by_descending_cost(&grid).expect("few");
        let first = |run: &Range<u64>| grid.trajectory(TrajectoryIndex(run.start)).expect("in the grid");
        let order: Vec<_> = runs.iter().map(|run| (first(run).shape.rule, first(run).shape.depth)).collect();
        let (bp, fa, dtp) = (Rule::Bp, Rule::Fa, Rule::Dtp);
        assert_eq!(order[..3], [(dtp, 3), (bp, 3), (fa, 3)], "twenty times the updates");
        assert_eq!(order[3..], [(dtp, 5), (bp, 5), (fa, 5), (dtp, 2), (bp, 2), (fa, 2)]);
        let mut covered: Vec<u64> = runs.into_iter().flatten().collect();
        covered.sort_unstable();
        assert_eq!(covered, (0..grid.trajectories()).collect::<Vec<_>>());
    }

    #[test]
    fn parameters_that_learn_cost_their_products() {
        let cost = |rule: &str| {
            let grid = grid(&format!("rule = \"{rule}\"\ndepth = 4\n"));
            Costs::default().of(&grid.trajectory(TrajectoryIndex(0)).expect("in the grid").shape) / 128.0
        };
        let (hidden, classes) = (3.0 * 128.0 * 128.0, 128.0 * 10.0);
        assert_eq!(cost("kp"), cost("fa"), "the gradient of the feedback is that of the weights");
        assert_eq!(cost("dkp") - cost("dfa"), 4.0 * classes + 100.0);
        assert_eq!(cost("dtp") - cost("fwdtp"), 3.0 * hidden);
        assert_eq!(cost("bp") - cost("local"), hidden + classes - 3.0 * 4.0 * classes);
    }

    #[test]
    fn the_document_has_the_cost_of_every_rule() {
        const DOCUMENT: &str = include_str!("../../../docs/rules.md");
        let cost = |rule: Rule, network: Network, depth: u32| {
            let grid = grid(&format!("rule = \"{rule}\"\ndepth = {depth}\n"));
            let shape = grid.trajectory(TrajectoryIndex(0)).expect("in the grid").shape;
            Costs::default().of(&Shape { network, ..shape })
        };
        let mut table = "| rule | nn 5 | nn 10 | dn 5 | dn 10 |\n|---|---|---|---|---|\n".to_owned();
        for &rule in Rule::ALL {
            let of = |network, depth| cost(rule, network, depth) / cost(Rule::Bp, network, depth);
            let ratios = [(Network::Nn, 5), (Network::Nn, 10), (Network::Dn, 5), (Network::Dn, 10)];
            let cells = ratios.map(|(network, depth)| format!(" {:.1} |", of(network, depth)));
            table += &format!("| `{rule}` |{}\n", cells.concat());
        }
        assert!(DOCUMENT.contains(&table), "docs/rules.md needs this table:\n{table}");
    }

    #[test]
    fn more_than_the_maximum_of_shapes_gives_no_order() {
        assert_eq!(
            by_descending_cost(&grid("rule = \"bp\"\ndepth = 1\neval_every = { from = 1, to = 1_000_000 }\n")),
            None
        );
    }
}
