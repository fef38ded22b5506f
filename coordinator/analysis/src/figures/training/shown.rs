//! The curves that figures of training show: those of the deepest networks, trained with the chosen settings.

use std::collections::{BTreeMap, BTreeSet};

use biosweep_common::configuration::Point;
use biosweep_common::results::views::CurveView;
use biosweep_common::vocabulary::ActivationFunction;
use biosweep_common::vocabulary::dataset::DatasetRef;

use crate::aggregate::{Cell, Place};
use crate::figures::parts::axis::{Scale, ticks};
use crate::figures::parts::chart::Frame;
use crate::figures::parts::intervals;
use crate::replicates::mean::{Mean, mean_of};
use crate::replicates::{is_trained_with, replicate};

/// Maximum points of a curve; more than a panel has pixels would only make the file larger.
const POINTS_MAX: usize = 300;
/// Number of markers on a curve, so that it is known without its colour.
pub(super) const MARKERS: usize = 4;
/// The least number of values for which a mean has a band; each value of fewer has a line.
const BAND_MIN: u64 = 3;
/// Space that a number at the horizontal axis needs, in points.
const TICK_WIDTH: f64 = 32.0;

/// The cells of the deepest networks, each with the curves of its chosen settings.
pub(super) struct Shown<'a> {
    pub(super) cells: Vec<(&'a Cell, Vec<&'a CurveView>)>,
    /// Whether there are other depths.
    pub(super) is_part: bool,
}

/// The trajectories whose curves figures of training show: those of the deepest networks, with the chosen settings.
pub struct Chosen<'a> {
    cells: BTreeMap<&'a Place, &'a Cell>,
}

impl<'a> Chosen<'a> {
    /// The chosen trajectories of these cells.
    #[must_use]
    pub fn of(cells: &'a [Cell]) -> Self {
        Self { cells: Shown::of(cells, &[]).cells.into_iter().map(|(cell, _)| (&cell.place, cell)).collect() }
    }

    /// Whether the trajectory with these settings is chosen.
    #[must_use]
    pub fn has(&self, point: &Point) -> bool {
        let cell = Place::of(point).and_then(|place| self.cells.get(&place).copied());
        cell.is_some_and(|cell| is_trained_with(point, &cell.chosen))
    }
}

/// One value over updates, of one replicate.
pub(super) struct Line {
    pub(super) replicate: (u64, u64),
    /// Updates, with finite values.
    pub(super) points: Vec<(u64, f64)>,
}

impl<'a> Shown<'a> {
    /// The curves of these cells. A cell without curves is there, too.
    pub(super) fn of(cells: &'a [Cell], curves: &'a [CurveView]) -> Self {
        let deepest = deepest(cells);
        let is_deepest = |place: &Place| deepest.get(&(&place.dataset, place.activation)) == Some(&place.depth);
        let mut shown: Vec<(&Cell, Vec<&CurveView>)> =
            cells.iter().filter(|cell| is_deepest(&cell.place)).map(|cell| (cell, Vec::new())).collect();
        let index: BTreeMap<&Place, usize> = shown.iter().enumerate().map(|(i, (cell, _))| (&cell.place, i)).collect();
        for curve in curves {
            let Some(&place) = Place::of(&curve.point).and_then(|place| index.get(&place)) else { continue };
            let (cell, of_cell) = &mut shown[place];
            if is_trained_with(&curve.point, &cell.chosen) {
                of_cell.push(curve);
            }
        }
        let is_part = shown.len() < cells.len();
        Self { cells: shown, is_part }
    }

    /// The title of a figure: it says if networks are left out.
    pub(super) fn title(&self, title: &str) -> String {
        if self.is_part { format!("{title}: its deepest networks") } else { title.to_owned() }
    }
}

/// The greatest depth of each dataset and activation.
fn deepest(cells: &[Cell]) -> BTreeMap<(&DatasetRef, ActivationFunction), u32> {
    let mut deepest = BTreeMap::new();
    for Cell { place, .. } in cells {
        let depth: &mut u32 = deepest.entry((&place.dataset, place.activation)).or_default();
        *depth = place.depth.max(*depth);
    }
    deepest
}

impl Line {
    /// The finite values of a curve.
    pub(super) fn of(curve: &CurveView, values: impl Iterator<Item = (u64, f64)>) -> Self {
        Self { replicate: replicate(&curve.point), points: values.filter(|(_, value)| value.is_finite()).collect() }
    }

    /// The validation accuracies of a curve.
    pub(super) fn of_validation(curve: &CurveView) -> Self {
        Self::of(curve, curve.points.iter().map(|point| (point.update, point.validation_accuracy.clamp(0.0, 1.0))))
    }
}

/// The mean of lines over folds at each update that all of them have.
pub(super) fn mean(lines: &[Line]) -> Vec<(u64, Mean)> {
    let mut updates: BTreeMap<u64, Vec<(u64, f64)>> = BTreeMap::new();
    for line in lines {
        for &(update, value) in &line.points {
            updates.entry(update).or_default().push((line.replicate.0, value));
        }
    }
    let by_all = updates.into_iter().filter(|(_, values)| values.len() == lines.len());
    by_all.filter_map(|(update, values)| Some((update, mean_of(by_fold(values))?))).collect()
}

fn by_fold(values: Vec<(u64, f64)>) -> Vec<Vec<f64>> {
    let mut folds: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    for (fold, value) in values {
        folds.entry(fold).or_default().push(value);
    }
    folds.into_values().collect()
}

/// Whether a mean has a band: it has enough values.
pub(super) fn has_band(mean: &[(u64, Mean)]) -> bool {
    mean.first().is_some_and(|(_, first)| first.count >= BAND_MIN)
}

/// What the bands of these means are; `None` if none has one.
pub(super) fn bands<'a>(means: impl Iterator<Item = &'a Vec<(u64, Mean)>>) -> Option<String> {
    let first = |mean: &'a Vec<(u64, Mean)>| mean.first().map(|(_, first)| first);
    intervals::meaning(means.filter(|mean| has_band(mean)).filter_map(first))
}

/// The area of a band: positions with the ends of intervals.
pub(super) fn area(mean: &[(u64, Mean)], updates: Scale) -> Vec<(f64, f64, f64)> {
    intervals::area(thinned(mean).iter().map(|(update, mean)| (updates.at(*update as f64), mean)))
}

/// At most [`POINTS_MAX`] of the points, evenly spaced, always with the last.
pub(super) fn thinned<T: Copy>(points: &[T]) -> Vec<T> {
    let every = points.len().div_ceil(POINTS_MAX).max(1);
    let end = points.len().saturating_sub(1);
    points.iter().enumerate().filter(|&(i, _)| i % every == 0 || i == end).map(|(_, &point)| point).collect()
}

/// The points of a curve that have a marker: evenly spaced, at other places for each of the `count` curves.
pub(super) fn marked(points: usize, index: usize, count: usize) -> BTreeSet<usize> {
    let start = (index as f64 + 0.5) / count as f64;
    let position = |i: usize| ((i as f64 + start) / MARKERS as f64 * points as f64) as usize;
    (0..MARKERS).map(position).filter(|&position| position < points).collect()
}

/// The axis of updates up to the last one.
pub(super) struct Updates {
    last: f64,
    pub(super) scale: Scale,
}

impl Updates {
    pub(super) fn to(last: Option<u64>) -> Self {
        let last = last.unwrap_or(1).max(1) as f64;
        Self { last, scale: Scale::linear(0.0, last * 1.02) }
    }

    pub(super) fn ticks(&self, frame: Frame) -> Vec<(f64, String)> {
        let wanted = ((frame.width / TICK_WIDTH) as usize).clamp(2, 8);
        ticks(0.0, self.last, wanted).into_iter().map(|tick| (self.scale.at(tick), short(tick))).collect()
    }
}

/// A number of updates as text, such as `500`, `2k`, `1.5M`.
fn short(updates: f64) -> String {
    let rounded = |number: f64| (number * 1e3).round() / 1e3;
    match updates {
        ..1e3 => rounded(updates).to_string(),
        ..1e6 => format!("{}k", rounded(updates / 1e3)),
        _ => format!("{}M", rounded(updates / 1e6)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replicates::mean::Unit;
    use crate::samples::{curves, paper};

    #[test]
    fn long_curves_are_thinned_to_the_visible_points() {
        let long: Vec<(u64, f64)> = (0..2_564).map(|i| (i, 0.5)).collect();
        let short = thinned(&long);
        assert!(short.len() <= POINTS_MAX + 1 && short.last() == long.last(), "{}", short.len());
        assert_eq!(thinned(&long[..100]), long[..100]);
    }

    #[test]
    fn a_mean_ends_with_its_shortest_curve() {
        let views = curves(&paper(2)[..2]);
        let line = |view: &CurveView, count: usize| {
            Line::of(view, view.points.iter().take(count).map(|point| (point.update, point.validation_accuracy)))
        };
        let mean = mean(&[line(&views[0], 10), line(&views[1], 4)]);
        assert_eq!(mean.len(), 4);
        let both = (views[0].points[0].validation_accuracy + views[1].points[0].validation_accuracy) / 2.0;
        assert_eq!((mean[0].0, mean[0].1.mean, mean[0].1.count), (390, both, 2));
    }

    #[test]
    fn seeds_of_one_fold_count_once() {
        let line = |replicate, value| Line { replicate, points: vec![(1, value)] };
        let mean = mean(&[line((0, 0), 0.1), line((0, 1), 0.3), line((1, 0), 0.8)]);
        assert!((mean[0].1.mean - 0.5).abs() < 1e-12 && mean[0].1.unit == Unit::Fold && mean[0].1.count == 2);
    }

    #[test]
    fn markers_of_two_rules_are_at_different_points() {
        let (first, second) = (marked(100, 0, 2), marked(100, 1, 2));
        assert_eq!((first.len(), second.len()), (MARKERS, MARKERS));
        assert!(first.is_disjoint(&second), "{first:?} {second:?}");
        assert_eq!(marked(1, 0, 3), [0].into());
    }

    #[test]
    fn numbers_of_updates_are_short() {
        assert_eq!([0.0, 0.6000000000000001, 500.0, 2_500.0, 1.5e6].map(short), ["0", "0.6", "500", "2.5k", "1.5M"]);
    }
}
