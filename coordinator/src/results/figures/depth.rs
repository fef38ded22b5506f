//! Test accuracy against depth: a panel for each activation, a line for each rule on each network.
//!
//! Where every panel has a single depth there is nothing to draw a line along: each rule on each network then has a
//! place of its own on the lower edge, and its accuracy beside its dot.

use std::collections::BTreeSet;

use biosweep_common::dataset::DatasetRef;
use biosweep_common::vocabulary::{Activation, Network, Rule};

use super::chart::{Chart, Panel, Plot, Scale};
use super::svg::Stroke;
use super::{Wiring, colour, layers};
use crate::results::aggregate::{Cell, Mean};

/// Lines of one panel are moved apart by this, so that dots and error bars of one depth do not cover each other.
const SHIFT_PX: f64 = 3.0;

/// A dataset, whether the layers are convolutions, and σ.
type PanelKey<'a> = (&'a DatasetRef, bool, Activation);
type Series = (Rule, Network);

/// The figure as SVG text; `cells` as an aggregate gives them. A cell where nothing completed has no dot.
pub(crate) fn accuracy_by_depth(title: &str, cells: &[Cell]) -> String {
    let panels: BTreeSet<PanelKey<'_>> = cells.iter().map(panel_of).collect();
    let series: Vec<Series> = cells.iter().map(series_of).collect::<BTreeSet<_>>().into_iter().collect();
    let datasets = panels.iter().map(|(dataset, ..)| dataset).collect::<BTreeSet<_>>().len();
    let families = panels.iter().map(|(_, family, _)| family).collect::<BTreeSet<_>>().len();
    let ends = cells.iter().filter_map(|cell| cell.test).flat_map(|test| {
        let spread = test.spread.unwrap_or(0.0);
        [test.mean - spread, test.mean + spread]
    });
    let mut chart = Chart::new(title, panels.len(), 3, ends);
    chart.key(&series.iter().map(|&(rule, _)| rule).collect(), &series.iter().map(|&(_, network)| network).collect());
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
            let mut plot =
                chart.panel(&Panel { index, title: &title, x_label: "hidden layers", x_marks }, "test accuracy");
            for (i, &series) in series.iter().enumerate() {
                let shift_px = (i as f64 - (series_count(cells) - 1) as f64 / 2.0) * SHIFT_PX;
                line(
                    &mut plot,
                    &points(cells, panel, series, |cell| scale.at(cell.place.depth.into())),
                    series,
                    shift_px,
                );
            }
        } else {
            title += &depths.first().map(|&depth| format!(", {}", layers(depth))).unwrap_or_default();
            let scale = Scale { low: -0.6, high: series.len() as f64 - 0.4 };
            let mark = |(i, (rule, network)): (usize, &Series)| (scale.at(i as f64), format!("{rule}\n{network}"));
            let x_marks = series.iter().enumerate().map(mark).collect();
            let mut plot = chart.panel(&Panel { index, title: &title, x_label: "", x_marks }, "test accuracy");
            for (i, &series) in series.iter().enumerate() {
                let points = points(cells, panel, series, |_| scale.at(i as f64));
                line(&mut plot, &points, series, 0.0);
                for &(x, test) in &points {
                    plot.note((x, test.mean), &format!("{:.1}", 100.0 * test.mean));
                }
            }
        }
    }
    chart.finish()
}

fn line(plot: &mut Plot<'_>, points: &[(f64, Mean)], (rule, network): Series, shift_px: f64) {
    let (colour, wiring) = (colour(rule), Wiring::of(network));
    let means: Vec<(f64, f64)> = points.iter().map(|&(x, test)| (x, test.mean)).collect();
    if means.len() > 1 {
        plot.curve(&means, shift_px, Stroke { dashes: wiring.dashes(), ..Stroke::solid(colour, 2.0) });
    }
    for &(x, test) in points {
        if let Some(spread) = test.spread {
            plot.error_bar((x, test.mean), spread, shift_px, colour);
        }
    }
    for mean in means {
        plot.dot(mean, shift_px, colour, wiring.has_full_dots());
    }
}

/// The accuracies of one line, each with its place on the lower edge.
fn points(cells: &[Cell], panel: PanelKey<'_>, series: Series, at: impl Fn(&Cell) -> f64) -> Vec<(f64, Mean)> {
    let of_line = cells.iter().filter(|cell| panel_of(cell) == panel && series_of(cell) == series);
    of_line.filter_map(|cell| Some((at(cell), cell.test?))).collect()
}

fn depths(cells: &[Cell], panel: PanelKey<'_>) -> BTreeSet<u32> {
    cells.iter().filter(|cell| panel_of(cell) == panel).map(|cell| cell.place.depth).collect()
}

/// The lower edge for these depths, with room on both sides.
fn edge(depths: &BTreeSet<u32>) -> Scale {
    let (low, high) =
        (depths.first().map_or(0.0, |&depth| depth.into()), depths.last().map_or(1.0, |&depth| depth.into()));
    let room = if low < high { 0.1 * (high - low) } else { 1.0 };
    Scale { low: low - room, high: high + room }
}

fn series_count(cells: &[Cell]) -> usize {
    cells.iter().map(series_of).collect::<BTreeSet<_>>().len()
}

fn panel_of(cell: &Cell) -> PanelKey<'_> {
    (&cell.place.dataset, cell.place.network.is_convolutional(), cell.place.activation)
}

fn series_of(cell: &Cell) -> Series {
    (cell.place.rule, cell.place.network)
}

#[cfg(test)]
mod tests {
    use biosweep_common::outcome::TrialStatus;

    use super::*;
    use crate::results::aggregate::cells;
    use crate::results::samples::{completed, ended, paper};

    #[test]
    fn every_cell_has_its_dot_every_spread_its_bar_and_every_line_its_path() {
        let svg = accuracy_by_depth("a sweep", &cells(&paper(3)));
        // 24 cells and one dot in the key for each network.
        assert_eq!(svg.matches("<circle").count(), 24 + 2);
        assert_eq!(svg.matches("stroke-opacity=\"0.7\"").count(), 3 * 24);
        // 2 activations, 6 lines each, and one dashed line in the key.
        assert_eq!(svg.matches("stroke-dasharray").count(), 2 * 3 + 1);
        assert!(svg.contains(">relu<") && svg.contains(">sigmoid<") && svg.contains("dn (dense)"));
    }

    #[test]
    fn the_same_cells_give_the_same_picture() {
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
    fn nothing_completed_still_gives_a_picture() {
        for svg in [
            accuracy_by_depth("s", &[]),
            accuracy_by_depth("s", &cells(&[ended("bp", "nn", 5, TrialStatus::Diverged)])),
        ] {
            assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n") && !svg.contains("NaN"), "{svg}");
        }
    }
}
