//! What a sweep holds and costs, before anything runs: by products, never by looking at each trial.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::configuration::{Convolution, Shape, Skip};
use crate::dataset::DatasetRef;
use crate::extents::extents;
use crate::grid::Block;
use crate::grid::axis::Dimension;
use crate::settings::{Setting, Value};
use crate::spec::SweepSpec;
use crate::topology::Topology;
use crate::vocabulary::{Dataset, Network, Rule};

/// Multiply-adds a core does in a second, in the shapes these networks have: what the estimate assumes. Measured
/// rates of single cores lie within a factor of two of it.
pub const MULTIPLY_ADDS_PER_CORE_SECOND: f64 = 3e10;

/// A sweep before it runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// Trials.
    pub trials: u64,
    /// Trajectories: trials that differ only in when to stop are trained once.
    pub trajectories: u64,
    /// Bundles, where a worker trains up to so many trajectories of one shape together as was asked.
    pub bundles: u64,
    /// Updates, where nothing stops early.
    pub updates_max: f64,
    /// Seconds it keeps one core busy, where nothing stops early: an estimate, good to a factor of two or three.
    pub core_seconds: f64,
    /// Its blocks, in order.
    pub blocks: Vec<BlockPlan>,
}

/// A block before it runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BlockPlan {
    /// Trials.
    pub trials: u64,
    /// Trajectories.
    pub trajectories: u64,
    /// Bundles.
    pub bundles: u64,
    /// Updates, where nothing stops early.
    pub updates_max: f64,
    /// Seconds it keeps one core busy, where nothing stops early.
    pub core_seconds: f64,
    /// What varies, most significant first.
    pub axes: Vec<AxisPlan>,
    /// What is the same in all its trials, as far as the spec names it.
    pub constants: Vec<(Setting, Value)>,
}

/// An axis before it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AxisPlan {
    /// The settings that vary along it; more than one where they are zipped.
    pub settings: Vec<Setting>,
    /// The number of its values.
    pub count: u64,
    /// The values, in words: all of a short list, the ends of a long one.
    pub values: String,
}

impl Plan {
    /// The plan of a sweep on workers that train up to `lanes` trajectories together.
    #[must_use]
    pub fn of(spec: &SweepSpec, lanes: u32) -> Self {
        let grid = &spec.grid;
        let blocks: Vec<_> = grid.blocks().iter().map(|block| plan_block(block, lanes.max(1).into())).collect();
        Self {
            trials: grid.trials(),
            trajectories: grid.trajectories(),
            bundles: blocks.iter().map(|block| block.bundles).sum(),
            updates_max: blocks.iter().map(|block| block.updates_max).sum(),
            core_seconds: blocks.iter().map(|block| block.core_seconds).sum(),
            blocks,
        }
    }
}

fn plan_block(block: &Block, lanes: u64) -> BlockPlan {
    let trajectories = block.trajectories();
    let (bundles, per_update) = if block.shapes() <= SHAPES_MAX {
        walk_shapes(block, lanes)
    } else {
        // Of very many shapes, some stand for all. Then no zip repeats one: its list would stand in the spec file.
        let of_each = (trajectories / block.shapes()).div_ceil(lanes);
        (block.shapes() * of_each, mean_of_some_shapes(block))
    };
    let updates_max = trajectories as f64 * updates_of_trajectory(block);
    BlockPlan {
        trials: block.trials(),
        trajectories,
        bundles,
        updates_max,
        core_seconds: updates_max * per_update / MULTIPLY_ADDS_PER_CORE_SECOND,
        axes: block.dimensions().iter().map(plan_axis).collect(),
        constants: block.constants().iter().map(|(setting, value)| (*setting, value.clone())).collect(),
    }
}

/// Shapes that are looked at one by one.
const SHAPES_MAX: u64 = 10_000;

/// The number of bundles, and the multiply-adds of an update on average.
fn walk_shapes(block: &Block, lanes: u64) -> (u64, f64) {
    let mut costs = Costs::default();
    let (mut bundles, mut cost, mut start) = (0, 0.0, 0);
    while start < block.trajectories() {
        let end = block.shape_run_end(start);
        bundles += (end - start).div_ceil(lanes);
        cost += (end - start) as f64 * costs.of(&shape(block, start));
        start = end;
    }
    (bundles, cost / block.trajectories() as f64)
}

fn mean_of_some_shapes(block: &Block) -> f64 {
    let mut costs = Costs::default();
    let spread = |n: u64| u128::from(n) * u128::from(block.trajectories()) / u128::from(SHAPES_MAX);
    let trajectory = |n: u64| u64::try_from(spread(n)).expect("a share of a u64 is a u64");
    (0..SHAPES_MAX).map(|n| costs.of(&shape(block, trajectory(n)))).sum::<f64>() / SHAPES_MAX as f64
}

fn shape(block: &Block, trajectory: u64) -> Shape {
    block.configuration(trajectory * (block.trials() / block.trajectories())).shape
}

/// Updates of a trajectory where nothing stops early: the most that any of its trials asks for.
fn updates_of_trajectory(block: &Block) -> f64 {
    let varying = block.dimensions().iter().find(|dimension| dimension.axis(Setting::MaxUpdates).is_some());
    let Some(dimension) = varying else { return block.configuration(0).stopping_rule.max_updates as f64 };
    // A trajectory has few trials, or it would have been refused.
    let each = (0..dimension.len()).flat_map(|digit| dimension.values(digit));
    let updates =
        each.filter(|(setting, _)| *setting == Setting::MaxUpdates).filter_map(|(_, value)| as_integer(&value));
    updates.max().unwrap_or(0) as f64
}

fn as_integer(value: &Value) -> Option<u64> {
    match value {
        Value::Integer(number) => Some(*number),
        Value::Name(_) | Value::Real(_) | Value::Integers(_) | Value::Flag(_) => None,
    }
}

/// Multiply-adds of one update; what a network connects is counted once.
#[derive(Default)]
struct Costs(BTreeMap<Structure, Products>);

/// All that decides what a network connects.
type Structure = (DatasetRef, Network, u32, u32, Convolution, Skip);

/// Multiply-adds for one image in one direction.
#[derive(Clone, Copy, Default)]
struct Products {
    /// From the input to hidden layers.
    of_input: f64,
    /// From hidden layers to hidden layers.
    of_hidden: f64,
    /// From hidden layers to the output.
    of_output: f64,
    /// From the output straight to every unit.
    direct: f64,
}

impl Costs {
    /// Multiply-adds of one update of one trajectory, evaluations aside.
    fn of(&mut self, shape: &Shape) -> f64 {
        let Shape { dataset, network, depth, hidden, convolution, skip, .. } = shape.clone();
        let structure = (dataset, network, depth, hidden, convolution, skip);
        let Products { of_input, of_hidden, of_output, direct } =
            *self.0.entry(structure).or_insert_with(|| Products::of(shape));
        // Forward and weight gradients.
        let both = 2.0 * (of_input + of_hidden + of_output);
        let per_image = match shape.rule {
            // Errors to all but the input.
            Rule::Bp | Rule::Fa | Rule::Usf | Rule::Frsf => both + of_hidden + of_output,
            Rule::Dfa => both + direct,
            // No errors through the layers; each decoder is used three times and learns, on noisy inputs encoded anew.
            Rule::Dtp => both + 5.0 * of_hidden + of_output,
            Rule::Sdtp => both + 5.0 * (of_hidden + of_output),
        };
        per_image * f64::from(shape.batch_size)
    }
}

impl Products {
    fn of(shape: &Shape) -> Self {
        let topology = Topology::new(shape.network, shape.depth as usize, &shape.skip);
        // Own data is not looked at for an estimate.
        let dataset = match shape.dataset {
            DatasetRef::Published(dataset) => dataset,
            DatasetRef::Own(_) => Dataset::Mnist,
        };
        let classes = dataset.classes();
        // A network that cannot be built is refused where its spec is read.
        let Ok(extents) = extents(shape, dataset.image(), classes) else { return Self::default() };
        let taps = if shape.network.is_convolutional() { 9.0 } else { 1.0 };
        let mut products = Self::default();
        for layer in 1..=topology.output() {
            let positions = extents[layer].positions() as f64;
            for &source in topology.sources(layer) {
                let (from, to) = (extents[source].channels as f64, extents[layer].channels as f64);
                match (source, layer == topology.output()) {
                    (0, _) => products.of_input += positions * taps * from * to,
                    (_, false) => products.of_hidden += positions * taps * from * to,
                    (_, true) => products.of_output += from * to,
                }
            }
            products.direct += (extents[layer].units() * classes) as f64;
        }
        products
    }
}

fn plan_axis(dimension: &Dimension) -> AxisPlan {
    AxisPlan {
        settings: dimension.axes().iter().map(|(setting, _)| *setting).collect(),
        count: dimension.len(),
        values: values_in_words(dimension),
    }
}

/// Values listed in full, at most.
const LISTED_MAX: u64 = 8;

fn values_in_words(dimension: &Dimension) -> String {
    let one = |digit: u64| {
        let values: Vec<String> = dimension.values(digit).map(|(_, value)| value.to_string()).collect();
        values.join("/")
    };
    let count = dimension.len();
    if count <= LISTED_MAX {
        return (0..count).map(one).collect::<Vec<_>>().join(", ");
    }
    format!("{}, {}, … {}", one(0), one(1), one(count - 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Format;

    fn plan(grid: &str, lanes: u32) -> Plan {
        let text = format!("name = \"p\"\n[data]\ndataset = \"mnist\"\n[grid]\nnetwork = \"nn\"\ndepth = 5\n{grid}");
        Plan::of(&SweepSpec::parse(&text, Format::Toml, "p").unwrap_or_else(|errors| panic!("{errors}")), lanes)
    }

    #[test]
    fn a_plan_counts_trials_trajectories_and_bundles() {
        let plan = plan("rule = [\"bp\", \"fa\"]\nseed = [0, 1, 2, 3, 4]\nmax_updates = [10, 20]\n", 2);
        assert_eq!((plan.trials, plan.trajectories), (20, 10));
        assert_eq!(plan.bundles, 6, "five seeds of each rule, two at a time");
        assert!((plan.updates_max - 200.0).abs() < 1e-9);
    }

    #[test]
    fn a_billion_trials_are_planned_without_looking_at_each() {
        let plan = plan("rule = \"bp\"\nseed = { from = 0, count = 1_000_000_000 }\n", 4);
        assert_eq!((plan.trials, plan.bundles), (1_000_000_000, 250_000_000));
        assert_eq!(plan.blocks[0].axes[0].values, "0, 1, … 999999999");
    }

    #[test]
    fn trials_by_the_trillion_in_shapes_by_the_million_are_planned_too() {
        let grid = "rule = [\"bp\", \"dtp\"]\neval_every = { from = 1, to = 1_000_000 }\n\
                    seed = { from = 0, count = 1_000_000 }\n";
        let plan = plan(grid, 1_000);
        assert_eq!((plan.trials, plan.bundles), (2_000_000_000_000, 2_000_000_000));
        assert!(plan.core_seconds > 0.0);
    }

    #[test]
    fn a_zip_that_repeats_a_shape_fills_bundles_with_it() {
        let grid = "rule = \"bp\"\nhidden = [64, 64, 64, 128]\nlearning_rate = [1e-1, 1e-2, 1e-3, 1e-3]\n\
                    zip = [[\"hidden\", \"learning_rate\"]]\n";
        assert_eq!((plan(grid, 4).trajectories, plan(grid, 4).bundles, plan(grid, 2).bundles), (4, 2, 3));
    }

    #[test]
    fn the_updates_of_excluded_trials_do_not_count() {
        let grid = "rule = \"bp\"\nmax_updates = [10, 100]\nearly_stop_start = [5, 6]\n\
                    exclude = [{ max_updates = 100 }]\n";
        assert!((plan(grid, 1).updates_max - 10.0).abs() < 1e-9);
    }

    #[test]
    fn the_cost_of_an_update_is_that_of_its_matrix_products() {
        let plan = plan("rule = \"bp\"\nbatch_size = 128\nmax_updates = 1\n", 1);
        let (above, input) = (4.0 * 128.0 * 128.0 + 128.0 * 10.0, 784.0 * 128.0);
        let expected = 128.0 * (3.0 * above + 2.0 * input) / MULTIPLY_ADDS_PER_CORE_SECOND;
        assert!((plan.core_seconds / expected - 1.0).abs() < 1e-12);
    }

    #[test]
    fn deeper_networks_cost_more() {
        let cost = |depth: &str| plan(&format!("rule = \"bp\"\n[[block]]\ndepth = {depth}\n"), 1).core_seconds;
        assert!(cost("10") > cost("5"));
    }
}
