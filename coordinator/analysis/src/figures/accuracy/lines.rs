//! Test accuracy along an axis: panels with a line for each rule on each network.

use std::collections::BTreeSet;

use biosweep_common::rules::Rule;
use biosweep_common::vocabulary::Network;

use super::groups::{Series, empty, ends, is_cross, is_partial, marks, series_of};
use crate::aggregate::{Cell, uneven};
use crate::figures::output::Figure;
use crate::figures::output::size::Width;
use crate::figures::parts::axis::{Axis, Scale};
use crate::figures::parts::chart::{Chart, Grid, Heading};
use crate::figures::parts::key::Entry;
use crate::figures::parts::plot::Plot;
use crate::figures::parts::style::{Connectivity, Marker, RADIUS, colour_of};
use crate::figures::scene::Stroke;
use crate::replicates::mean::Mean;

/// Maximum shift of lines in one panel, in points. The shift keeps markers and error bars of one position from covering each
/// other.
const SHIFT_MAX: f64 = 2.6;

/// A panel: its cells with their values on the horizontal axis.
pub(super) struct Panel<'a> {
    pub(super) heading: Heading,
    pub(super) cells: Vec<(f64, &'a Cell)>,
}

/// The horizontal axis.
#[derive(Clone, Copy)]
pub(super) struct Across {
    pub(super) label: &'static str,
    pub(super) is_log: bool,
    /// The number at a tick.
    pub(super) number: fn(f64) -> String,
}

/// The figure with these panels. A cell of which no replicate completed has a cross; one with some of its replicates
/// completed has a diamond around its marker.
pub(super) fn figure(title: &str, panels: &[Panel<'_>], across: Across, columns_max: usize, width: Width) -> Figure {
    let cells: Vec<&Cell> = panels.iter().flat_map(|panel| panel.cells.iter().map(|&(_, cell)| cell)).collect();
    let series: Vec<Series> = cells.iter().copied().map(series_of).collect::<BTreeSet<_>>().into_iter().collect();
    let percents = Axis::percent(ends(&cells), 6);
    let rules: BTreeSet<Rule> = series.iter().map(|&(rule, _)| rule).collect();
    let networks: BTreeSet<Network> = series.iter().map(|&(_, network)| network).collect();
    let key = [
        rules.into_iter().map(Entry::of_rule).collect(),
        networks.into_iter().map(Entry::of_network).collect(),
        marks(&cells, "only n replicates completed (n where there is space)"),
    ];
    let most = uneven(cells.iter().copied()).unwrap_or(0);
    let mut chart = Chart::new(title, width, &key);
    let grid = Grid::over(&percents, columns_max);
    let headings: Vec<Heading> = panels.iter().map(|panel| panel.heading.clone()).collect();
    for (index, frame) in chart.frames(&headings, grid).into_iter().enumerate() {
        frame.y_axis(&mut chart.scene, &percents, "test accuracy (%)");
        let Some(Panel { cells, .. }) = panels.get(index) else {
            frame.x_axis(&mut chart.scene, &[], across.label);
            frame.explain(&mut chart.scene, "no trial has ended yet");
            continue;
        };
        let positions = Positions::of(cells.iter().map(|&(at, _)| at), across.is_log);
        let tick = |&value: &f64| (positions.scale.at(value), (across.number)(value));
        frame.x_axis(&mut chart.scene, &positions.values.iter().map(tick).collect::<Vec<_>>(), across.label);
        if let Some(reason) = empty(cells.iter().map(|&(_, cell)| cell)) {
            frame.explain(&mut chart.scene, &reason);
        }
        let mut plot = Plot::new(&mut chart.scene, frame, &percents);
        let (shift, radius) = (positions.shift(series.len(), frame.width), positions.radius(frame.width));
        for (i, &series_i) in series.iter().enumerate() {
            let shift = (i as f64 - (series.len() - 1) as f64 / 2.0) * shift;
            let of_line = cells.iter().filter(|(_, cell)| series_of(cell) == series_i);
            let mut of_line: Vec<(f64, &Cell)> = of_line.map(|&(at, cell)| (positions.scale.at(at), cell)).collect();
            of_line.sort_by(|(one, _), (other, _)| one.total_cmp(other));
            line(&mut plot, &of_line, Look { series: series_i, shift, radius, most });
        }
        plot.finish();
    }
    chart.finish()
}

/// How a line is drawn; `most` is the greatest number of replicates if they differ.
#[derive(Clone, Copy)]
struct Look {
    series: Series,
    shift: f64,
    radius: f64,
    most: u64,
}

/// One line through its cells, at their positions on the horizontal axis.
fn line(plot: &mut Plot<'_>, cells: &[(f64, &Cell)], look: Look) {
    let (rule, network) = look.series;
    let (colour, connectivity) = (colour_of(rule), Connectivity::of(network));
    let points: Vec<(f64, Mean)> = cells.iter().filter_map(|&(at, cell)| Some((at, cell.test?))).collect();
    for &(at, cell) in cells.iter().filter(|(_, cell)| is_cross(cell)) {
        plot.cross(at, cell.test.map(|test| test.mean), look.shift, colour);
    }
    let means: Vec<(f64, f64)> = points.iter().map(|&(x, test)| (x, test.mean)).collect();
    plot.curve(&means, look.shift, Stroke { dashes: connectivity.dashes(), ..Stroke::solid(colour, 1.1) });
    for &(x, test) in &points {
        if let Some(half_width) = test.half_width {
            plot.error_bar((x, test.mean), half_width, look.shift, colour);
        }
    }
    let marker = Marker { radius: look.radius, ..Marker::of(rule, connectivity.has_full_markers()) };
    for ((_, cell), mean) in cells.iter().filter(|(_, cell)| cell.test.is_some()).zip(means) {
        if is_cross(cell) {
            continue;
        }
        plot.marker(mean, look.shift, marker);
        if is_partial(cell, look.most) {
            plot.diamond(mean, look.shift, colour, cell.completed);
        }
    }
}

/// The values of the horizontal axis, ascending, and its scale with space on both sides.
struct Positions {
    values: Vec<f64>,
    scale: Scale,
}

impl Positions {
    fn of(values: impl Iterator<Item = f64>, is_log: bool) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        values.dedup();
        let ends = values.first().copied().zip(values.last().copied());
        let scale = match (ends, is_log) {
            (Some((low, high)), true) if low > 0.0 => {
                let room = if low < high { (high / low).powf(0.15) } else { 10.0 };
                Scale::log(low / room, high * room)
            }
            (ends, _) => {
                let (low, high) = ends.unwrap_or((0.0, 1.0));
                let room = if low < high { 0.1 * (high - low) } else { 1.0 };
                Scale::linear(low - room, high + room)
            }
        };
        Self { values, scale }
    }

    /// Points between neighbouring lines, so that all marks of one position keep clear of the next and of the panel's edge.
    fn shift(&self, lines: usize, plot_width: f64) -> f64 {
        SHIFT_MAX.min(0.8 * self.nearest(plot_width) / lines.max(1) as f64)
    }

    /// The radius of markers, less if positions are close to each other.
    fn radius(&self, plot_width: f64) -> f64 {
        (0.4 * self.nearest(plot_width)).clamp(1.2, RADIUS)
    }

    /// The least distance between two positions or to the panel's edges from both sides, in points.
    fn nearest(&self, plot_width: f64) -> f64 {
        let along: Vec<f64> = self.values.iter().map(|&value| self.scale.at(value) * plot_width).collect();
        let ends = along.first().map_or(plot_width, |&first| 2.0 * first);
        along.windows(2).map(|pair| pair[1] - pair[0]).fold(ends, f64::min)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_of_a_position_keep_clear_of_the_next_one_and_of_the_edges() {
        for (values, lines, is_log) in [
            (&[1.0, 2.0, 40.0, 41.0][..], 6, false),
            (&[5.0, 10.0], 21, false),
            (&[5.0, 6.0, 7.0], 2, false),
            (&[1e-5, 1e-3, 2e-3], 6, true),
        ] {
            let positions = Positions::of(values.iter().copied(), is_log);
            let half = positions.shift(lines, 300.0) * (lines - 1) as f64 / 2.0;
            let at: Vec<f64> = values.iter().map(|&value| 300.0 * positions.scale.at(value)).collect();
            assert!(at[0] > half && at.windows(2).all(|pair| pair[0] + half < pair[1] - half), "{values:?}");
        }
    }
}
