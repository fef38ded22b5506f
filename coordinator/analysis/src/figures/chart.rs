//! The common parts of figures: panels with a percent axis, and the key of rules and networks.

use std::collections::BTreeSet;

use biosweep_common::rules::Rule;
use biosweep_common::vocabulary::Network;

use super::Connectivity;
use super::svg::{FAINT_INK, GRID, INK, Stroke, Svg, Words};

const PLOT_WIDTH: f64 = 300.0;
/// Width of the plot if there is only one panel, because the key above needs space.
const LONE_PLOT_WIDTH: f64 = 480.0;
const PLOT_HEIGHT: f64 = 230.0;
const LEFT: f64 = 68.0;
const GAP: f64 = 26.0;
const HEAD: f64 = 84.0;
const PANEL_TITLE: f64 = 22.0;
const PANEL_FOOT: f64 = 62.0;
const RIGHT: f64 = 24.0;

/// Width of a character of small text, in pixels.
const SMALL_CHARACTER: f64 = 6.6;

const SMALL: Words = Words { anchor: "middle", size: 12.0, bold: false, colour: FAINT_INK };
const LABEL: Words = Words { anchor: "middle", size: 13.0, bold: false, colour: INK };

/// A figure with panels in rows of at most `columns`.
pub(super) struct Chart {
    svg: Svg,
    title: String,
    columns: usize,
    plot_width: f64,
    accuracies: Scale,
    ticks: Vec<f64>,
}

/// One panel: its index and the labels of its horizontal axis.
pub(super) struct Panel<'a> {
    pub(super) index: usize,
    pub(super) title: &'a str,
    pub(super) x_label: &'a str,
    /// Ticks of the horizontal axis: the position as a fraction of the width, and the label.
    pub(super) x_marks: Vec<(f64, String)>,
}

/// The meanings of the marks other than dots, if there are any.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Marks {
    pub(super) cross: Option<&'static str>,
    pub(super) diamond: Option<&'static str>,
}

/// Maps numbers to fractions of an axis.
#[derive(Clone, Copy)]
pub(super) struct Scale {
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Scale {
    pub(super) fn at(self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }
}

/// Draws into one panel. Positions are fractions of the width, and accuracies.
pub(super) struct Plot<'a> {
    svg: &'a mut Svg,
    left: f64,
    top: f64,
    width: f64,
    accuracies: Scale,
}

impl Chart {
    /// A chart of `panels` panels with a common percent axis for all `accuracies` (fractions).
    pub(super) fn new(title: &str, panels: usize, columns: usize, accuracies: impl Iterator<Item = f64>) -> Self {
        let columns = columns.min(panels).max(1);
        let rows = panels.div_ceil(columns).max(1);
        let plot_width = if columns == 1 { LONE_PLOT_WIDTH } else { PLOT_WIDTH };
        let width = LEFT + columns as f64 * (plot_width + GAP) - GAP + RIGHT;
        let height = HEAD + rows as f64 * (PANEL_TITLE + PLOT_HEIGHT + PANEL_FOOT);
        let (low, high) = range(accuracies);
        let step = step(low, high, 6);
        let (first, last) = ((low / step + 1e-6).floor() as i64, (high / step - 1e-6).ceil() as i64);
        let ticks: Vec<f64> = (first..=last).map(|i| i as f64 * step).filter(|&tick| tick <= 1.0 + 1e-6).collect();
        // A little space above, so that a dot at 100 % is completely visible.
        let accuracies = Scale { low: first as f64 * step, high: ticks.last().map_or(1.0, |last| last + 0.1 * step) };
        let svg = Svg::new(width, height);
        let mut chart = Self { svg, title: title.to_owned(), columns, plot_width, accuracies, ticks };
        let words = Words { anchor: "start", size: 17.0, bold: true, colour: INK };
        chart.svg.words((LEFT, 32.0), title, words);
        chart
    }

    /// The key: a colour for each rule, a line for each network, and the meanings of crosses and diamonds if there are
    /// any.
    pub(super) fn key(&mut self, rules: &BTreeSet<Rule>, networks: &BTreeSet<Network>, marks: Marks) {
        let mut x = LEFT;
        let words = Words { anchor: "start", ..LABEL };
        for &rule in rules {
            self.svg.line((x, 55.0), (x + 24.0, 55.0), Stroke::solid(rule.descriptor().colour, 3.0));
            self.svg.words((x + 30.0, 59.5), rule.name(), words);
            x += 30.0 + 9.0 * rule.name().len() as f64 + 18.0;
        }
        x += 12.0;
        for &network in networks {
            let connectivity = Connectivity::of(network);
            let stroke = Stroke { dashes: connectivity.dashes(), ..Stroke::solid(FAINT_INK, 2.0) };
            self.svg.line((x, 55.0), (x + 34.0, 55.0), stroke);
            self.svg.dot((x + 17.0, 55.0), FAINT_INK, connectivity.has_full_dots());
            let name = format!("{network} ({})", connectivity.name());
            self.svg.words((x + 40.0, 59.5), &name, words);
            x += 40.0 + 7.5 * name.len() as f64 + 18.0;
        }
        if let Some(meaning) = marks.cross {
            self.svg.cross((x + 6.0, 55.0), FAINT_INK);
            self.svg.words((x + 17.0, 59.5), meaning, words);
            x += 17.0 + 7.5 * meaning.len() as f64 + 18.0;
        }
        if let Some(meaning) = marks.diamond {
            self.svg.diamond((x + 6.0, 55.0), FAINT_INK);
            self.svg.words((x + 17.0, 59.5), meaning, words);
            x += 17.0 + 7.5 * meaning.len() as f64 + 18.0;
        }
        self.svg.widen(x);
    }

    /// Draws the frame of a panel. The returned plot draws its content.
    pub(super) fn panel(&mut self, panel: &Panel<'_>, y_label: &str) -> Plot<'_> {
        let (row, column) = (panel.index / self.columns, panel.index % self.columns);
        let width = self.plot_width;
        let left = LEFT + column as f64 * (width + GAP);
        let top = HEAD + row as f64 * (PANEL_TITLE + PLOT_HEIGHT + PANEL_FOOT) + PANEL_TITLE;
        let bottom = top + PLOT_HEIGHT;
        self.svg.words((left + width / 2.0, top - 9.0), panel.title, Words { bold: true, ..LABEL });
        for &tick in &self.ticks {
            let y = bottom - self.accuracies.at(tick) * PLOT_HEIGHT;
            self.svg.line((left, y), (left + width, y), Stroke::solid(GRID, 1.0));
            if column == 0 {
                self.svg.words((left - 8.0, y + 4.0), &percent(tick), Words { anchor: "end", ..SMALL });
            }
        }
        if column == 0 {
            let longest = self.ticks.iter().map(|&tick| percent(tick).chars().count()).max().unwrap_or(0);
            let x = left - 16.0 - SMALL_CHARACTER * longest as f64;
            self.svg.upward((x, top + PLOT_HEIGHT / 2.0), y_label, LABEL);
        }
        self.svg.line((left, bottom), (left + width, bottom), Stroke::solid(FAINT_INK, 1.0));
        let mut taken = f64::NEG_INFINITY;
        for (at, text) in &panel.x_marks {
            let x = left + at * width;
            self.svg.line((x, bottom), (x, bottom + 4.0), Stroke::solid(FAINT_INK, 1.0));
            let half = SMALL_CHARACTER * text.lines().map(|line| line.chars().count()).max().unwrap_or(0) as f64 / 2.0;
            if x - half < taken {
                // Labels on top of each other are unreadable; the tick stays without a label.
                continue;
            }
            taken = x + half + 2.0;
            for (i, line) in text.lines().enumerate() {
                self.svg.words((x, bottom + 18.0 + 14.0 * i as f64), line, SMALL);
            }
        }
        self.svg.words((left + width / 2.0, bottom + 37.0), panel.x_label, LABEL);
        Plot { svg: &mut self.svg, left, top, width, accuracies: self.accuracies }
    }

    /// The width of a plot, in pixels.
    pub(super) fn plot_width(&self) -> f64 {
        self.plot_width
    }

    /// The figure as SVG text.
    pub(super) fn finish(self) -> String {
        self.svg.finish(&self.title)
    }
}

impl Plot<'_> {
    /// A curve through points of (fraction of the width, accuracy); a single point is drawn as a dot.
    pub(super) fn curve(&mut self, points: &[(f64, f64)], shift_px: f64, stroke: Stroke) {
        let points: Vec<_> = points.iter().map(|&point| self.at(point, shift_px)).collect();
        match points[..] {
            [point] => self.svg.dot(point, stroke.colour, true),
            _ => self.svg.path(&points, stroke),
        }
    }

    pub(super) fn dot(&mut self, point: (f64, f64), shift_px: f64, colour: &'static str, full: bool) {
        let at = self.at(point, shift_px);
        self.svg.dot(at, colour, full);
    }

    /// A diamond, with the number of replicates beside it.
    pub(super) fn diamond(&mut self, point: (f64, f64), shift_px: f64, colour: &'static str, replicates: u64) {
        let (x, y) = self.at(point, shift_px);
        self.svg.diamond((x, y), colour);
        let words = Words { anchor: "start", size: 10.0, ..SMALL };
        self.svg.words((x + 8.0, y + 15.0), &format!("n = {replicates}"), words);
    }

    /// A cross at an accuracy or, without one, on the horizontal axis.
    pub(super) fn cross(&mut self, x: f64, accuracy: Option<f64>, shift_px: f64, colour: &'static str) {
        let (x, y) = self.at((x, accuracy.unwrap_or(self.accuracies.low)), shift_px);
        self.svg.cross((x, y), colour);
    }

    /// An error bar of length `spread` above and below a point, limited to valid accuracies.
    pub(super) fn error_bar(&mut self, (x, y): (f64, f64), spread: f64, shift_px: f64, colour: &'static str) {
        let (low, high) = ((y - spread).max(0.0), (y + spread).min(1.0));
        let (low, high) = (self.at((x, low), shift_px), self.at((x, high), shift_px));
        let stroke = Stroke { opacity: 0.7, ..Stroke::solid(colour, 1.2) };
        self.svg.line(low, high, stroke);
        for end in [low, high] {
            self.svg.line((end.0 - 3.0, end.1), (end.0 + 3.0, end.1), stroke);
        }
    }

    /// A short text to the right of a point.
    pub(super) fn note(&mut self, point: (f64, f64), text: &str) {
        let (x, y) = self.at(point, 0.0);
        self.svg.words((x + 8.0, y + 4.0), text, Words { anchor: "start", ..SMALL });
    }

    fn at(&self, (x, y): (f64, f64), shift_px: f64) -> (f64, f64) {
        (self.left + x * self.width + shift_px, self.top + (1.0 - self.accuracies.at(y)) * PLOT_HEIGHT)
    }
}

/// Round numbers from `low` to `high`, about `wanted` at most.
pub(super) fn ticks(low: f64, high: f64, wanted: usize) -> Vec<f64> {
    let step = step(low, high, wanted);
    let (first, last) = ((low / step - 1e-6).ceil() as i64, (high / step + 1e-6).floor() as i64);
    (first..=last).map(|i| i as f64 * step).collect()
}

/// The least of 1, 2 or 5 times a power of ten that divides the range from `low` to `high` into at most `wanted` steps.
fn step(low: f64, high: f64, wanted: usize) -> f64 {
    let rough = (high - low) / wanted.max(1) as f64;
    if rough.is_nan() || rough <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 5.0].map(|factor| factor * power);
    steps.into_iter().find(|&step| step >= rough * 0.999).unwrap_or(10.0 * power)
}

/// A range for accuracies, at least two percent wide and within 0 and 1.
fn range(accuracies: impl Iterator<Item = f64>) -> (f64, f64) {
    let within = accuracies.filter(|accuracy| accuracy.is_finite()).map(|accuracy| accuracy.clamp(0.0, 1.0));
    let (low, high) = within.fold((1.0_f64, 0.0_f64), |(low, high), accuracy| (low.min(accuracy), high.max(accuracy)));
    if low > high { (0.0, 1.0) } else { (low.min(high - 0.02).max(0.0), high.max(0.02)) }
}

fn percent(fraction: f64) -> String {
    format!("{} %", (fraction * 1_000.0).round() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_numbers_within_the_range() {
        assert_eq!(ticks(0.0, 10.0, 5), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(ticks(0.0, 3_900.0, 4), [0.0, 1_000.0, 2_000.0, 3_000.0]);
        assert_eq!(ticks(1.0, 1.0, 4), [1.0]);
        let ticks = ticks(0.53, 0.99, 6);
        assert!(ticks.first() >= Some(&0.53) && ticks.last() <= Some(&0.99) && ticks.len() >= 4, "{ticks:?}");
    }

    #[test]
    fn the_range_without_values_is_0_to_1_and_that_of_one_value_is_not_empty() {
        assert_eq!(range([].into_iter()), (0.0, 1.0));
        assert_eq!(range([f64::NAN].into_iter()), (0.0, 1.0));
        let (low, high) = range([0.5].into_iter());
        assert!(low < high && high == 0.5);
    }
}
