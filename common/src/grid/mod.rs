//! Blocks → trials by mixed-radix index; nothing is materialised.

mod axis;
mod exclude;
mod overlap;
mod product;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

pub(crate) use axis::ValueKey;
pub use axis::{Axis, Progression};
pub(crate) use exclude::{TooFine, subtract};
pub(crate) use overlap::common_point;
pub(crate) use product::Use;
pub use product::{Dimension, Product};

use crate::configuration::{Configuration, Hyperparameters, Point, Shape, StoppingRule};
use crate::ids::{TrajectoryIndex, TrialIndex};
use crate::settings::{Setting, Value};
use crate::vocabulary::Dataset;

/// All trials of a sweep: the union of its blocks, which share no point.
#[derive(Debug, Clone)]
pub struct Grid {
    blocks: Vec<Block>,
    parts: Vec<Part>,
}

/// One Cartesian product of a spec, less what it excludes.
#[derive(Debug, Clone)]
pub struct Block {
    /// The product before anything is excluded.
    pub whole: Product,
    /// Disjoint products that together are the block; one unless something is excluded.
    pub parts: Vec<Product>,
}

/// A product in its place in the grid.
#[derive(Debug, Clone)]
struct Part {
    product: Product,
    first_trial: u64,
    first_trajectory: u64,
}

/// What is trained once; its trials watch it with one stopping rule each.
#[derive(Debug, Clone, PartialEq)]
pub struct Trajectory {
    /// What is trained.
    pub shape: Shape,
    /// By what numbers.
    pub hyperparameters: Hyperparameters,
    /// The first of its trials, which are numbered without a gap.
    pub first_trial: TrialIndex,
    /// The stopping rule of each trial, in the order of the trials.
    pub stopping_rules: Vec<StoppingRule>,
}

impl Grid {
    /// The union of the blocks; `None` where it has more trials than a `u64` counts.
    pub(crate) fn new(blocks: Vec<Block>) -> Option<Self> {
        let (mut parts, mut first_trial, mut first_trajectory) = (Vec::new(), 0_u64, 0_u64);
        for product in blocks.iter().flat_map(|block| &block.parts) {
            parts.push(Part { product: product.clone(), first_trial, first_trajectory });
            first_trial = first_trial.checked_add(product.trials)?;
            first_trajectory += product.trajectories();
        }
        Some(Self { blocks, parts })
    }

    /// The number of trials.
    #[must_use]
    pub fn trials(&self) -> u64 {
        self.parts.last().map_or(0, |part| part.first_trial + part.product.trials)
    }

    /// The number of trajectories: trials that differ only in when they stop count as one.
    #[must_use]
    pub fn trajectories(&self) -> u64 {
        self.parts.last().map_or(0, |part| part.first_trajectory + part.product.trajectories())
    }

    /// A trial, complete.
    #[must_use]
    pub fn configuration(&self, trial: TrialIndex) -> Option<Configuration> {
        let (part, place) = self.part_of_trial(trial)?;
        Some(configuration(&part.product, place))
    }

    /// The settings that apply to a trial.
    #[must_use]
    pub fn point(&self, trial: TrialIndex) -> Option<Point> {
        Some(self.configuration(trial)?.to_point())
    }

    /// A trajectory with the stopping rules of all its trials.
    #[must_use]
    pub fn trajectory(&self, trajectory: TrajectoryIndex) -> Option<Trajectory> {
        let (part, place) = self.part_of_trajectory(trajectory)?;
        let rules = part.product.rules;
        let Configuration { shape, hyperparameters, .. } = configuration(&part.product, place * rules);
        Some(Trajectory {
            shape,
            hyperparameters,
            first_trial: TrialIndex(part.first_trial + place * rules),
            stopping_rules: (0..rules)
                .map(|rule| configuration(&part.product, place * rules + rule).stopping_rule)
                .collect(),
        })
    }

    /// The trajectory that a trial watches.
    #[must_use]
    pub fn trajectory_of(&self, trial: TrialIndex) -> Option<TrajectoryIndex> {
        let (part, place) = self.part_of_trial(trial)?;
        Some(TrajectoryIndex(part.first_trajectory + place / part.product.rules))
    }

    /// The end, exclusive, of the run of trajectories around this one that have its shape and stand in one product
    /// with it; the trajectory's own index where the grid does not have it.
    #[must_use]
    pub fn shape_run_end(&self, trajectory: TrajectoryIndex) -> u64 {
        let Some((part, place)) = self.part_of_trajectory(trajectory) else { return trajectory.0 };
        let run = part.product.shape_run();
        part.first_trajectory + (place / run + 1) * run
    }

    /// The settings that vary anywhere in the grid, in the order of their significance.
    #[must_use]
    pub fn axes(&self) -> Vec<Setting> {
        Setting::ALL.iter().copied().filter(|setting| self.varies(*setting)).collect()
    }

    /// The blocks, in the order of the spec.
    #[must_use]
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// The datasets that its trials need.
    #[must_use]
    pub fn datasets(&self) -> BTreeSet<Dataset> {
        let mut datasets = BTreeSet::new();
        for part in &self.parts {
            let values: Vec<Value> = match part.product.axis(Setting::Dataset) {
                Some(axis) => axis.values().collect(),
                None => part.product.constant(Setting::Dataset).into_iter().collect(),
            };
            datasets.extend(values.iter().filter_map(|value| value.to_string().parse::<Dataset>().ok()));
        }
        datasets
    }

    fn varies(&self, setting: Setting) -> bool {
        let mut seen = None;
        for product in self.parts.iter().map(|part| &part.product) {
            if product.use_of(setting) == Use::Nowhere {
                continue;
            }
            let value = match product.axis(setting) {
                Some(axis) if axis.count() > 1 => return true,
                Some(axis) => Some(axis.get(0)),
                None => product.constant(setting),
            };
            if seen.get_or_insert_with(|| value.clone()) != &value {
                return true;
            }
        }
        false
    }

    fn part_of_trial(&self, trial: TrialIndex) -> Option<(&Part, u64)> {
        let part = self.parts.partition_point(|part| part.first_trial <= trial.0).checked_sub(1)?;
        let part = &self.parts[part];
        let place = trial.0 - part.first_trial;
        (place < part.product.trials).then_some((part, place))
    }

    fn part_of_trajectory(&self, trajectory: TrajectoryIndex) -> Option<(&Part, u64)> {
        let part = self.parts.partition_point(|part| part.first_trajectory <= trajectory.0).checked_sub(1)?;
        let part = &self.parts[part];
        let place = trajectory.0 - part.first_trajectory;
        (place < part.product.trajectories()).then_some((part, place))
    }
}

fn configuration(product: &Product, place: u64) -> Configuration {
    Configuration::from_point(&product.point(place)).expect("a grid is only made of values that were checked")
}
