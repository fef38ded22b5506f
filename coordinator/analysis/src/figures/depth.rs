//! Test accuracy by depth: a panel for each activation, a line for each rule on each network.
//!
//! If every panel has a single depth, there are no lines. Then each rule on each network has its own position on the
//! horizontal axis, and its accuracy beside its dot.

use std::collections::BTreeSet;

use biosweep_common::rules::Rule;
use biosweep_common::vocabulary::dataset::DatasetRef;
use biosweep_common::vocabulary::{ActivationFunction, Network};

use super::chart::{Chart, Marks, Panel, Plot, Scale};
use super::svg::Stroke;
use super::{Connectivity, layers};
use crate::aggregate::{Cell, Mean, uneven};

/// Maximum shift of lines in one panel, in pixels. The shift keeps dots and error bars of one depth from covering each
/// other.
const SHIFT_MAX: f64 = 3.0;

/// The dataset, whether the layers are convolutions, and the activation function.
type DepthPanel<'a> = (&'a DatasetRef, bool, ActivationFunction);
type Series = (Rule, Network);

/// The figure as SVG text, for the cells of an aggregate. A cell of which no replicate completed has a
/// cross, at the accuracy of a guess if one diverged; one whose replicates did not all complete has a diamond.
pub fn accuracy_by_depth(title: &str, cells: &[Cell]) -> String {
    let panels: BTreeSet<DepthPanel<'_>> = cells.iter().map(panel_of).collect();
    let series: Vec<Series> = cells.iter().map(series_of).collect::<BTreeSet<_>>().into_iter().collect();
    let datasets = panels.iter().map(|(dataset, ..)| dataset).collect::<BTreeSet<_>>().len();
    let families = panels.iter().map(|(_, family, _)| family).collect::<BTreeSet<_>>().len();
    let ends = cells.iter().filter_map(|cell| cell.test).flat_map(|test| {
        let half = test.half_width.unwrap_or(0.0);
        [test.mean - half, test.mean + half]
    });
    let mut chart = Chart::new(title, panels.len(), 3, ends);
    let cross = cells.iter().any(|cell| cell.completed == 0).then_some("no replicate completed");
    let most = uneven(cells).unwrap_or(0);
    let diamond = cells.iter().any(|cell| is_partial(cell, most)).then_some("only n replicates completed");
    let rules = series.iter().map(|&(rule, _)| rule).collect();
    chart.key(&rules, &series.iter().map(|&(_, network)| network).collect(), Marks { cross, diamond });
    let lines = series.len();
    let by_depth = panels.iter().any(|&panel| depths(cells, panel).len() > 1);
    for (index, &panel) in panels.iter().enumerate() {
        let (dataset, is_convolutional, activation) = panel;
        let depths = depths(cells, panel);
        let mut title =
            if datasets > 1 { format!("{}, {activation}", dataset.label()) } else { activation.to_string() };
        if families > 1 && is_convolutional {
            title += ", convolutional";
        }
        if by_depth {
            let scale = edge(&depths);
            let x_marks = depths.iter().map(|&depth| (scale.at(depth.into()), depth.to_string())).collect();
            let shift = shift(&depths, scale, lines, chart.plot_width());
            let mut plot =
                chart.panel(&Panel { index, title: &title, x_label: "hidden layers", x_marks }, "test accuracy");
            for (i, &series) in series.iter().enumerate() {
                let shift_px = (i as f64 - (lines - 1) as f64 / 2.0) * shift;
                let of_line: Vec<&Cell> = of_line(cells, panel, series).collect();
                line(&mut plot, &of_line, |cell| scale.at(cell.place.depth.into()), series, (shift_px, most));
            }
        } else {
            title += &depths.first().map(|&depth| format!(", {}", layers(depth))).unwrap_or_default();
            let scale = Scale { low: -0.6, high: series.len() as f64 - 0.4 };
            let mark = |(i, (rule, network)): (usize, &Series)| (scale.at(i as f64), format!("{rule}\n{network}"));
            let x_marks = series.iter().enumerate().map(mark).collect();
            let mut plot = chart.panel(&Panel { index, title: &title, x_label: "", x_marks }, "test accuracy");
            for (i, &series) in series.iter().enumerate() {
                let of_line: Vec<&Cell> = of_line(cells, panel, series).collect();
                line(&mut plot, &of_line, |_| scale.at(i as f64), series, (0.0, most));
                for test in of_line.iter().filter_map(|cell| cell.test) {
                    plot.note((scale.at(i as f64), test.mean), &format!("{:.1}", 100.0 * test.mean));
                }
            }
        }
    }
    chart.finish()
}

/// Whether a mean has fewer replicates than others: some diverged, failed or have not ended.
fn is_partial(cell: &Cell, most: u64) -> bool {
    cell.test.is_some_and(|test| cell.diverged + cell.missing > 0 || test.count < most)
}

/// One line through its cells, at their positions on the horizontal axis; `most` is the greatest number of replicates
/// if they differ.
fn line(
    plot: &mut Plot<'_>,
    cells: &[&Cell],
    at: impl Fn(&Cell) -> f64,
    (rule, network): Series,
    (shift_px, most): (f64, u64),
) {
    let (colour, connectivity) = (rule.descriptor().colour, Connectivity::of(network));
    let points: Vec<(f64, Mean)> = cells.iter().filter_map(|cell| Some((at(cell), cell.test?))).collect();
    let means: Vec<(f64, f64)> = points.iter().map(|&(x, test)| (x, test.mean)).collect();
    if means.len() > 1 {
        plot.curve(&means, shift_px, Stroke { dashes: connectivity.dashes(), ..Stroke::solid(colour, 2.0) });
    }
    for &(x, test) in &points {
        if let Some(half_width) = test.half_width {
            plot.error_bar((x, test.mean), half_width, shift_px, colour);
        }
    }
    for &cell in cells {
        let x = at(cell);
        match cell.test {
            test if cell.completed == 0 => plot.cross(x, test.map(|test| test.mean), shift_px, colour),
            Some(test) if is_partial(cell, most) => {
                plot.diamond((x, test.mean), shift_px, colour, cell.completed);
            }
            Some(test) => plot.dot((x, test.mean), shift_px, colour, connectivity.has_full_dots()),
            None => {}
        }
    }
}

fn of_line<'a>(cells: &'a [Cell], panel: DepthPanel<'a>, series: Series) -> impl Iterator<Item = &'a Cell> {
    cells.iter().filter(move |cell| panel_of(cell) == panel && series_of(cell) == series)
}

fn depths(cells: &[Cell], panel: DepthPanel<'_>) -> BTreeSet<u32> {
    cells.iter().filter(|cell| panel_of(cell) == panel).map(|cell| cell.place.depth).collect()
}

/// The scale of the horizontal axis for these depths, with space on both sides.
fn edge(depths: &BTreeSet<u32>) -> Scale {
    let (low, high) =
        (depths.first().map_or(0.0, |&depth| depth.into()), depths.last().map_or(1.0, |&depth| depth.into()));
    let room = if low < high { 0.1 * (high - low) } else { 1.0 };
    Scale { low: low - room, high: high + room }
}

/// Pixels between neighbouring lines, so that all marks of one depth keep clear of the next depth and of the panel's
/// edge.
fn shift(depths: &BTreeSet<u32>, edge: Scale, lines: usize, plot_width: f64) -> f64 {
    let px = |depth: u32| edge.at(depth.into()) * plot_width;
    let ends = depths.first().map_or(plot_width, |&first| 2.0 * px(first));
    let nearest = depths.iter().zip(depths.iter().skip(1)).map(|(&low, &high)| px(high) - px(low)).fold(ends, f64::min);
    SHIFT_MAX.min(0.8 * nearest / lines.max(1) as f64)
}

fn panel_of(cell: &Cell) -> DepthPanel<'_> {
    (&cell.place.dataset, cell.place.network.is_convolutional(), cell.place.activation)
}

fn series_of(cell: &Cell) -> Series {
    (cell.place.rule, cell.place.network)
}

#[cfg(test)]
mod tests {
    use biosweep_common::results::outcome::TrialStatus;
    use biosweep_common::results::views::ResultView;
    use biosweep_common::settings::Value;

    use super::*;
    use crate::samples::{cells, completed, ended, paper, with};

    #[test]
    fn every_cell_has_a_dot_every_spread_an_error_bar_and_every_line_a_path() {
        let svg = accuracy_by_depth("a sweep", &cells(&paper(3)));
        // 24 cells, and one dot in the key for each network.
        assert_eq!(svg.matches("<circle").count(), 24 + 2);
        assert_eq!(svg.matches("stroke-opacity=\"0.7\"").count(), 3 * 24);
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
        let svg = accuracy_by_depth("s", &cells(&[1, 2, 40, 41].map(of_depth)));
        assert!(svg.contains(">1<") && svg.contains(">40<") && !svg.contains(">41<"), "{svg}");
    }

    #[test]
    fn the_same_cells_give_the_same_figure() {
        assert_eq!(accuracy_by_depth("s", &cells(&paper(2))), accuracy_by_depth("s", &cells(&paper(2))));
    }

    #[test]
    fn a_single_depth_gives_dots_with_their_accuracies() {
        let svg =
            accuracy_by_depth("s", &cells(&[completed("bp", "nn", 5, 0.9, 0.912), completed("fa", "nn", 5, 0.9, 0.8)]));
        assert!(svg.contains("relu, 5 hidden layers") && svg.contains(">91.2<") && svg.contains(">80.0<"), "{svg}");
        assert_eq!(svg.matches("<circle").count(), 2 + 1);
    }

    #[test]
    fn a_cell_without_accuracy_has_a_cross_that_the_key_explains() {
        let sound = [completed("bp", "nn", 5, 0.9, 0.912), completed("bp", "nn", 10, 0.9, 0.9)];
        let crosses = |status| {
            let [first, second] = sound.clone();
            let svg = accuracy_by_depth("s", &cells(&[first, second, ended("fa", "nn", 10, status)]));
            (svg.matches(Rule::Fa.descriptor().colour).count(), svg)
        };
        let (strokes, diverged) = crosses(TrialStatus::Diverged);
        assert_eq!(strokes, 1 + 2, "in the key and for one cross");
        let (strokes, failed) = crosses(TrialStatus::Failed);
        assert_eq!(strokes, 1 + 2, "in the key and for one cross");
        let explained = ">no replicate completed<";
        assert!(diverged.contains(explained) && failed.contains(explained), "{diverged}");
        assert!(!accuracy_by_depth("s", &cells(&sound)).contains(explained));
    }

    #[test]
    fn a_cell_with_missing_replicates_has_a_diamond() {
        let fold = |result, fold| with(result, &[("fold", Value::Integer(fold))]);
        let sound = |rule, depth| (0..6).map(move |index| fold(completed(rule, "nn", depth, 0.9, 0.9), index));
        let whole: Vec<_> = sound("bp", 5).chain(sound("bp", 10)).chain(sound("fa", 5)).collect();
        let drawn = |more: Vec<ResultView>| accuracy_by_depth("s", &cells(&[whole.clone(), more].concat()));
        let dots = |svg: &str| svg.matches("<circle").count();
        assert_eq!(dots(&drawn(sound("fa", 10).collect())), 4 + 1);
        let diverged = (1..6).map(|index| fold(ended("fa", "nn", 10, TrialStatus::Diverged), index));
        let survivor = || fold(completed("fa", "nn", 10, 0.9, 0.9), 0);
        for few in [std::iter::once(survivor()).chain(diverged).collect(), vec![survivor()]] {
            let svg = drawn(few);
            assert_eq!(dots(&svg), 3 + 1, "{svg}");
            assert!(svg.contains(">n = 1<") && svg.contains("only n replicates completed"), "{svg}");
        }
    }

    #[test]
    fn a_sweep_without_completed_trials_gives_a_figure() {
        for svg in [
            accuracy_by_depth("s", &[]),
            accuracy_by_depth("s", &cells(&[ended("bp", "nn", 5, TrialStatus::Diverged)])),
        ] {
            assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n") && !svg.contains("NaN"), "{svg}");
        }
    }
}
