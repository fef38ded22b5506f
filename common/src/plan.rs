//! What a sweep holds and costs, before anything runs; computed from products, never by walking through trials.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::grid::{Block, Product, Use};
use crate::settings::{Setting, Value};
use crate::spec::SweepSpec;
use crate::vocabulary::{Network, Rule};

/// What a sweep holds and costs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// Trials in all.
    pub trials: u64,
    /// What is trained: trials that differ only in when they stop count as one.
    pub trajectories: u64,
    /// Programs to run, with as many trajectories of one shape in each as there are lanes.
    pub bundles: u64,
    /// Updates if nothing stops early, summed over trajectories; stays at the greatest number where it would pass it.
    pub updates_max: u64,
    /// Seconds on one core if nothing stops early; a rough estimate, good to a small factor.
    pub core_seconds: f64,
    /// The same for each block.
    pub blocks: Vec<BlockPlan>,
}

/// What one block holds and costs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BlockPlan {
    /// As in [`Plan`].
    pub trials: u64,
    /// As in [`Plan`].
    pub trajectories: u64,
    /// As in [`Plan`].
    pub bundles: u64,
    /// As in [`Plan`].
    pub updates_max: u64,
    /// As in [`Plan`].
    pub core_seconds: f64,
    /// Settings of one value that apply here: name, value.
    pub constants: BTreeMap<&'static str, String>,
    /// Settings of several values, before anything is excluded: name, how many, which.
    pub axes: Vec<AxisPlan>,
}

/// An axis before it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AxisPlan {
    /// The setting that varies.
    pub name: &'static str,
    /// The number of its values.
    pub count: u64,
    /// The values, in words.
    pub values: String,
}

/// Multiply-adds of float32 a second that one core of a present machine does in matrix products of these sizes.
const MULTIPLY_ADDS_PER_S: f64 = 2e10;
/// Shapes that are looked at; of more, an even sample stands for all.
const SHAPES_MAX: u64 = 10_000;
/// Pixels of an image; every dataset so far has 28×28.
const INPUTS: f64 = 784.0;
const CLASSES: f64 = 10.0;
/// The settings that decide what one update costs.
const COSTLY: [Setting; 5] = [Setting::Network, Setting::Rule, Setting::Depth, Setting::Hidden, Setting::BatchSize];

impl Plan {
    /// The plan of a sweep on workers that train `lanes` trajectories at once.
    #[must_use]
    pub fn of(spec: &SweepSpec, lanes: u32) -> Self {
        let blocks: Vec<BlockPlan> = spec.grid.blocks().iter().map(|block| BlockPlan::of(block, lanes)).collect();
        Self {
            trials: spec.grid.trials(),
            trajectories: spec.grid.trajectories(),
            bundles: blocks.iter().map(|block| block.bundles).sum(),
            updates_max: blocks.iter().fold(0, |sum, block| sum.saturating_add(block.updates_max)),
            core_seconds: blocks.iter().map(|block| block.core_seconds).sum(),
            blocks,
        }
    }
}

impl BlockPlan {
    fn of(block: &Block, lanes: u32) -> Self {
        let whole = &block.whole;
        let used = whole.constants.iter().filter(|(setting, _)| whole.use_of(**setting) != Use::Nowhere);
        let mut axes = Vec::new();
        for dimension in &whole.dimensions {
            for (setting, axis) in &dimension.axes {
                let others = dimension.axes.iter().filter(|(other, _)| other != setting).map(|(other, _)| other.name());
                let others: Vec<&str> = others.collect();
                let together =
                    if others.is_empty() { String::new() } else { format!(" (together with {})", others.join(", ")) };
                axes.push(AxisPlan { name: setting.name(), count: axis.count(), values: format!("{axis}{together}") });
            }
        }
        let parts = &block.parts;
        Self {
            trials: parts.iter().map(|part| part.trials).sum(),
            trajectories: parts.iter().map(Product::trajectories).sum(),
            bundles: parts.iter().map(|part| bundles(part, lanes)).sum(),
            updates_max: parts.iter().fold(0, |sum, part| {
                sum.saturating_add(part.trajectories().saturating_mul(updates_of_a_trajectory(part)))
            }),
            core_seconds: parts.iter().map(core_seconds).sum(),
            constants: used.map(|(setting, value)| (setting.name(), value.to_string())).collect(),
            axes,
        }
    }
}

fn bundles(part: &Product, lanes: u32) -> u64 {
    let run = part.shape_run();
    part.trajectories() / run * run.div_ceil(lanes.max(1).into())
}

/// The updates after which the last trial of a trajectory ends in any case.
fn updates_of_a_trajectory(part: &Product) -> u64 {
    match (part.axis(Setting::MaxUpdates), part.constant(Setting::MaxUpdates)) {
        (Some(axis), _) => axis.greatest().unwrap_or(0),
        (None, Some(Value::Integer(updates))) => updates,
        _ => 0,
    }
}

fn core_seconds(part: &Product) -> f64 {
    let is_costly = |setting: &Setting| COSTLY.contains(setting);
    let dimensions = part.dimensions.iter().filter(|own| own.axes.iter().any(|(setting, _)| is_costly(setting)));
    let shapes = Product::new(part.constants.clone(), dimensions.cloned().collect())
        .expect("a product of some of the dimensions has no more points than that of all");
    let looked_at = shapes.trials.min(SHAPES_MAX);
    let place = |index: u64| {
        let place = u128::from(index) * u128::from(shapes.trials) / u128::from(looked_at);
        u64::try_from(place).expect("a place below the number of shapes")
    };
    let sum: f64 = (0..looked_at).map(|index| multiply_adds(&shapes, place(index))).sum();
    let updates = part.trajectories() as f64 * updates_of_a_trajectory(part) as f64;
    sum / looked_at as f64 * updates / MULTIPLY_ADDS_PER_S
}

/// Multiply-adds of one update: the weights, once for each image and pass.
fn multiply_adds(shapes: &Product, place: u64) -> f64 {
    let point = shapes.point(place);
    let value = |setting: Setting| point.get(&setting).cloned().or_else(|| setting.default_value());
    let number = |setting: Setting| match value(setting) {
        Some(Value::Integer(number)) => number as f64,
        _ => 0.0,
    };
    let name = |setting: Setting| value(setting).map(|value| value.to_string()).unwrap_or_default();
    let (depth, hidden) = (number(Setting::Depth), number(Setting::Hidden));
    let is_dense = name(Setting::Network).parse() == Ok(Network::Dn);
    // Hidden layers that are read by hidden layers, and by the output.
    let (inner, last) = if is_dense { (depth * (depth - 1.0) / 2.0, depth) } else { (depth - 1.0, 1.0) };
    let weights = INPUTS * hidden + inner * hidden * hidden + last * hidden * CLASSES;
    // Forward, back to the layer before, and the weights' gradients; targets and decoders come to about two more.
    let passes = if name(Setting::Rule).parse().is_ok_and(Rule::has_decoders) { 5.0 } else { 3.0 };
    weights * number(Setting::BatchSize) * passes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presets;
    use crate::spec::Format;

    fn plan(text: &str, lanes: u32) -> Plan {
        Plan::of(&SweepSpec::parse(text, Format::Toml, "test").expect("a good spec"), lanes)
    }

    #[test]
    fn the_plan_of_the_papers_grid_counts_what_the_paper_trained() {
        let plan = plan(presets::find("paper-mlp").expect("the preset").text, 8);
        assert_eq!((plan.trials, plan.trajectories, plan.updates_max), (9_900, 1_980, 1_980_000_000));
        // Thirty trajectories of one shape (10 folds, 3 learning rates) fill four bundles of eight lanes.
        assert_eq!(plan.bundles, 1_980 / 30 * 4);
        let axis = |name, count, values: &str| AxisPlan { name, count, values: values.to_owned() };
        assert_eq!(plan.blocks[0].axes[2], axis("depth", 6, "5 to 10"));
        assert_eq!(plan.blocks[0].axes[1], axis("rule", 3, "bp, fa, dtp"));
        assert_eq!(plan.blocks[2].constants["rule"], "bp");
        assert!(plan.core_seconds > 0.0);
    }

    #[test]
    fn a_billion_trials_are_planned_from_their_products() {
        let text = "name = \"big\"\n[data]\ndataset = \"mnist\"\n[grid]\nnetwork = \"nn\"\nrule = \"bp\"\ndepth = 1\nhidden = 100\nbatch_size = 100\nmax_updates = [3, 7]\nseed = { from = 0, count = 1000000000 }";
        let plan = plan(text, 1_000);
        assert_eq!((plan.trials, plan.trajectories, plan.bundles), (2_000_000_000, 1_000_000_000, 1_000_000));
        assert_eq!(plan.updates_max, 7_000_000_000);
        let by_hand = (784.0 * 100.0 + 100.0 * 10.0) * 100.0 * 3.0 * 7e9 / MULTIPLY_ADDS_PER_S;
        assert!((plan.core_seconds / by_hand - 1.0).abs() < 1e-12);
    }

    #[test]
    fn dense_networks_cost_more_than_plain_ones_and_dtp_more_than_bp() {
        let cost = |network: &str, rule: &str| {
            let text = format!(
                "name = \"x\"\n[data]\ndataset = \"mnist\"\n[grid]\nnetwork = \"{network}\"\nrule = \"{rule}\"\ndepth = 6\n"
            );
            plan(&text, 1).core_seconds
        };
        assert!(cost("dn", "bp") > cost("nn", "bp"));
        assert!(cost("nn", "dtp") > cost("nn", "bp"));
    }
}
