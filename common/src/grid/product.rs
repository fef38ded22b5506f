//! One Cartesian product of dimensions: places ↔ points by mixed-radix arithmetic.

use std::ops::Range;

use super::axis::Axis;
use crate::configuration::Point;
use crate::settings::{Level, Setting, Value};

/// One axis, or several that advance together.
#[derive(Debug, Clone, PartialEq)]
pub struct Dimension {
    /// The settings with their values, most significant first; all axes have the same length.
    pub axes: Vec<(Setting, Axis)>,
}

/// Constants and dimensions; its points are counted with the last dimension fastest.
#[derive(Debug, Clone, PartialEq)]
pub struct Product {
    /// The settings with one value.
    pub constants: Point,
    /// The dimensions, most significant first; those that only say when to stop come last.
    pub dimensions: Vec<Dimension>,
    /// Points, the product of the dimensions' lengths.
    pub(crate) trials: u64,
    /// Of these, the points of one trajectory.
    pub(crate) rules: u64,
}

impl Dimension {
    /// The number of rows.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.axes[0].1.count()
    }

    /// The most significant setting; decides the dimension's level and its place in the order.
    #[must_use]
    pub fn lead(&self) -> Setting {
        self.axes[0].0
    }

    fn write(&self, row: u64, point: &mut Point) {
        for (setting, axis) in &self.axes {
            point.insert(*setting, axis.get(row));
        }
    }

    pub(crate) fn select(&self, rows: &[Range<u64>]) -> Self {
        Self { axes: self.axes.iter().map(|(setting, axis)| (*setting, axis.select(rows))).collect() }
    }
}

impl Product {
    /// The product, its dimensions put in order and those of one row among the constants; `None` where it has more points than a `u64` counts.
    #[must_use]
    pub(crate) fn new(mut constants: Point, mut dimensions: Vec<Dimension>) -> Option<Self> {
        for dimension in &mut dimensions {
            dimension.axes.sort_by_key(|(setting, _)| *setting);
        }
        for single in dimensions.extract_if(.., |dimension| dimension.count() == 1) {
            single.write(0, &mut constants);
        }
        dimensions.sort_by_key(Dimension::lead);
        let count = |level: fn(Level) -> bool| {
            let mut counted = dimensions.iter().filter(|dimension| level(dimension.lead().level()));
            counted.try_fold(1_u64, |product, dimension| product.checked_mul(dimension.count()))
        };
        let (trials, rules) = (count(|_| true)?, count(|level| level == Level::Stop)?);
        Some(Self { constants, dimensions, trials, rules })
    }

    /// Its trajectories.
    pub(crate) fn trajectories(&self) -> u64 {
        self.trials / self.rules
    }

    /// The settings of a trial, by its place in this product.
    pub(crate) fn point(&self, place: u64) -> Point {
        let mut point = self.constants.clone();
        let mut rest = place;
        for dimension in self.dimensions.iter().rev() {
            dimension.write(rest % dimension.count(), &mut point);
            rest /= dimension.count();
        }
        point
    }

    /// Trajectories that follow each other with the same shape.
    pub(crate) fn shape_run(&self) -> u64 {
        let lanes = self.dimensions.iter().filter(|dimension| dimension.lead().level() == Level::Lane);
        lanes.map(Dimension::count).product()
    }

    /// The axis of a setting; `None` where it is constant or absent.
    pub(crate) fn axis(&self, setting: Setting) -> Option<&Axis> {
        self.dimensions
            .iter()
            .flat_map(|dimension| &dimension.axes)
            .find(|(own, _)| *own == setting)
            .map(|(_, axis)| axis)
    }

    /// The value of a setting that is no axis: as named, or by default.
    pub(crate) fn constant(&self, setting: Setting) -> Option<Value> {
        self.constants.get(&setting).cloned().or_else(|| setting.default_value())
    }

    /// Whether the setting is used by all, some or none of the points.
    pub(crate) fn use_of(&self, setting: Setting) -> Use {
        let Some(condition) = setting.condition() else { return Use::Everywhere };
        let Some(axis) = self.axis(condition.on) else {
            let holds = (condition.holds)(self.constant(condition.on).as_ref());
            return if holds { Use::Everywhere } else { Use::Nowhere };
        };
        match axis {
            // What is decided by a number is decided by its presence.
            Axis::Ranges(_) => Use::Everywhere,
            Axis::List(values) => {
                let holding = values.iter().filter(|value| (condition.holds)(Some(value))).count();
                match holding {
                    0 => Use::Nowhere,
                    all if all == values.len() => Use::Everywhere,
                    _ => Use::Somewhere,
                }
            }
        }
    }
}

/// How much of a product uses a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// All points.
    Everywhere,
    /// Some points.
    Somewhere,
    /// No point.
    Nowhere,
}
