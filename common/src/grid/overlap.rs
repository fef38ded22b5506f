//! The points two blocks share: found by intersecting boxes, never by enumerating points.

use std::collections::BTreeSet;
use std::ops::Range;

use super::axis::{Axis, Dimension};
use super::block::Block;
use crate::configuration::Point;
use crate::settings::{Setting, Value};

/// A point of both blocks, where there is one. Settings that a point has no use for do not tell it from another.
pub(crate) fn common_point(left: &Block, right: &Block) -> Option<Point> {
    let (left, right) = (uniform_parts(left), uniform_parts(right));
    left.iter().find_map(|left| right.iter().find_map(|right| common_point_of_parts(left, right)))
}

/// A part of a block in which the same settings apply to every point.
struct Part {
    block: Block,
    applies: BTreeSet<Setting>,
}

/// Splits a block by what the conditions of settings depend on, so that in each part the same settings apply.
fn uniform_parts(block: &Block) -> Vec<Part> {
    let deciding: BTreeSet<Setting> = Setting::ALL.iter().filter_map(|s| Some(s.condition()?.on)).collect();
    let mut parts = vec![block.clone()];
    for setting in deciding {
        let split = |block: Block| {
            // A long axis decides nothing by its single values: that it is there at all is what counts.
            let values = if is_long(&block, setting) { None } else { block.values(setting) };
            match values {
                Some(values) if values.len() > 1 => {
                    values.into_iter().filter_map(|value| block.restricted(&[(setting, vec![value])])).collect()
                }
                _ => vec![block],
            }
        };
        parts = parts.into_iter().flat_map(split).collect();
    }
    parts.into_iter().map(|block| Part { applies: applying(&block.raw_point(0)), block }).collect()
}

fn is_long(block: &Block, setting: Setting) -> bool {
    block.dimensions().iter().any(|dimension| matches!(dimension.axis(setting), Some(Axis::Range { .. })))
}

/// The settings a point makes use of, its defaults included.
pub(crate) fn applying(point: &Point) -> BTreeSet<Setting> {
    let value = |setting: Setting| point.get(&setting).cloned().or_else(|| setting.default_value());
    let applies = |setting: &Setting| setting.condition().is_none_or(|c| (c.holds)(value(c.on).as_ref()));
    Setting::ALL.iter().copied().filter(|setting| value(*setting).is_some()).filter(applies).collect()
}

fn common_point_of_parts(left: &Part, right: &Part) -> Option<Point> {
    if left.applies != right.applies {
        return None;
    }
    // Both parts' dimensions, cut down to what the other allows, dimension against dimension.
    let mut point = Point::new();
    let mut settled: BTreeSet<Setting> = BTreeSet::new();
    for &setting in &left.applies {
        if settled.contains(&setting) {
            continue;
        }
        let linked = linked_settings(&left.block, &right.block, setting);
        let values = match_linked(&left.block, &right.block, &linked, &left.applies)?;
        point.extend(values);
        settled.extend(linked);
    }
    Some(point)
}

/// The settings that a value of this one decides with it, through zips on either side.
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

/// Values for the linked settings that both blocks have.
fn match_linked(left: &Block, right: &Block, linked: &BTreeSet<Setting>, of: &BTreeSet<Setting>) -> Option<Point> {
    let of_side = |block: &Block| -> Vec<Dimension> {
        let mine = block.dimensions().iter().filter(|d| d.axes().iter().any(|(s, _)| linked.contains(s)));
        mine.cloned().collect()
    };
    let (ours, theirs) = (of_side(left), of_side(right));
    if let ([a], [b]) = (ours.as_slice(), theirs.as_slice())
        && let (
            [(setting, Axis::Range { from, step, .. })],
            [(_, Axis::Range { from: other_from, step: other_step, .. })],
        ) = (a.axes(), b.axes())
        && step == other_step
    {
        let same_phase = from.abs_diff(*other_from).is_multiple_of(*step);
        return same_phase
            .then(|| common_of_ranges(a, b, *from, *other_from, *step))
            .flatten()
            .map(|number| Point::from([(*setting, Value::Integer(number))]));
    }
    let (few, many) = if combinations(&ours) <= combinations(&theirs) { (left, right) } else { (right, left) };
    let few_dimensions = if std::ptr::eq(few, left) { ours } else { theirs };
    each_combination(&few_dimensions).find_map(|chosen| {
        let mut point: Point = linked
            .iter()
            .filter(|s| of.contains(s))
            .filter_map(|&s| {
                let value =
                    chosen.get(&s).cloned().or_else(|| few.constants().get(&s).cloned()).or_else(|| s.default_value());
                Some((s, value?))
            })
            .collect();
        point.retain(|setting, _| of.contains(setting));
        has(many, &point).then_some(point)
    })
}

fn combinations(dimensions: &[Dimension]) -> u128 {
    dimensions.iter().map(|dimension| u128::from(dimension.len())).product()
}

/// Every choice of one place in each dimension, as settings.
fn each_combination(dimensions: &[Dimension]) -> impl Iterator<Item = Point> {
    let total = dimensions.iter().map(Dimension::len).product::<u64>();
    (0..total).map(move |mut index| {
        let mut point = Point::new();
        for dimension in dimensions {
            point.extend(dimension.values(index % dimension.len()));
            index /= dimension.len();
        }
        point
    })
}

/// Whether the block has a point with these settings, which are wholly decided by the dimensions they touch.
fn has(block: &Block, point: &Point) -> bool {
    point.iter().all(|(setting, value)| {
        let dimension = block.dimensions().iter().find(|dimension| dimension.axis(*setting).is_some());
        match dimension {
            None => block.constants().get(setting).cloned().or_else(|| setting.default_value()).as_ref() == Some(value),
            Some(dimension) => place_of(dimension, point).is_some(),
        }
    })
}

/// The place of a dimension at which all its settings have the point's values.
fn place_of(dimension: &Dimension, point: &Point) -> Option<u64> {
    let in_use = |place: &u64| dimension.places().iter().any(|run| run.contains(place));
    if let [(setting, axis)] = dimension.axes() {
        return axis.place(point.get(setting)?).filter(in_use);
    }
    let fits = |place: &u64| {
        dimension
            .axes()
            .iter()
            .all(|(setting, axis)| point.get(setting).is_none_or(|value| axis.value(*place) == *value))
    };
    dimension.places().iter().cloned().flatten().find(fits)
}

/// A number of both ranges, whose steps are the same and whose phases agree.
fn common_of_ranges(a: &Dimension, b: &Dimension, from: u64, other_from: u64, step: u64) -> Option<u64> {
    let numbers = |dimension: &Dimension, from: u64| -> Vec<Range<u64>> {
        let number = |place: u64| from + place * step;
        dimension.places().iter().map(|run| number(run.start)..number(run.end - 1) + 1).collect()
    };
    let (ours, theirs) = (numbers(a, from), numbers(b, other_from));
    ours.iter().find_map(|ours| {
        theirs.iter().find_map(|theirs| {
            let start = ours.start.max(theirs.start);
            (start < ours.end.min(theirs.end)).then_some(start)
        })
    })
}
