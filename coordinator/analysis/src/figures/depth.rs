//! Test accuracy by depth: a panel for each activation, a line for each rule on each network.
//!
//! If every panel has a single depth, there are no lines, and the figure is that of `single`.

use std::collections::BTreeSet;

use biosweep_common::rules::Rule;
use biosweep_common::vocabulary::Network;

use super::groups::{
    DepthPanel, Series, depths, empty, ends, heading, is_cross, is_partial, marks, of_line, panel_of, series_of,
};
use super::output::Figure;
use super::output::size::Width;
use super::parts::axis::{Percents, Scale};
use super::parts::chart::{Chart, Grid, Heading, y_axis_width};
use super::parts::key::Entry;
use super::parts::plot::Plot;
use super::parts::style::{Connectivity, Marker, RADIUS, colour_of};
use super::scene::Stroke;
use super::single;
use crate::aggregate::{Cell, uneven};
use crate::replicates::mean::Mean;

/// Maximum shift of lines in one panel, in points. The shift keeps markers and error bars of one depth from covering each
/// other.
const SHIFT_MAX: f64 = 2.6;
const COLUMNS_MAX: usize = 3;
const PLOT_WIDTH_MIN: f64 = 84.0;

/// The figure for the cells of an aggregate. A cell of which no replicate completed has a cross; one with some of its
/// replicates completed has a diamond around its marker.
pub fn accuracy_by_depth(title: &str, cells: &[Cell], width: Width) -> Figure {
    let panels: Vec<DepthPanel<'_>> = cells.iter().map(panel_of).collect::<BTreeSet<_>>().into_iter().collect();
    let series: Vec<Series> = cells.iter().map(series_of).collect::<BTreeSet<_>>().into_iter().collect();
    let is_by_depth = panels.iter().any(|&panel| depths(cells, panel).len() > 1);
    if !is_by_depth && !cells.is_empty() {
        return single::accuracy(title, cells, (&panels, &series), width);
    }
    let percents = Percents::of(ends(cells), 6);
    let rules: BTreeSet<Rule> = series.iter().map(|&(rule, _)| rule).collect();
    let networks: BTreeSet<Network> = series.iter().map(|&(_, network)| network).collect();
    let key = [
        rules.into_iter().map(Entry::of_rule).collect(),
        networks.into_iter().map(Entry::of_network).collect(),
        marks(cells, "only n replicates completed (n where there is space)"),
    ];
    let mut chart = Chart::new(title, width, &key);
    let left = y_axis_width(&percents);
    let grid = Grid { columns_max: COLUMNS_MAX, plot_width_min: PLOT_WIDTH_MIN, left, plot_height: None };
    let headings: Vec<Heading> = panels.iter().map(|&panel| heading(panel, &panels)).collect();
    let headings = if headings.is_empty() { vec![Heading::default()] } else { headings };
    for (index, frame) in chart.frames(&headings, grid).into_iter().enumerate() {
        frame.y_axis(&mut chart.scene, &percents, "test accuracy (%)");
        let Some(&panel) = panels.get(index) else {
            frame.x_axis(&mut chart.scene, &[], "hidden layers");
            frame.explain(&mut chart.scene, "no trial has ended yet");
            continue;
        };
        let depths = depths(cells, panel);
        let scale = edge(&depths);
        let ticks: Vec<_> = depths.iter().map(|&depth| (scale.at(depth.into()), depth.to_string())).collect();
        frame.x_axis(&mut chart.scene, &ticks, "hidden layers");
        if let Some(reason) = empty(cells, panel) {
            frame.explain(&mut chart.scene, &reason);
        }
        let mut plot = Plot::new(&mut chart.scene, frame, percents.scale);
        let (shift, radius) = (shift(&depths, scale, series.len(), frame.width), radius(&depths, scale, frame.width));
        for (i, &series_i) in series.iter().enumerate() {
            let shift = (i as f64 - (series.len() - 1) as f64 / 2.0) * shift;
            let of_line: Vec<&Cell> = of_line(cells, panel, series_i).collect();
            let look = Look { series: series_i, shift, radius, most: uneven(cells).unwrap_or(0) };
            line(&mut plot, &of_line, |cell| scale.at(cell.place.depth.into()), look);
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
fn line(plot: &mut Plot<'_>, cells: &[&Cell], at: impl Fn(&Cell) -> f64, look: Look) {
    let (rule, network) = look.series;
    let (colour, connectivity) = (colour_of(rule), Connectivity::of(network));
    let points: Vec<(f64, Mean)> = cells.iter().filter_map(|cell| Some((at(cell), cell.test?))).collect();
    for cell in cells.iter().filter(|cell| is_cross(cell)) {
        plot.cross(at(cell), cell.test.map(|test| test.mean), look.shift, colour);
    }
    let means: Vec<(f64, f64)> = points.iter().map(|&(x, test)| (x, test.mean)).collect();
    plot.curve(&means, look.shift, Stroke { dashes: connectivity.dashes(), ..Stroke::solid(colour, 1.1) });
    for &(x, test) in &points {
        if let Some(half_width) = test.half_width {
            plot.error_bar((x, test.mean), half_width, look.shift, colour);
        }
    }
    let marker = Marker { radius: look.radius, ..Marker::of(rule, connectivity.has_full_markers()) };
    for (cell, mean) in cells.iter().filter(|cell| cell.test.is_some()).zip(means) {
        if is_cross(cell) {
            continue;
        }
        plot.marker(mean, look.shift, marker);
        if is_partial(cell, look.most) {
            plot.diamond(mean, look.shift, colour, cell.completed);
        }
    }
}

/// The scale of the horizontal axis for these depths, with space on both sides.
fn edge(depths: &BTreeSet<u32>) -> Scale {
    let (low, high) =
        (depths.first().map_or(0.0, |&depth| depth.into()), depths.last().map_or(1.0, |&depth| depth.into()));
    let room = if low < high { 0.1 * (high - low) } else { 1.0 };
    Scale { low: low - room, high: high + room }
}

/// Points between neighbouring lines, so that all marks of one depth keep clear of the next depth and of the panel's edge.
fn shift(depths: &BTreeSet<u32>, edge: Scale, lines: usize, plot_width: f64) -> f64 {
    SHIFT_MAX.min(0.8 * nearest(depths, edge, plot_width) / lines.max(1) as f64)
}

/// The radius of markers, less if depths are close to each other.
fn radius(depths: &BTreeSet<u32>, edge: Scale, plot_width: f64) -> f64 {
    (0.4 * nearest(depths, edge, plot_width)).clamp(1.2, RADIUS)
}

/// The least distance between two depths or to the panel's edges from both sides, in points.
fn nearest(depths: &BTreeSet<u32>, edge: Scale, plot_width: f64) -> f64 {
    let along = |depth: u32| edge.at(depth.into()) * plot_width;
    let ends = depths.first().map_or(plot_width, |&first| 2.0 * along(first));
    let pairs = depths.iter().zip(depths.iter().skip(1));
    pairs.map(|(&low, &high)| along(high) - along(low)).fold(ends, f64::min)
}

#[cfg(test)]
mod tests {
    use biosweep_common::results::outcome::TrialStatus;
    use biosweep_common::results::views::ResultView;
    use biosweep_common::settings::Value;

    use super::*;
    use crate::samples::{cells, completed, ended, paper, with};

    fn drawn(title: &str, cells: &[Cell]) -> String {
        accuracy_by_depth(title, cells, Width::PAGE).svg()
    }

    #[test]
    fn every_cell_has_a_marker_every_spread_an_error_bar_and_every_line_a_path() {
        let svg = drawn("a sweep", &cells(&paper(3)));
        // 8 cells and the key for bp, and one circle in the key for each network.
        assert_eq!(svg.matches("<circle").count(), 8 + 1 + 2);
        // 24 closed markers of 3 rules: 8 circles, and 16 paths. One more path for each of two rules in the key.
        assert_eq!(svg.matches(" Z\"").count(), 16 + 2);
        // 24 cells and the key, with three lines each.
        assert_eq!(svg.matches("stroke-opacity=\"0.7\"").count(), 3 * (24 + 1));
        // 2 activations with 6 lines each, and one dashed line in the key.
        assert_eq!(svg.matches("stroke-dasharray").count(), 2 * 3 + 1);
        assert!(svg.contains(">relu<") && svg.contains(">sigmoid<") && svg.contains("dn (dense)"));
    }

    #[test]
    fn marks_of_a_depth_keep_clear_of_the_next_depth_and_of_the_edges() {
        for (depths, lines) in [(&[1, 2, 40, 41][..], 6), (&[5, 10], 21), (&[5, 6, 7], 2)] {
            let depths: BTreeSet<u32> = depths.iter().copied().collect();
            let edge = edge(&depths);
            let half = shift(&depths, edge, lines, 300.0) * (lines - 1) as f64 / 2.0;
            let at: Vec<f64> = depths.iter().map(|&depth| 300.0 * edge.at(depth.into())).collect();
            assert!(at[0] > half && at.windows(2).all(|pair| pair[0] + half < pair[1] - half), "{depths:?}");
        }
    }

    #[test]
    fn ticks_that_are_too_close_have_no_labels() {
        let of_depth = |depth| completed("bp", "nn", depth, 0.9, 0.9);
        let svg = drawn("s", &cells(&[1, 2, 40, 41].map(of_depth)));
        assert!(svg.contains(">1<") && svg.contains(">40<") && !svg.contains(">41<"), "{svg}");
    }

    #[test]
    fn the_same_cells_give_the_same_figure() {
        assert_eq!(drawn("s", &cells(&paper(2))), drawn("s", &cells(&paper(2))));
    }

    #[test]
    fn a_single_depth_gives_dots_with_their_accuracies() {
        let svg = drawn("s", &cells(&[completed("bp", "nn", 5, 0.9, 0.912), completed("fa", "nn", 5, 0.9, 0.8)]));
        assert!(svg.contains("relu, 5 hidden layers") && svg.contains(">91.2<") && svg.contains(">80.0<"), "{svg}");
        assert_eq!(svg.matches("<circle").count(), 1, "bp");
        assert_eq!(svg.matches(" Z\"").count(), 1, "fa");
    }

    #[test]
    fn a_cell_without_accuracy_has_a_cross_that_the_key_explains() {
        let sound = [completed("bp", "nn", 5, 0.9, 0.912), completed("bp", "nn", 10, 0.9, 0.9)];
        let crosses = |status| {
            let [first, second] = sound.clone();
            let svg = drawn("s", &cells(&[first, second, ended("fa", "nn", 10, status)]));
            (svg.matches(Rule::Fa.descriptor().colour).count(), svg)
        };
        let (strokes, diverged) = crosses(TrialStatus::Diverged);
        assert_eq!(strokes, 1 + 2 + 2, "line and marker in the key, and one cross");
        let explained = ">no replicate completed<";
        assert!(diverged.contains(explained), "{diverged}");
        assert!(crosses(TrialStatus::Failed).1.contains(explained));
        assert!(!drawn("s", &cells(&sound)).contains(explained));
    }

    #[test]
    fn a_cell_with_missing_replicates_has_a_diamond() {
        let fold = |result, fold| with(result, &[("fold", Value::Integer(fold))]);
        let sound = |rule, depth| (0..6).map(move |index| fold(completed(rule, "nn", depth, 0.9, 0.9), index));
        let whole: Vec<_> = sound("bp", 5).chain(sound("bp", 10)).chain(sound("fa", 5)).collect();
        let picture = |more: Vec<ResultView>| drawn("s", &cells(&[whole.clone(), more].concat()));
        let diamonds = |svg: &str| svg.matches("fill=\"none\" stroke=\"#d55e00\" stroke-width=\"0.9\"").count();
        assert_eq!(diamonds(&picture(sound("fa", 10).collect())), 0);
        let diverged = (1..6).map(|index| fold(ended("fa", "nn", 10, TrialStatus::Diverged), index));
        let survivor = || fold(completed("fa", "nn", 10, 0.9, 0.9), 0);
        for few in [std::iter::once(survivor()).chain(diverged).collect(), vec![survivor()]] {
            let svg = picture(few);
            assert_eq!(diamonds(&svg), 1, "{svg}");
            assert!(svg.contains(">n = 1<") && svg.contains("only n replicates completed"), "{svg}");
        }
    }

    #[test]
    fn a_sweep_without_completed_trials_gives_a_figure() {
        let nothing = drawn("s", &[]);
        assert!(nothing.contains(">no trial has ended yet<"), "{nothing}");
        let diverged = [5, 10].map(|depth| ended("bp", "nn", depth, TrialStatus::Diverged));
        let by_depth = drawn("s", &cells(&diverged));
        assert!(by_depth.contains(">no trial completed: 2 diverged, 0 failed<"), "{by_depth}");
        let single = drawn("s", &cells(&diverged[..1]));
        assert!(single.contains(">diverged<"), "{single}");
        for svg in [nothing, by_depth, single] {
            assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n") && !svg.contains("NaN"), "{svg}");
        }
    }
}
