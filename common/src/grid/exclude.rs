//! A product less a box, as disjoint products.

use std::ops::Range;

use super::axis::{Axis, Progression};
use super::product::{Dimension, Product};
use crate::settings::{Level, Setting};

/// Settings with the values that are taken out together.
pub(crate) type Exclusion = [(Setting, Axis)];

/// Disjoint ascending rows of a dimension.
type Rows = Vec<Range<u64>>;

/// Up to here values are looked up one by one; beyond, only what arithmetic can tell is answered.
const WALKED_MAX: u64 = 100_000;

/// The exclusion interleaves ranges too long to walk through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooFine;

/// The disjoint products that are left of a product; `None` where the exclusion matches none of its points.
pub(crate) fn subtract(product: &Product, exclusion: &Exclusion) -> Result<Option<Vec<Product>>, TooFine> {
    let product = with_one_stop_dimension(product);
    let is_dimension = |setting| product.axis(setting).is_some();
    let constants_match = exclusion
        .iter()
        .filter(|(setting, _)| !is_dimension(*setting))
        .all(|(setting, axis)| product.constant(*setting).is_some_and(|value| axis.position(&value).is_some()));
    if !constants_match {
        return Ok(None);
    }
    let mut left = Vec::new();
    let mut dimensions = product.dimensions.clone();
    for place in 0..dimensions.len() {
        let (matched, others) = split(&dimensions[place], exclusion)?;
        if matched.is_empty() {
            return Ok(None);
        }
        if !others.is_empty() {
            let mut apart = dimensions.clone();
            apart[place] = dimensions[place].select(&others);
            left.push(smaller(&product, apart));
            dimensions[place] = dimensions[place].select(&matched);
        }
    }
    Ok(Some(left))
}

fn smaller(product: &Product, dimensions: Vec<Dimension>) -> Product {
    Product::new(product.constants.clone(), dimensions).expect("a part of a product has no more points than the whole")
}

/// The same product with all that says when to stop in one dimension, so that a cut never parts one trajectory's trials.
fn with_one_stop_dimension(product: &Product) -> Product {
    let is_stop = |dimension: &&Dimension| dimension.lead().level() == Level::Stop;
    let stop: Vec<Dimension> = product.dimensions.iter().filter(is_stop).cloned().collect();
    if stop.len() < 2 {
        return product.clone();
    }
    let mut repeats = product.rules;
    let mut axes = Vec::new();
    for dimension in &stop {
        let count = dimension.count();
        repeats /= count;
        for (setting, axis) in &dimension.axes {
            let values = (0..product.rules).map(|row| axis.get(row / repeats % count)).collect();
            axes.push((*setting, Axis::List(values)));
        }
    }
    let mut dimensions: Vec<Dimension> = product.dimensions.iter().filter(|own| !is_stop(own)).cloned().collect();
    dimensions.push(Dimension { axes });
    smaller(product, dimensions)
}

/// The rows of a dimension that match, and those that do not.
fn split(dimension: &Dimension, exclusion: &Exclusion) -> Result<(Rows, Rows), TooFine> {
    let whole = 0..dimension.count();
    let mut matched = vec![whole.clone()];
    for (setting, own) in &dimension.axes {
        if let Some((_, wanted)) = exclusion.iter().find(|(excluded, _)| excluded == setting) {
            matched = intersect(&matched, &rows_among(own, wanted)?);
        }
    }
    let mut others = Vec::new();
    let mut start = whole.start;
    for rows in &matched {
        if start < rows.start {
            others.push(start..rows.start);
        }
        start = rows.end;
    }
    if start < whole.end {
        others.push(start..whole.end);
    }
    Ok((matched, others))
}

/// The rows of `own` whose values are among `wanted`.
fn rows_among(own: &Axis, wanted: &Axis) -> Result<Rows, TooFine> {
    let repeats = |axis: &Axis| matches!(axis, Axis::List(_));
    if own.count() <= WALKED_MAX {
        let rows = (0..own.count()).filter(|row| wanted.position(&own.get(*row)).is_some());
        return Ok(joined(rows.map(|row| row..row + 1)));
    }
    if wanted.count() <= WALKED_MAX && !repeats(own) {
        let mut rows: Vec<u64> = wanted.values().filter_map(|value| own.position(&value)).collect();
        rows.sort_unstable();
        return Ok(joined(rows.into_iter().map(|row| row..row + 1)));
    }
    let (Axis::Ranges(ours), Axis::Ranges(theirs)) = (own, wanted) else { return Err(TooFine) };
    let mut rows = Vec::new();
    let mut before = 0;
    for our in ours {
        for their in theirs {
            rows.extend(overlap(*our, *their)?.map(|own| before + own.start..before + own.end));
        }
        before += our.count;
    }
    rows.sort_unstable_by_key(|rows: &Range<u64>| rows.start);
    Ok(joined(rows.into_iter()))
}

/// The rows of one progression that another one of the same step holds too.
fn overlap(own: Progression, wanted: Progression) -> Result<Option<Range<u64>>, TooFine> {
    if wanted.count > 1 && wanted.step != own.step {
        return Err(TooFine);
    }
    let (first, last) = (own.from.max(wanted.from), own.last().min(wanted.last()));
    if first > last || !own.from.abs_diff(wanted.from).is_multiple_of(own.step) {
        return Ok(None);
    }
    Ok(Some((first - own.from) / own.step..(last - own.from) / own.step + 1))
}

fn joined(rows: impl Iterator<Item = Range<u64>>) -> Vec<Range<u64>> {
    let mut joined: Vec<Range<u64>> = Vec::new();
    for next in rows {
        match joined.last_mut() {
            Some(last) if next.start <= last.end => last.end = last.end.max(next.end),
            _ => joined.push(next),
        }
    }
    joined
}

fn intersect(first: &[Range<u64>], second: &[Range<u64>]) -> Vec<Range<u64>> {
    let (mut i, mut j, mut common) = (0, 0, Vec::new());
    while let (Some(a), Some(b)) = (first.get(i), second.get(j)) {
        let (start, end) = (a.start.max(b.start), a.end.min(b.end));
        if start < end {
            common.push(start..end);
        }
        if a.end < b.end { i += 1 } else { j += 1 }
    }
    common
}
