//! Finds the trajectories of a grid with given settings. The index is computed from the positions of the values on
//! their axes, without a search over the product.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use super::Grid;
use super::axis::{Axis, Dimension};
use super::block::Block;
use super::overlap::Parts;
use crate::configuration::Point;
use crate::settings::{Level, Setting, Value};
use crate::vocabulary::dataset::DatasetRef;
use crate::vocabulary::ids::TrajectoryIndex;

/// An index for the lookup of a grid's trajectories.
pub struct GridIndex {
    blocks: Vec<BlockIndex>,
    /// The trajectories with one trial each, to check whether two grids have one in common.
    parts: Vec<Parts>,
}

struct BlockIndex {
    /// The index of the block's first trajectory.
    start: u64,
    /// How often each trajectory occurs: once, or once for each trial if sharing is off.
    each: u64,
    constants: Point,
    digits: Vec<Digit>,
}

/// A dimension as one digit of a trajectory's index.
struct Digit {
    dimension: Dimension,
    /// The difference of the index for a difference of 1 in this digit.
    stride: u64,
    /// For each range of positions in use: the first position and its digit.
    runs: Vec<(u64, u64)>,
    by: By,
}

/// How the position of a point on a dimension is found.
enum By {
    /// From the value of this setting, whose axis is a range.
    Range(Setting),
    /// From the values as text.
    Words(BTreeMap<Vec<String>, u64>),
}

impl fmt::Debug for GridIndex {
    /// The index is not printed, because it follows from its grid.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GridIndex").field("blocks", &self.blocks.len()).finish_non_exhaustive()
    }
}

impl GridIndex {
    /// Builds the index. The cost is proportional to the lists in the spec.
    #[must_use]
    pub fn of(grid: &Grid) -> Self {
        let starts = grid.starts.iter().map(|start| start.1);
        let bare: Vec<Block> = grid.blocks.iter().map(bare).collect();
        let each = grid.blocks.iter().map(|block| block.trajectories() / self::bare(block).trials());
        let blocks = bare.iter().zip(starts).zip(each);
        let blocks = blocks.map(|((block, start), each)| BlockIndex::of(block, start, each));
        Self {
            blocks: blocks.collect(),
            parts: bare.iter().map(|block| Parts::of(std::slice::from_ref(block))).collect(),
        }
    }

    /// Whether both grids have a trajectory in common.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let mut pairs = self.parts.iter().flat_map(|left| other.parts.iter().map(move |right| (left, right)));
        pairs.any(|(left, right)| left.common_point(right).is_some())
    }

    /// Whether a trajectory occurs in the grid more than once: in blocks that differ only in the stopping rule.
    #[must_use]
    pub fn overlaps_itself(&self) -> bool {
        let mut pairs = (0..self.parts.len()).flat_map(|left| (0..left).map(move |right| (left, right)));
        pairs.any(|(left, right)| self.parts[left].common_point(&self.parts[right]).is_some())
    }

    /// The indices of the trajectory with these settings: one for each block that has it, or one for each of its trials
    /// if sharing is off. `point` has the form of [`crate::configuration::trajectory_point`].
    #[must_use]
    pub fn find(&self, point: &Point) -> Vec<TrajectoryIndex> {
        let mut point = point.clone();
        point.iter_mut().for_each(|(setting, value)| forget_place(*setting, value));
        self.blocks.iter().filter_map(|block| block.find(&point)).flatten().map(TrajectoryIndex).collect()
    }
}

impl BlockIndex {
    fn of(block: &Block, start: u64, each: u64) -> Self {
        let mut digits: Vec<Digit> = Vec::new();
        let mut stride = each;
        for dimension in block.dimensions().iter().rev() {
            digits.push(Digit::of(dimension, stride));
            stride *= dimension.len();
        }
        Self { start, each, constants: block.constants().clone(), digits }
    }

    fn find(&self, point: &Point) -> Option<Range<u64>> {
        let varies = |setting: Setting| self.digits.iter().any(|digit| digit.dimension.axis(setting).is_some());
        let constant = |setting: Setting| self.constants.get(&setting).cloned().or_else(|| setting.default_value());
        let is_so = |(&setting, value): (&Setting, &Value)| {
            varies(setting) || constant(setting).is_some_and(|constant| is_same(&constant, value))
        };
        if !point.iter().all(is_so) {
            return None;
        }
        let index =
            self.digits.iter().try_fold(self.start, |index, digit| Some(index + digit.of_point(point)? * digit.stride));
        index.map(|first| first..first + self.each)
    }
}

impl Digit {
    fn of(dimension: &Dimension, stride: u64) -> Self {
        let range = dimension.axes().iter().find(|(_, axis)| matches!(axis, Axis::Range { .. }));
        let by = match range {
            Some((setting, _)) => By::Range(*setting),
            None => {
                let places = dimension.places().iter().cloned().flatten();
                By::Words(places.map(|place| (words(dimension, |_, axis| Some(axis.value(place))), place)).collect())
            }
        };
        let mut before = 0;
        let runs = dimension.places().iter().map(|run| {
            let first = before;
            before += run.end - run.start;
            (run.start, first)
        });
        Self { runs: runs.collect(), dimension: dimension.clone(), stride, by }
    }

    /// The digit of a point; `None` if the dimension does not have these values in use.
    fn of_point(&self, point: &Point) -> Option<u64> {
        let place = match &self.by {
            By::Range(setting) => self.dimension.axis(*setting)?.place(point.get(setting)?)?,
            By::Words(places) => *places.get(&words(&self.dimension, |setting, _| point.get(&setting).cloned()))?,
        };
        let agrees = |(setting, axis): &(Setting, Axis)| {
            point.get(setting).is_some_and(|value| is_same(&axis.value(place), value))
        };
        if !self.dimension.uses(place) || !self.dimension.axes().iter().all(agrees) {
            return None;
        }
        let run = self.runs.partition_point(|(start, _)| *start <= place).checked_sub(1)?;
        let (start, first) = self.runs[run];
        Some(first + place - start)
    }
}

/// The values of these axes as text; empty text for a missing value, because no value is empty.
fn words(dimension: &Dimension, value: impl Fn(Setting, &Axis) -> Option<Value>) -> Vec<String> {
    let word =
        |(setting, axis): &(Setting, Axis)| value(*setting, axis).map(|value| value.to_string()).unwrap_or_default();
    dimension.axes().iter().map(word).collect()
}

/// Whether two values are equal to the last bit, as in keys.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Real(one), Value::Real(other)) => one.to_bits() == other.to_bits(),
        _ => one == other,
    }
}

/// The block without stopping settings and without the paths of custom data: one point for each trajectory.
fn bare(block: &Block) -> Block {
    let mut constants = block.constants().clone();
    constants.retain(|setting, _| setting.level() != Level::Stop);
    constants.iter_mut().for_each(|(setting, value)| forget_place(*setting, value));
    let dimensions = block.dimensions().iter().filter(|dimension| dimension.significance().level() != Level::Stop);
    let placeless = |dimension: &Dimension| {
        let axes = dimension.axes().iter().map(|(setting, axis)| {
            let mut axis = axis.clone();
            if let Axis::List(values) = &mut axis {
                values.iter_mut().for_each(|value| forget_place(*setting, value));
            }
            (*setting, axis)
        });
        Dimension::new(axes.collect()).with_places(dimension.places().to_vec())
    };
    Block::new(constants, dimensions.filter_map(placeless).collect())
}

/// Removes the path of custom data: results depend on the content, not on the path.
fn forget_place(setting: Setting, value: &mut Value) {
    if let (Setting::Dataset, Value::Name(name)) = (setting, value)
        && let Ok(own @ DatasetRef::Custom(_)) = name.parse::<DatasetRef>()
    {
        *name = format!("{} {}", own.kind(), own.digest()).into();
    }
}
