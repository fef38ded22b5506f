//! A block: one Cartesian product of dimensions, with common constants.

use std::sync::OnceLock;

use super::axis::{Axis, Dimension, TooFine, difference, intersection};
use crate::configuration::{Configuration, Point};
use crate::settings::{Condition, Level, Setting, Value};

const CHECKED: &str = "every point of a checked block is a configuration";

/// One Cartesian product of dimensions.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    /// Whether points that differ only in their stopping rule are one trajectory.
    share: bool,
    constants: Point,
    /// The dimensions, most significant first: shape, then lane, then stop.
    dimensions: Vec<Dimension>,
    first: First,
}

/// A configuration of the block, created at first use. Other configurations are copies of it with the settings that
/// vary set again.
#[derive(Debug, Clone, Default)]
struct First(OnceLock<Configuration>);

impl PartialEq for First {
    /// Equality ignores this cache, because it follows from the rest of the block.
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Block {
    /// The product of these dimensions with these constants. Together they have every required setting.
    #[must_use]
    pub fn new(constants: Point, mut dimensions: Vec<Dimension>) -> Self {
        // A zip of shape settings with other settings comes after dimensions of shape settings alone: if it repeats a
        // shape, the trajectories of that shape must be neighbours.
        let is_mixed = |dimension: &Dimension| {
            let mut levels = dimension.axes().iter().map(|(setting, _)| setting.level());
            levels.any(|level| level != dimension.significance().level())
        };
        dimensions.sort_by_key(|dimension| {
            let significance = dimension.significance();
            (significance.level(), is_mixed(dimension), significance)
        });
        Self::of(true, constants, dimensions)
    }

    fn of(share: bool, constants: Point, dimensions: Vec<Dimension>) -> Self {
        Self { share, constants, dimensions, first: First::default() }
    }

    /// The same points, each as a separate trajectory.
    #[must_use]
    pub(super) fn unshared(self) -> Self {
        Self { share: false, ..self }
    }

    /// The settings that are equal in all points.
    #[must_use]
    pub fn constants(&self) -> &Point {
        &self.constants
    }

    /// The dimensions, most significant first.
    #[must_use]
    pub fn dimensions(&self) -> &[Dimension] {
        &self.dimensions
    }

    /// The number of points; `None` on overflow.
    #[must_use]
    pub fn checked_trials(&self) -> Option<u64> {
        self.dimensions.iter().try_fold(1_u64, |product, dimension| product.checked_mul(dimension.len()))
    }

    /// The number of points.
    #[must_use]
    pub fn trials(&self) -> u64 {
        self.product(|_| true)
    }

    /// The number of trajectories: points that differ in more than the stopping rule, or all points if sharing is off.
    #[must_use]
    pub fn trajectories(&self) -> u64 {
        self.product(|level| level != Level::Stop || !self.share)
    }

    /// The number of trials in each trajectory.
    #[must_use]
    pub fn trials_a_trajectory(&self) -> u64 {
        self.trials() / self.trajectories()
    }

    /// The number of combinations of shape settings and of settings zipped with them. It is the number of shapes,
    /// unless a zip repeats a shape.
    #[must_use]
    pub fn shapes(&self) -> u64 {
        self.product(|level| level == Level::Shape)
    }

    /// The end (exclusive) of the trajectories with the same shape as the `index`-th, counted in this block.
    #[must_use]
    pub fn shape_run_end(&self, index: u64) -> u64 {
        let lanes = self.trajectories() / self.shapes();
        let stops = self.trials_a_trajectory();
        let shape = |place: u64| self.configuration(place * lanes * stops).shape;
        let mut end = index / lanes + 1;
        let repeats = |dimension: &Dimension| {
            let level = |level: Level| dimension.axes().iter().any(|(setting, _)| setting.level() == level);
            level(Level::Shape) && level(Level::Lane)
        };
        if self.dimensions.iter().any(repeats) {
            let mine = shape(end - 1);
            while end < self.shapes() && shape(end) == mine {
                end += 1;
            }
        }
        end * lanes
    }

    /// The number of combinations of stopping settings; `None` on overflow.
    #[must_use]
    pub fn checked_stops(&self) -> Option<u64> {
        let stops = self.dimensions.iter().filter(|dimension| dimension.significance().level() == Level::Stop);
        stops.map(Dimension::len).try_fold(1_u64, u64::checked_mul)
    }

    fn product(&self, of: impl Fn(Level) -> bool) -> u64 {
        let dimensions = self.dimensions.iter().filter(|dimension| of(dimension.significance().level()));
        dimensions.map(Dimension::len).product()
    }

    /// The settings of the `index`-th point as given in the spec; `index` is below [`Block::trials`].
    #[must_use]
    pub fn raw_point(&self, mut index: u64) -> Point {
        let mut point = self.constants.clone();
        for dimension in self.dimensions.iter().rev() {
            point.extend(dimension.values(index % dimension.len()));
            index /= dimension.len();
        }
        point
    }

    /// The `index`-th configuration.
    #[must_use]
    pub fn configuration(&self, mut index: u64) -> Configuration {
        let first = || Configuration::from_point(&self.raw_point(0)).expect(CHECKED);
        let mut configuration = self.first.0.get_or_init(first).clone();
        for dimension in self.dimensions.iter().rev() {
            for (setting, value) in dimension.values(index % dimension.len()) {
                configuration.set(setting, &value).expect(CHECKED);
            }
            index /= dimension.len();
        }
        configuration
    }

    /// The block without the points that have one of the given values in each of these settings: disjoint blocks, of
    /// which no two share a trajectory. `None` if no point is excluded.
    ///
    /// # Errors
    /// The rest of a range has more pieces than allowed.
    pub fn excluding(&self, settings: &[(Setting, Axis)]) -> Result<Option<Vec<Self>>, TooFine> {
        Ok(self.restricted(settings)?.map(|part| self.without(&part)))
    }

    /// The part of the block where each of these settings has one of its given values; `None` if there is no such part.
    /// A setting that the block does not set has its default.
    pub(super) fn restricted(&self, to: &[(Setting, Axis)]) -> Result<Option<Self>, TooFine> {
        let fixed = |(setting, values): &(Setting, Axis)| {
            if self.dimensions.iter().any(|dimension| dimension.axis(*setting).is_some()) {
                return true;
            }
            let value = self.constants.get(setting).cloned().or_else(|| setting.default_value());
            value.is_some_and(|value| values.place(&value).is_some())
        };
        if !to.iter().all(fixed) {
            return Ok(None);
        }
        let mut dimensions = Vec::with_capacity(self.dimensions.len());
        for dimension in &self.dimensions {
            let mut places = dimension.places().to_vec();
            for (setting, values) in to {
                if let Some(axis) = dimension.axis(*setting) {
                    let meant = axis.places_of(values).ok_or(TooFine { setting: *setting })?;
                    places = intersection(&places, &meant);
                }
            }
            let Some(dimension) = dimension.with_places(places) else { return Ok(None) };
            dimensions.push(dimension);
        }
        Ok(Some(Self::of(self.share, self.constants.clone(), dimensions)))
    }

    /// The block without `part`, which is a restriction of it: disjoint blocks.
    fn without(&self, part: &Self) -> Vec<Self> {
        let mut rest = Vec::new();
        let mut remaining = self.clone();
        let is_stop = |dimension: &Dimension| dimension.significance().level() == Level::Stop;
        let cut_stops: Vec<usize> = (0..self.dimensions.len())
            .filter(|&place| is_stop(&self.dimensions[place]) && self.dimensions[place] != part.dimensions[place])
            .collect();
        for (place, cut) in part.dimensions.iter().enumerate() {
            if is_stop(cut) && cut_stops.len() > 1 {
                // Cutting them one by one would put trials of one trajectory into two blocks, and it would be trained
                // twice.
                rest.extend(remaining.without_stops(part, place));
                break;
            }
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

    /// The block without the stopping settings of `part`; its dimensions from `first` on have only stopping settings.
    /// The rest of their product is not a product, so they become one dimension that lists it.
    fn without_stops(&self, part: &Self, first: usize) -> Option<Self> {
        let stops = Self::new(Point::new(), self.dimensions[first..].to_vec());
        let cut = |point: &Point| {
            part.dimensions[first..].iter().all(|dimension| {
                (0..dimension.len()).any(|digit| dimension.values(digit).all(|(s, value)| point[&s] == value))
            })
        };
        let left: Vec<Point> = (0..stops.trials()).map(|index| stops.raw_point(index)).filter(|p| !cut(p)).collect();
        let settings = left.first()?.keys().copied();
        let axis = |setting: Setting| (setting, Axis::List(left.iter().map(|point| point[&setting].clone()).collect()));
        let mut dimensions = self.dimensions[..first].to_vec();
        dimensions.push(Dimension::new(settings.map(axis).collect()));
        Some(Self::of(self.share, self.constants.clone(), dimensions))
    }

    /// The part of the block with these settings; `None` if there is none. A setting that the block does not set has its default.
    #[must_use]
    pub fn with(&self, settings: &Point) -> Option<Self> {
        let axis = |(&setting, value): (&Setting, &Value)| (setting, Axis::List(vec![value.clone()]));
        // One value of each setting does not cut a range into pieces.
        self.restricted(&settings.iter().map(axis).collect::<Vec<_>>()).ok().flatten()
    }

    /// Whether a setting applies anywhere in the block.
    #[must_use]
    pub fn uses(&self, setting: Setting) -> bool {
        let Some(Condition { on, holds, .. }) = setting.condition() else { return true };
        let is_range = |dimension: &Dimension| matches!(dimension.axis(on), Some(Axis::Range { .. }));
        // All values of a range are equal for conditions, and there may be very many.
        let values = if self.dimensions.iter().any(is_range) { None } else { self.values(on) };
        match values {
            Some(values) => values.iter().any(|value| holds(Some(value))),
            None => {
                let value = self.raw_point(0).get(&on).cloned().or_else(|| on.default_value());
                holds(value.as_ref())
            }
        }
    }

    /// All values of a setting in the block; `None` if the block does not set it. Use it for short axes only.
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
