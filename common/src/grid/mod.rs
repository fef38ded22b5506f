//! The grid: the trials of a sweep, numbered by mixed-radix indices. The product is never expanded.
//!
//! The trials of a sweep are numbered block after block. Within a block, shape settings are most significant and
//! stopping settings least. So the trials of a trajectory are neighbours, and the trajectories of one shape are
//! neighbours: a bundle is a range of trajectory indices. Trials of different blocks of a spec never share a
//! trajectory, and trajectories of different blocks never share a bundle.
//!
//! | module | contents |
//! |---|---|
//! | this module | [`Grid`]: from an index to a configuration |
//! | [`axis`] | the values of one setting, and zipped axes |
//! | [`block`] | one Cartesian product |
//! | `difference` | the points of one union of blocks that another does not have |
//! | [`grid_index`] | from settings to the index of a trajectory |
//! | `overlap` | the common points of two unions of blocks |
//! | `progression` | the common numbers of two ranges |

pub mod axis;
pub mod block;
mod difference;
pub mod grid_index;
mod overlap;
mod progression;

use std::collections::BTreeSet;

pub use axis::TooFine;
pub use block::Block;
pub use grid_index::GridIndex;
pub(crate) use overlap::{Parts, TooManyToCompare, common_points};

use self::axis::Dimension;
use crate::configuration::{Configuration, Hyperparameters, Point, Shape, StoppingRule};
use crate::settings::{Setting, Value};
use crate::vocabulary::dataset::DatasetRef;
use crate::vocabulary::ids::{TrajectoryIndex, TrialIndex};

/// All trials of a sweep: a union of disjoint blocks.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    blocks: Vec<Block>,
    /// Numbers of trials and of trajectories before each block, and the totals as last entry.
    starts: Vec<(u64, u64)>,
}

/// The trials that differ only in their stopping rule. They are trained once.
#[derive(Debug, Clone, PartialEq)]
pub struct Trajectory {
    /// The settings shared by a bundle.
    pub shape: Shape,
    /// The numeric settings.
    pub hyperparameters: Hyperparameters,
    /// The first of its trials; the others follow it.
    pub first_trial: TrialIndex,
    /// The stopping rules of its trials, in order.
    pub stopping_rules: Vec<StoppingRule>,
}

/// A union of blocks has more trials than [`Grid::TRIALS_MAX`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the grid has {trials} trials")]
pub struct TooLarge {
    /// The number in digits or, if it is very large, as a power of ten.
    pub trials: String,
}

impl Grid {
    /// The maximum number of trials, because stores count with signed 64-bit numbers.
    pub const TRIALS_MAX: u64 = i64::MAX as u64;

    /// The union of blocks that have no point in common.
    ///
    /// # Errors
    /// More trials than [`Grid::TRIALS_MAX`].
    pub fn new(blocks: Vec<Block>) -> Result<Self, TooLarge> {
        let starts = Self::starts(&blocks).ok_or_else(|| TooLarge { trials: in_words(&blocks) })?;
        Ok(Self { blocks, starts })
    }

    /// The same trials, each as a separate trajectory.
    #[must_use]
    pub fn unshared(self) -> Self {
        let blocks: Vec<Block> = self.blocks.into_iter().map(Block::unshared).collect();
        let starts = Self::starts(&blocks).expect("the trials were counted before");
        Self { blocks, starts }
    }

    fn starts(blocks: &[Block]) -> Option<Vec<(u64, u64)>> {
        let mut starts = vec![(0_u64, 0_u64)];
        let mut end = (0_u64, 0_u64);
        for block in blocks {
            end = (end.0.checked_add(block.checked_trials()?)?, end.1.checked_add(block.trajectories())?);
            starts.push(end);
        }
        (end.0 <= Self::TRIALS_MAX).then_some(starts)
    }

    /// The trials that `other` does not have, as blocks that have no point in common with it.
    ///
    /// # Errors
    /// The rest has more pieces than allowed.
    pub fn beyond(&self, other: &Self) -> Result<Vec<Block>, TooFine> {
        difference::beyond(&self.blocks, &other.blocks)
    }

    /// The number of trials.
    #[must_use]
    pub fn trials(&self) -> u64 {
        self.starts.last().map_or(0, |end| end.0)
    }

    /// The number of trajectories.
    #[must_use]
    pub fn trajectories(&self) -> u64 {
        self.starts.last().map_or(0, |end| end.1)
    }

    /// The configuration of a trial; `None` if the index is too large.
    #[must_use]
    pub fn configuration(&self, trial: TrialIndex) -> Option<Configuration> {
        let (block, start) = self.block_of(trial.0, |start| start.0)?;
        Some(block.configuration(trial.0 - start.0))
    }

    /// The settings that apply to a trial; `None` if the index is too large.
    #[must_use]
    pub fn point(&self, trial: TrialIndex) -> Option<Point> {
        self.configuration(trial).map(|configuration| configuration.to_point())
    }

    /// A trajectory; `None` if the index is too large.
    #[must_use]
    pub fn trajectory(&self, index: TrajectoryIndex) -> Option<Trajectory> {
        let (block, start) = self.block_of(index.0, |start| start.1)?;
        let stops = block.trials_a_trajectory();
        let first = (index.0 - start.1) * stops;
        let Configuration { shape, hyperparameters, stopping_rule } = block.configuration(first);
        let others = (first + 1..first + stops).map(|index| block.configuration(index).stopping_rule);
        let stopping_rules = std::iter::once(stopping_rule).chain(others).collect();
        Some(Trajectory { shape, hyperparameters, first_trial: TrialIndex(start.0 + first), stopping_rules })
    }

    /// The number of trials of a trajectory; `None` if the index is too large.
    #[must_use]
    pub fn trials_of(&self, index: TrajectoryIndex) -> Option<u64> {
        let (block, _) = self.block_of(index.0, |start| start.1)?;
        Some(block.trials_a_trajectory())
    }

    /// The shape and hyperparameters of a trajectory; `None` if the index is too large.
    #[must_use]
    pub fn settings(&self, index: TrajectoryIndex) -> Option<(Shape, Hyperparameters)> {
        let (block, start) = self.block_of(index.0, |start| start.1)?;
        let stops = block.trials_a_trajectory();
        let Configuration { shape, hyperparameters, .. } = block.configuration((index.0 - start.1) * stops);
        Some((shape, hyperparameters))
    }

    /// The trajectory of a trial; `None` if the index is too large.
    #[must_use]
    pub fn trajectory_of(&self, trial: TrialIndex) -> Option<TrajectoryIndex> {
        let (block, start) = self.block_of(trial.0, |start| start.0)?;
        let stops = block.trials_a_trajectory();
        Some(TrajectoryIndex(start.1 + (trial.0 - start.0) / stops))
    }

    /// The end (exclusive) of the trajectories of this block with the same shape as this one. If the index is too
    /// large, the number of trajectories.
    #[must_use]
    pub fn shape_run_end(&self, index: TrajectoryIndex) -> u64 {
        let Some((block, start)) = self.block_of(index.0, |start| start.1) else { return self.trajectories() };
        start.1 + block.shape_run_end(index.0 - start.1)
    }

    /// The settings that vary anywhere in the grid, most significant first.
    #[must_use]
    pub fn axes(&self) -> Vec<Setting> {
        let varies = |setting: Setting| {
            let mut first: Option<Option<Value>> = None;
            self.blocks.iter().any(|block| {
                let varies =
                    block.dimensions().iter().any(|dimension| dimension.len() > 1 && dimension.axis(setting).is_some());
                let here = block.raw_point(0).get(&setting).cloned().or_else(|| setting.default_value());
                varies || *first.get_or_insert_with(|| here.clone()) != here
            })
        };
        Setting::ALL.iter().copied().filter(|&setting| varies(setting)).collect()
    }

    /// The blocks, in order.
    #[must_use]
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// The datasets of all trials.
    #[must_use]
    pub fn datasets(&self) -> BTreeSet<DatasetRef> {
        let names = self.blocks.iter().filter_map(|block| block.values(Setting::Dataset)).flatten();
        let parse = |value| match value {
            Value::Name(name) => name.parse().ok(),
            Value::Integer(_) | Value::Real(_) | Value::Integers(_) | Value::Flag(_) => None,
        };
        names.filter_map(parse).collect()
    }

    fn block_of(&self, index: u64, key: impl Fn(&(u64, u64)) -> u64) -> Option<(&Block, (u64, u64))> {
        let place = self.starts.partition_point(|start| key(start) <= index).checked_sub(1)?;
        Some((self.blocks.get(place)?, self.starts[place]))
    }
}

/// The number of points of these blocks, as text.
fn in_words(blocks: &[Block]) -> String {
    let lengths = |block: &Block| block.dimensions().iter().map(Dimension::len).collect::<Vec<_>>();
    let exactly = |block: &Block| lengths(block).into_iter().try_fold(1_u128, |n, len| n.checked_mul(len.into()));
    if let Some(count) = blocks.iter().try_fold(0_u128, |sum, block| sum.checked_add(exactly(block)?)) {
        return count.to_string();
    }
    let digits = blocks.iter().map(|block| lengths(block).into_iter().map(|len| (len as f64).log10()).sum::<f64>());
    format!("about 10^{:.0}", digits.fold(0.0, f64::max))
}

#[cfg(test)]
mod tests;
