//! A block: one Cartesian product of dimensions over common constants.

use std::collections::BTreeSet;

use crate::configuration::{Configuration, Point};
use crate::settings::{Level, Setting, Value};

use super::axis::{Dimension, difference, intersection, runs};

/// One Cartesian product.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    constants: Point,
    /// Most significant first: shape, then lane, then stop.
    dimensions: Vec<Dimension>,
}

impl Block {
    /// The product of these dimensions over these constants; together they name every setting that has to be named.
    #[must_use]
    pub fn new(constants: Point, mut dimensions: Vec<Dimension>) -> Self {
        dimensions.sort_by_key(Dimension::significance);
        Self { constants, dimensions }
    }

    /// What is the same in all its points.
    #[must_use]
    pub fn constants(&self) -> &Point {
        &self.constants
    }

    /// What varies, most significant first.
    #[must_use]
    pub fn dimensions(&self) -> &[Dimension] {
        &self.dimensions
    }

    /// The number of points; `None` where it is beyond counting.
    #[must_use]
    pub fn checked_trials(&self) -> Option<u64> {
        self.dimensions.iter().try_fold(1_u64, |product, dimension| product.checked_mul(dimension.len()))
    }

    /// The number of points.
    #[must_use]
    pub fn trials(&self) -> u64 {
        self.product(|_| true)
    }

    /// The number of trajectories: of points that differ in more than when to stop.
    #[must_use]
    pub fn trajectories(&self) -> u64 {
        self.product(|level| level != Level::Stop)
    }

    /// The number of shapes.
    #[must_use]
    pub fn shapes(&self) -> u64 {
        self.product(|level| level == Level::Shape)
    }

    fn product(&self, of: impl Fn(Level) -> bool) -> u64 {
        let dimensions = self.dimensions.iter().filter(|dimension| of(dimension.significance().level()));
        dimensions.map(Dimension::len).product()
    }

    /// The settings of its `index`-th point, as the spec names them; `index` is below [`Block::trials`].
    #[must_use]
    pub fn raw_point(&self, mut index: u64) -> Point {
        let mut point = self.constants.clone();
        for dimension in self.dimensions.iter().rev() {
            point.extend(dimension.values(index % dimension.len()));
            index /= dimension.len();
        }
        point
    }

    /// Its `index`-th configuration.
    #[must_use]
    pub fn configuration(&self, index: u64) -> Configuration {
        Configuration::from_point(&self.raw_point(index)).expect("a checked block holds configurations only")
    }

    /// The rest of it without the points that have, in every one of these settings, one of its values: disjoint blocks.
    /// `None` where no point is excluded.
    #[must_use]
    pub fn excluding(&self, settings: &[(Setting, Vec<Value>)]) -> Option<Vec<Self>> {
        self.restricted(settings).map(|part| self.without(&part))
    }

    /// The part of it where every one of these settings has one of its values; `None` where there is none. A setting
    /// the block does not name has its default.
    pub(super) fn restricted(&self, to: &[(Setting, Vec<Value>)]) -> Option<Self> {
        let fixed = |(setting, values): &(Setting, Vec<Value>)| {
            if self.dimensions.iter().any(|dimension| dimension.axis(*setting).is_some()) {
                return true;
            }
            let value = self.constants.get(setting).cloned().or_else(|| setting.default_value());
            value.is_some_and(|value| values.contains(&value))
        };
        if !to.iter().all(fixed) {
            return None;
        }
        let dimensions = self.dimensions.iter().map(|dimension| {
            let mut places = dimension.places().to_vec();
            for (setting, values) in to {
                if let Some(axis) = dimension.axis(*setting) {
                    let meant: BTreeSet<u64> = values.iter().flat_map(|value| axis.places(value)).collect();
                    places = intersection(&places, &runs(meant));
                }
            }
            dimension.with_places(places)
        });
        Some(Self { constants: self.constants.clone(), dimensions: dimensions.collect::<Option<_>>()? })
    }

    /// The rest of it without `part`, which is a restriction of it: disjoint blocks.
    fn without(&self, part: &Self) -> Vec<Self> {
        let mut rest = Vec::new();
        let mut remaining = self.clone();
        for (place, cut) in part.dimensions.iter().enumerate() {
            let whole = &remaining.dimensions[place];
            if let Some(outside) = whole.with_places(difference(whole.places(), cut.places())) {
                let mut block = remaining.clone();
                block.dimensions[place] = outside;
                rest.push(block);
            }
            remaining.dimensions[place] = cut.clone();
        }
        rest
    }

    /// The values a setting takes anywhere in it, or `None` where the block does not name it. For short axes.
    #[must_use]
    pub fn values(&self, setting: Setting) -> Option<Vec<Value>> {
        if let Some(value) = self.constants.get(&setting) {
            return Some(vec![value.clone()]);
        }
        let dimension = self.dimensions.iter().find(|dimension| dimension.axis(setting).is_some())?;
        let axis = dimension.axis(setting)?;
        Some(dimension.places().iter().cloned().flatten().map(|place| axis.value(place)).collect())
    }
}
