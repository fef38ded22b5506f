//! Test accuracy at a single depth: a panel for each activation, a row for each rule on each network.

use biosweep_common::rules::Rule;
use biosweep_common::vocabulary::Network;

use super::groups::{Series, depths, ends, is_cross, is_partial, marks, of_line};
use crate::aggregate::{Cell, uneven};
use crate::figures::output::Figure;
use crate::figures::output::size::Width;
use crate::figures::parts::axis::Axis;
use crate::figures::parts::chart::{Chart, Frame, Grid, Heading};
use crate::figures::parts::family::{self, Family};
use crate::figures::parts::style::{self, Connectivity, LABEL, Marker, SMALL, colour_of, layers};
use crate::figures::scene::{Anchor, GRID, Scene, Stroke};

/// Height of a row, in points.
const ROW: f64 = 12.0;
const COLUMNS_MAX: usize = 3;
const PLOT_WIDTH_MIN: f64 = 76.0;
/// Space between a plot and the texts beside it, in points.
const SPACE: f64 = 5.0;

/// The figure for cells that have one depth in each panel. A row has its accuracy in percent on its right, or why it has
/// none.
pub(super) fn accuracy(
    title: &str,
    cells: &[Cell],
    (panels, series): (&[Family<'_>], &[Series]),
    width: Width,
) -> Figure {
    let all: Vec<&Cell> = cells.iter().collect();
    let mut chart = Chart::new(title, width, &[marks(&all, "only n replicates completed")]);
    let most = uneven(cells).unwrap_or(0);
    let widest = |texts: &mut dyn Iterator<Item = String>| texts.map(|text| SMALL.width(&text)).fold(0.0, f64::max);
    let values = SPACE + widest(&mut cells.iter().map(|cell| value(cell, most)));
    let names = Names::of(series);
    let grid = Grid {
        columns_max: COLUMNS_MAX,
        plot_width_min: PLOT_WIDTH_MIN + values,
        left: names.width(),
        plot_height: Some(ROW * series.len() as f64),
    };
    let headings: Vec<Heading> = panels.iter().map(|&panel| with_depth(cells, panel, panels)).collect();
    let percents = Axis::percent(ends(&all), 4);
    for (&panel, area) in panels.iter().zip(chart.frames(&headings, grid)) {
        let frame = Frame { width: area.width - values, ..area };
        let scene = &mut chart.scene;
        grid_lines(scene, frame, &percents, series.len());
        frame.x_axis(scene, &percents.marks(), "test accuracy (%)");
        for (row, &(rule, network)) in series.iter().enumerate() {
            let y = frame.top + ROW * (row as f64 + 0.5);
            if frame.is_first_in_row {
                names.draw(scene, (frame.left, y), (rule, network));
            }
            for cell in of_line(cells, panel, (rule, network)) {
                draw(scene, frame, (&percents, y), cell, most);
                let text = value(cell, most);
                scene.text((frame.right() + SPACE, y + 2.5), &text, SMALL.anchored(Anchor::Start));
            }
        }
    }
    chart.finish()
}

/// The mean of a cell with its error bar, in the row at `y`.
fn draw(scene: &mut Scene, frame: Frame, (percents, y): (&Axis, f64), cell: &Cell, most: u64) {
    let x = |accuracy: f64| frame.left + percents.scale.at(accuracy.clamp(0.0, 1.0)) * frame.width;
    let (colour, connectivity) = (colour_of(cell.place.rule), Connectivity::of(cell.place.network));
    let Some(test) = cell.test.filter(|_| !is_cross(cell)) else {
        return style::cross(scene, (cell.test.map_or(frame.left, |test| x(test.mean)), y), colour);
    };
    if let Some(half) = test.half_width {
        style::error_bar(scene, (x(test.mean - half), y), (x(test.mean + half), y), colour);
    }
    Marker::of(cell.place.rule, connectivity.has_full_markers()).draw(scene, (x(test.mean), y));
    if is_partial(cell, most) {
        style::diamond(scene, (x(test.mean), y), colour);
    }
}

/// The text on the right of a row.
fn value(cell: &Cell, most: u64) -> String {
    match cell.test.filter(|_| !is_cross(cell)) {
        Some(test) if is_partial(cell, most) => format!("{:.1} (n = {})", 100.0 * test.mean, cell.completed),
        Some(test) => format!("{:.1}", 100.0 * test.mean),
        None if cell.failed > 0 => "none completed".to_owned(),
        None => "diverged".to_owned(),
    }
}

fn with_depth(cells: &[Cell], panel: Family<'_>, panels: &[Family<'_>]) -> Heading {
    let mut heading = family::heading(panel, panels.iter().copied());
    heading.text += &depths(cells, panel).first().map(|&depth| format!(", {}", layers(depth))).unwrap_or_default();
    heading
}

fn grid_lines(scene: &mut Scene, frame: Frame, percents: &Axis, rows: usize) {
    let line = Stroke::solid(GRID, 0.5);
    for (at, _) in percents.marks() {
        let x = frame.left + at * frame.width;
        scene.line((x, frame.top), (x, frame.bottom()), line);
    }
    for row in 0..rows {
        let y = frame.top + ROW * (row as f64 + 0.5);
        scene.line((frame.left, y), (frame.right(), y), line);
    }
}

/// The names on the left of rows, in two columns: rules and networks.
struct Names {
    /// The width of the column of networks, in points.
    networks: f64,
    rules: f64,
}

impl Names {
    fn of(series: &[Series]) -> Self {
        let networks = series.iter().map(|(_, network)| SMALL.width(network.name())).fold(0.0, f64::max);
        let rules = series.iter().map(|(rule, _)| LABEL.width(rule.name())).fold(0.0, f64::max);
        Self { networks, rules }
    }

    fn width(&self) -> f64 {
        self.rules + SPACE + self.networks + SPACE
    }

    fn draw(&self, scene: &mut Scene, (right, y): (f64, f64), (rule, network): (Rule, Network)) {
        let x = right - SPACE - self.networks;
        scene.text((x, y + 2.5), network.name(), SMALL.anchored(Anchor::Start));
        scene.text((x - SPACE - self.rules, y + 2.8), rule.name(), LABEL.anchored(Anchor::Start));
    }
}
