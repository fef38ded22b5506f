//! What a sweep holds and costs, before anything runs: by products, never by looking at each trial.

use serde::Serialize;

use crate::grid::axis::{Axis, Dimension};
use crate::grid::{Block, Grid};
use crate::ids::TrajectoryIndex;
use crate::settings::{Setting, Value};
use crate::spec::SweepSpec;
use crate::topology::Topology;
use crate::vocabulary::{Dataset, Rule};

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
        let mut first_trajectory = 0;
        let mut blocks = Vec::new();
        for block in spec.grid.blocks() {
            blocks.push(plan_block(&spec.grid, block, first_trajectory, lanes.max(1)));
            first_trajectory += block.trajectories();
        }
        Self {
            trials: spec.grid.trials(),
            trajectories: spec.grid.trajectories(),
            bundles: blocks.iter().map(|block| block.bundles).sum(),
            updates_max: blocks.iter().map(|block| block.updates_max).sum(),
            core_seconds: blocks.iter().map(|block| block.core_seconds).sum(),
            blocks,
        }
    }
}

fn plan_block(grid: &Grid, block: &Block, first_trajectory: u64, lanes: u32) -> BlockPlan {
    let (trajectories, shapes) = (block.trajectories(), block.shapes());
    let lanes_of_shape = trajectories / shapes;
    let updates = updates_of_trajectory(block);
    // A shape's cost is the same for all its lanes, and there are few shapes; of very many, some stand for all.
    let looked_at = shapes.min(SHAPES_MAX);
    let stride = shapes / looked_at;
    let per_update: f64 = (0..looked_at)
        .map(|shape| multiply_adds(grid, TrajectoryIndex(first_trajectory + shape * stride * lanes_of_shape)))
        .sum::<f64>()
        / looked_at as f64;
    let updates_max = trajectories as f64 * updates;
    BlockPlan {
        trials: block.trials(),
        trajectories,
        bundles: shapes * lanes_of_shape.div_ceil(lanes.into()),
        updates_max,
        core_seconds: updates_max * per_update / MULTIPLY_ADDS_PER_CORE_SECOND,
        axes: block.dimensions().iter().map(plan_axis).collect(),
        constants: block.constants().iter().map(|(setting, value)| (*setting, value.clone())).collect(),
    }
}

/// Shapes whose cost is worked out one by one.
const SHAPES_MAX: u64 = 10_000;

/// Updates of a trajectory where nothing stops early: the most that any of its trials asks for.
fn updates_of_trajectory(block: &Block) -> f64 {
    let most = match block.dimensions().iter().find_map(|dimension| dimension.axis(Setting::MaxUpdates)) {
        Some(Axis::List(values)) => values.iter().filter_map(as_integer).max(),
        Some(Axis::Range { from, step, count }) => Some(from + step * (count - 1)),
        None => Some(block.configuration(0).stopping_rule.max_updates),
    };
    most.unwrap_or(0) as f64
}

fn as_integer(value: &Value) -> Option<u64> {
    match value {
        Value::Integer(number) => Some(*number),
        Value::Name(_) | Value::Real(_) | Value::Integers(_) => None,
    }
}

/// Multiply-adds of one update of a trajectory, evaluations aside.
fn multiply_adds(grid: &Grid, index: TrajectoryIndex) -> f64 {
    let Some(trajectory) = grid.trajectory(index) else { return 0.0 };
    let shape = trajectory.shape;
    let topology = Topology::new(shape.network, shape.depth as usize);
    let inputs = match shape.dataset {
        Dataset::Mnist | Dataset::SyntheticDigits => 784.0,
    };
    let hidden = f64::from(shape.hidden);
    let width = |layer: usize| if layer == 0 { inputs } else { hidden };
    let fan_in = |layer: usize| -> f64 { topology.sources(layer).iter().map(|&source| width(source)).sum() };
    let classes = 10.0;
    let of_layer = |layer: usize| fan_in(layer) * if layer == topology.output() { classes } else { hidden };
    let forward: f64 = (1..=topology.output()).map(of_layer).sum();
    let above: f64 = (2..=topology.output()).map(of_layer).sum();
    let decoded: f64 = (2..=topology.depth()).map(of_layer).sum();
    let per_image = match shape.rule {
        // Forward, weight gradients, and errors to all but the input.
        Rule::Bp | Rule::Fa => 2.0 * forward + above,
        // No errors through the layers; each decoder is used three times and learns, on noisy inputs encoded anew.
        Rule::Dtp => 2.0 * forward + 5.0 * decoded,
    };
    per_image * f64::from(shape.batch_size)
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
    fn deeper_networks_cost_more() {
        let cost = |depth: &str| plan(&format!("rule = \"bp\"\n[[block]]\ndepth = {depth}\n"), 1).core_seconds;
        assert!(cost("10") > cost("5"));
    }
}
