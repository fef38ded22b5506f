//! The size and cost of a sweep before it runs. They are computed from products, not trial by trial.

pub mod cost;
pub mod dataset_summary;
pub mod widths;

use serde::Serialize;

use crate::grid::Block;
use crate::grid::axis::Dimension;
use crate::plan::cost::{Costs, MULTIPLY_ADDS_PER_CORE_SECOND, SHAPES_MAX, shape, updates};
use crate::settings::{Setting, Value};
use crate::spec::SweepSpec;

/// The plan of a sweep.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// Number of trials.
    pub trials: u64,
    /// Number of trajectories. Trials that differ only in their stopping rule are one trajectory.
    pub trajectories: u64,
    /// Number of bundles, for the given number of lanes per worker.
    pub bundles: u64,
    /// Updates without early stopping.
    pub updates_max: f64,
    /// Updates without early stopping and without sharing.
    pub updates_unshared: f64,
    /// Estimated seconds of one core without early stopping, accurate to a factor of two or three.
    pub core_seconds: f64,
    /// The fraction of the work that sharing saves.
    pub saving: f64,
    /// The blocks, in order.
    pub blocks: Vec<BlockPlan>,
}

/// The plan of a block.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BlockPlan {
    /// Number of trials.
    pub trials: u64,
    /// Number of trajectories.
    pub trajectories: u64,
    /// Number of bundles.
    pub bundles: u64,
    /// Updates without early stopping.
    pub updates_max: f64,
    /// Updates without early stopping and without sharing.
    pub updates_unshared: f64,
    /// Estimated seconds of one core without early stopping.
    pub core_seconds: f64,
    /// The axes, most significant first.
    pub axes: Vec<AxisPlan>,
    /// The settings that are equal in all trials, as far as the spec sets them.
    pub constants: Vec<(Setting, Value)>,
}

/// The plan of an axis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AxisPlan {
    /// The settings of the axis; several if they are zipped.
    pub settings: Vec<Setting>,
    /// The number of values.
    pub count: u64,
    /// The values as text: all of a short list, the ends of a long one.
    pub values: String,
}

impl Plan {
    /// The plan of a sweep for workers that train up to `lanes` trajectories at once.
    #[must_use]
    pub fn of(spec: &SweepSpec, lanes: u32) -> Self {
        let grid = &spec.grid;
        let blocks: Vec<_> = grid.blocks().iter().map(|block| plan_block(block, lanes.max(1).into())).collect();
        let sum = |of: fn(&BlockPlan) -> f64| blocks.iter().map(of).sum::<f64>();
        let core_seconds = sum(|block| block.core_seconds);
        // Without sharing the quotient is exactly 1, and then the saving is exactly 0.
        let unshared = sum(|block| block.core_seconds * (block.updates_unshared / block.updates_max.max(1.0)));
        Self {
            trials: grid.trials(),
            trajectories: grid.trajectories(),
            bundles: blocks.iter().map(|block| block.bundles).sum(),
            updates_max: sum(|block| block.updates_max),
            updates_unshared: sum(|block| block.updates_unshared),
            core_seconds,
            saving: if unshared > 0.0 { 1.0 - core_seconds / unshared } else { 0.0 },
            blocks,
        }
    }
}

fn plan_block(block: &Block, lanes: u64) -> BlockPlan {
    let trajectories = block.trajectories();
    let (bundles, per_update) = if block.shapes() <= SHAPES_MAX {
        walk_shapes(block, lanes)
    } else {
        // Of very many shapes only a sample is examined. In that case no zip repeats a shape, because its list would be
        // in the spec file.
        let of_each = (trajectories / block.shapes()).div_ceil(lanes);
        (block.shapes() * of_each, mean_of_some_shapes(block))
    };
    let updates = updates(block);
    let updates_unshared = block.trials() as f64 * updates.mean;
    let updates_max =
        if trajectories == block.trials() { updates_unshared } else { trajectories as f64 * updates.most };
    BlockPlan {
        trials: block.trials(),
        trajectories,
        bundles,
        updates_max,
        updates_unshared,
        core_seconds: updates_max * per_update / MULTIPLY_ADDS_PER_CORE_SECOND,
        axes: block.dimensions().iter().map(plan_axis).collect(),
        constants: block.constants().iter().map(|(setting, value)| (*setting, value.clone())).collect(),
    }
}

/// The number of bundles, and the mean number of multiply-adds of an update.
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

fn plan_axis(dimension: &Dimension) -> AxisPlan {
    AxisPlan {
        settings: dimension.axes().iter().map(|(setting, _)| *setting).collect(),
        count: dimension.len(),
        values: values_as_text(dimension),
    }
}

/// The maximum number of values listed in full.
const LISTED_MAX: u64 = 8;

fn values_as_text(dimension: &Dimension) -> String {
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
        assert_eq!((plan.updates_max, plan.updates_unshared), (200.0, 300.0));
        assert!((plan.saving - 1.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn without_sharing_the_saving_is_zero() {
        for count in 1..200 {
            let grid = format!(
                "rule = [\"bp\", \"dtp\"]\nseed = {{ from = 0, count = {count} }}\nmax_updates = 1_37{count}\n"
            );
            assert_eq!(plan(&grid, 2).saving, 0.0, "{grid}");
        }
    }

    #[test]
    fn a_billion_trials_are_planned_without_enumeration() {
        let plan = plan("rule = \"bp\"\nseed = { from = 0, count = 1_000_000_000 }\n", 4);
        assert_eq!((plan.trials, plan.bundles), (1_000_000_000, 250_000_000));
        assert_eq!(plan.blocks[0].axes[0].values, "0, 1, … 999999999");
    }

    #[test]
    fn a_trillion_trials_of_a_million_shapes_are_planned() {
        let grid = "rule = [\"bp\", \"dtp\"]\neval_every = { from = 1, to = 1_000_000 }\n\
                    seed = { from = 0, count = 1_000_000 }\n";
        let plan = plan(grid, 1_000);
        assert_eq!((plan.trials, plan.bundles), (2_000_000_000_000, 2_000_000_000));
        assert!(plan.core_seconds > 0.0);
    }

    #[test]
    fn a_zip_that_repeats_a_shape_gives_full_bundles() {
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
