//! The common points of two unions of blocks. They are found by intersecting boxes, never by enumerating points.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::axis::{Axis, Dimension};
use super::block::Block;
use super::progression::Progression;
use crate::configuration::Point;
use crate::settings::{Setting, Value};

/// Blocks, cut into parts. In a part the same settings apply to every point.
pub(crate) struct Parts(Vec<Part>);

/// A block in which the same settings apply to every point.
pub(super) struct Part {
    pub(super) block: Block,
    pub(super) applies: BTreeSet<Setting>,
}

impl Parts {
    /// Cuts blocks by the settings on which the use of others depends.
    pub(crate) fn of(blocks: &[Block]) -> Self {
        let deciding: BTreeSet<Setting> = Setting::ALL.iter().filter_map(|s| Some(s.condition()?.on)).collect();
        let mut parts = blocks.to_vec();
        for setting in deciding {
            parts = parts.into_iter().flat_map(|block| cut(block, setting)).collect();
        }
        let part = |block: Block| Part { applies: applying(&block.raw_point(0)), block };
        Self(parts.into_iter().map(part).collect())
    }

    pub(super) fn parts(&self) -> &[Part] {
        &self.0
    }

    pub(super) fn into_parts(self) -> Vec<Part> {
        self.0
    }

    /// A point in both; `None` if there is none. Settings that do not apply to a point are ignored.
    pub(crate) fn common_point(&self, other: &Self) -> Option<Point> {
        let pairs = self.0.iter().flat_map(|left| other.0.iter().map(move |right| (left, right)));
        pairs.into_iter().find_map(|(left, right)| common_point(left, right))
    }
}

/// The cost that [`common_points`] may have: some seconds.
const COST_MAX: u64 = 10_000_000;
/// The cost of a look at two parts, in units of a look at one value.
const COST_OF_PAIR: u64 = 4;

/// The blocks are too many, or their lists too long, for a search of common points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooManyToCompare;

/// The pairs of groups that have a common point, as (later, earlier) with the point: at most this many.
///
/// # Errors
/// Groups whose comparison would take too long.
pub(crate) fn common_points(
    groups: &[Parts],
    pairs_max: usize,
) -> Result<BTreeMap<(usize, usize), Point>, TooManyToCompare> {
    let mut alike: BTreeMap<&BTreeSet<Setting>, Vec<(usize, &Part)>> = BTreeMap::new();
    for (group, parts) in groups.iter().enumerate() {
        for part in parts.parts() {
            alike.entry(&part.applies).or_default().push((group, part));
        }
    }
    let mut found = BTreeMap::new();
    let mut cost: u64 = 0;
    for parts in alike.values() {
        for (place, &(later, left)) in parts.iter().enumerate() {
            for &(earlier, right) in parts[..place].iter().filter(|(earlier, _)| *earlier != later) {
                cost = cost.saturating_add(COST_OF_PAIR);
                if may_meet(left, right) && !found.contains_key(&(later, earlier)) {
                    cost = cost
                        .saturating_add(values_to_compare(&left.block))
                        .saturating_add(values_to_compare(&right.block));
                    if cost <= COST_MAX {
                        found.extend(common_point(left, right).map(|point| ((later, earlier), point)));
                    }
                }
                if cost > COST_MAX {
                    return Err(TooManyToCompare);
                }
                if found.len() >= pairs_max {
                    return Ok(found);
                }
            }
        }
    }
    Ok(found)
}

/// The values that a comparison with another block may look at. Two ranges are compared without looking at their values.
fn values_to_compare(block: &Block) -> u64 {
    let values = |dimension: &Dimension| match dimension.axes() {
        [(_, Axis::Range { .. })] => 1,
        _ => dimension.len(),
    };
    block.dimensions().iter().map(values).fold(1, u64::saturating_add)
}

/// Cuts a block into parts, so that in each part all values of this setting use the same other settings.
fn cut(block: Block, on: Setting) -> Vec<Block> {
    let long = block.dimensions().iter().any(|d| matches!(d.axis(on), Some(Axis::Range { .. })));
    // All values of a range are equal for conditions, which check names or the presence of a value.
    let values = if long { None } else { block.values(on) };
    let Some(values) = values else { return vec![block] };
    let used_by = |value: &Value| -> Vec<bool> {
        let conditions = Setting::ALL.iter().filter_map(|setting| setting.condition());
        conditions.filter(|condition| condition.on == on).map(|condition| (condition.holds)(Some(value))).collect()
    };
    let mut groups: Vec<(Vec<bool>, Vec<Value>)> = Vec::new();
    for value in values {
        let uses = used_by(&value);
        match groups.iter_mut().find(|(others, _)| *others == uses) {
            Some((_, group)) => group.push(value),
            None => groups.push((uses, vec![value])),
        }
    }
    if groups.len() < 2 {
        return vec![block];
    }
    let part = |(_, group): (_, Vec<Value>)| block.restricted(&[(on, Axis::List(group))]).ok().flatten();
    groups.into_iter().filter_map(part).collect()
}

/// The settings that apply to a point, including its defaults.
fn applying(point: &Point) -> BTreeSet<Setting> {
    let value = |setting: Setting| point.get(&setting).cloned().or_else(|| setting.default_value());
    let applies = |setting: &Setting| setting.applies(value);
    Setting::ALL.iter().copied().filter(|setting| value(*setting).is_some()).filter(applies).collect()
}

/// Whether the same settings apply to both parts, and no setting is constant in both with different values.
fn may_meet(left: &Part, right: &Part) -> bool {
    let constant = |part: &Part, setting: Setting| {
        let varies = part.block.dimensions().iter().any(|dimension| dimension.axis(setting).is_some());
        (!varies).then(|| constant(&part.block, setting)).flatten()
    };
    let differ = |setting: &Setting| match (constant(left, *setting), constant(right, *setting)) {
        (Some(left), Some(right)) => left != right,
        _ => false,
    };
    left.applies == right.applies && !left.applies.iter().any(differ)
}

fn common_point(left: &Part, right: &Part) -> Option<Point> {
    if !may_meet(left, right) {
        return None;
    }
    let mut point = Point::new();
    for &setting in &left.applies {
        if !point.contains_key(&setting) {
            let linked = linked_settings(&left.block, &right.block, setting);
            let wanted: Vec<Setting> = linked.into_iter().filter(|linked| left.applies.contains(linked)).collect();
            point.extend(common_values(&left.block, &right.block, &wanted)?);
        }
    }
    Some(point)
}

/// The value of a setting that is constant in the block.
fn constant(block: &Block, setting: Setting) -> Option<Value> {
    block.constants().get(&setting).cloned().or_else(|| setting.default_value())
}

/// The settings whose values follow from a value of this one, through zips in either block.
fn linked_settings(left: &Block, right: &Block, setting: Setting) -> BTreeSet<Setting> {
    let mut linked = BTreeSet::from([setting]);
    loop {
        let before = linked.len();
        for dimension in left.dimensions().iter().chain(right.dimensions()) {
            if dimension.axes().iter().any(|(setting, _)| linked.contains(setting)) {
                linked.extend(dimension.axes().iter().map(|(setting, _)| *setting));
            }
        }
        if linked.len() == before {
            return linked;
        }
    }
}

/// Values of linked settings that both blocks have.
fn common_values(left: &Block, right: &Block, wanted: &[Setting]) -> Option<Point> {
    let (ours, theirs) = (touching(left, wanted), touching(right, wanted));
    if let ([a], [b]) = (ours.as_slice(), theirs.as_slice())
        && let ([(setting, Axis::Range { .. })], [(_, Axis::Range { .. })]) = (a.axes(), b.axes())
    {
        let number = common_number(a, b)?;
        return Some(Point::from([(*setting, Value::Integer(number))]));
    }
    let (few, few_dimensions, many, many_dimensions) = if combinations(&ours) <= combinations(&theirs) {
        (left, ours, right, theirs)
    } else {
        (right, theirs, left, ours)
    };
    let places: Vec<Places<'_>> = many_dimensions.iter().map(|dimension| Places::of(dimension, wanted)).collect();
    let varies = |setting: Setting| many_dimensions.iter().any(|dimension| dimension.axis(setting).is_some());
    each_combination(&few_dimensions).find_map(|chosen| {
        let value = |setting: Setting| chosen.get(&setting).cloned().or_else(|| constant(few, setting));
        let point: Point = wanted.iter().filter_map(|&setting| Some((setting, value(setting)?))).collect();
        let fits =
            |(setting, value): (&Setting, &Value)| varies(*setting) || constant(many, *setting).as_ref() == Some(value);
        (point.iter().all(fits) && places.iter().all(|places| places.hold(&point))).then_some(point)
    })
}

fn touching<'a>(block: &'a Block, settings: &[Setting]) -> Vec<&'a Dimension> {
    let touches = |dimension: &&Dimension| settings.iter().any(|setting| dimension.axis(*setting).is_some());
    block.dimensions().iter().filter(touches).collect()
}

fn combinations(dimensions: &[&Dimension]) -> u128 {
    dimensions.iter().fold(1, |product: u128, dimension| product.saturating_mul(dimension.len().into()))
}

/// Every combination of one position in each dimension, as settings.
fn each_combination(dimensions: &[&Dimension]) -> impl Iterator<Item = Point> {
    (0..combinations(dimensions)).map(move |mut index| {
        let mut point = Point::new();
        for dimension in dimensions {
            let length = u128::from(dimension.len());
            let digit = u64::try_from(index % length).expect("a digit is below its dimension's length");
            point.extend(dimension.values(digit));
            index /= length;
        }
        point
    })
}

/// A number that two ranges both have in use.
fn common_number(a: &Dimension, b: &Dimension) -> Option<u64> {
    let runs = |dimension: &Dimension| -> Vec<Progression> {
        let whole = dimension.axes().first().and_then(|(_, axis)| axis.progression());
        let run = |whole: Progression| {
            let part = move |run: &std::ops::Range<u64>| Progression {
                from: whole.from + run.start * whole.step,
                count: run.end - run.start,
                ..whole
            };
            dimension.places().iter().map(part).collect()
        };
        whole.map(run).unwrap_or_default()
    };
    let theirs = runs(b);
    let common = |ours: Progression| theirs.iter().find_map(|theirs| ours.common(*theirs));
    runs(a).into_iter().find_map(common).map(|common| common.from)
}

/// Answers whether a dimension has a position in use with given values, in a time that does not grow with its length.
enum Places<'a> {
    /// One of the axes is a range, from which the position is computed.
    Ruled { dimension: &'a Dimension, by: Setting, wanted: Vec<Setting> },
    /// All axes are lists; these are their values as text.
    Listed { wanted: Vec<Setting>, known: HashSet<Vec<String>> },
}

impl<'a> Places<'a> {
    fn of(dimension: &'a Dimension, settings: &[Setting]) -> Self {
        let wanted: Vec<Setting> = settings.iter().copied().filter(|s| dimension.axis(*s).is_some()).collect();
        let is_range = |setting: &&Setting| matches!(dimension.axis(**setting), Some(Axis::Range { .. }));
        if let Some(&by) = wanted.iter().find(is_range) {
            return Self::Ruled { dimension, by, wanted };
        }
        let words = |digit| {
            let point: Point = dimension.values(digit).collect();
            in_words(&point, &wanted)
        };
        Self::Listed { known: (0..dimension.len()).filter_map(words).collect(), wanted }
    }

    fn hold(&self, point: &Point) -> bool {
        match self {
            Self::Ruled { dimension, by, wanted } => {
                let axis = |setting: Setting| dimension.axis(setting);
                let place = point.get(by).and_then(|value| axis(*by)?.place(value));
                place.is_some_and(|place| {
                    let agrees = |s: &Setting| axis(*s).map(|axis| axis.value(place)).as_ref() == point.get(s);
                    dimension.uses(place) && wanted.iter().all(agrees)
                })
            }
            Self::Listed { wanted, known } => in_words(point, wanted).is_some_and(|words| known.contains(&words)),
        }
    }
}

fn in_words(point: &Point, settings: &[Setting]) -> Option<Vec<String>> {
    settings.iter().map(|setting| point.get(setting).map(Value::to_string)).collect()
}
