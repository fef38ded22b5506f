//! The frame of a figure: its title, its key, and panels with axes in rows and columns.

use super::axis::Axis;
use super::key::{self, Entry};
use super::style::{HEADING, LABEL, SMALL, TITLE};
use crate::figures::output::Figure;
use crate::figures::output::size::Width;
use crate::figures::scene::text::{self, wrapped};
use crate::figures::scene::{Anchor, Bounds, FAINT_INK, GRID, PAPER, Scene, Stroke};

/// Space at the edges of a figure, in points.
const MARGIN: f64 = 8.0;
/// Space between columns, in points.
const GAP: f64 = 14.0;
/// Space between the ticks of a row of panels and the headings of the next, in points.
const ROW_GAP: f64 = 12.0;
/// Height of the ticks and numbers below a panel, and of the label below them, in points.
const TICKS: f64 = 13.0;
const X_LABEL: f64 = 11.0;
const TITLE_LINE: f64 = 12.5;
const HEADING_LINE: f64 = 10.0;
/// Maximum lines of a title, and of each part of a heading.
const LINES_MAX: usize = 3;
const PLOT_HEIGHT: (f64, f64) = (104.0, 170.0);
const AXIS: Stroke = Stroke::solid(FAINT_INK, 0.6);

/// A figure in progress.
pub(crate) struct Chart {
    pub(crate) scene: Scene,
    /// The upper end of what is not yet drawn.
    top: f64,
}

/// The heading of a panel.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Heading {
    /// The dataset, if the figure has several.
    pub(crate) dataset: Option<String>,
    pub(crate) text: String,
}

/// How panels are arranged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grid {
    pub(crate) columns_max: usize,
    /// The least width of a plot, in points. A narrow figure has fewer columns.
    pub(crate) plot_width_min: f64,
    /// Space for labels on the left of the first column, in points.
    pub(crate) left: f64,
    /// Height of a plot, in points; `None` for one that suits its width.
    pub(crate) plot_height: Option<f64>,
}

impl Grid {
    /// Plots over this vertical axis, with the usual least width and a height that suits their width.
    pub(crate) fn over(axis: &Axis, columns_max: usize) -> Self {
        Self { columns_max, plot_width_min: 84.0, left: y_axis_width(axis), plot_height: None }
    }
}

/// The area of a plot within its axes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Frame {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
    /// Space on the right that a number of the horizontal axis may take, in points.
    pub(crate) room: f64,
    pub(crate) is_first_in_row: bool,
    pub(crate) is_last_in_column: bool,
}

impl Chart {
    /// A figure with its title and key.
    pub(crate) fn new(title: &str, width: Width, key: &[Vec<Entry>]) -> Self {
        let width = width.points();
        let mut scene = Scene { title: text::clean(title), width, height: 0.0, marks: Vec::new() };
        let mut top = MARGIN;
        for line in wrapped(title, TITLE.weight, TITLE.size, width - 2.0 * MARGIN, LINES_MAX) {
            scene.text((MARGIN, top + 9.0), &line, TITLE);
            top += TITLE_LINE;
        }
        top = key::draw(&mut scene, key, (MARGIN, top + 3.0), width - 2.0 * MARGIN) + 8.0;
        Self { scene, top }
    }

    /// Draws the headings of panels and returns the frames below them. Without headings there is one empty panel.
    pub(crate) fn frames(&mut self, headings: &[Heading], grid: Grid) -> Vec<Frame> {
        let empty = [Heading::default()];
        let headings = if headings.is_empty() { &empty } else { headings };
        let left = MARGIN + grid.left;
        let across = self.scene.width - MARGIN - left;
        let fitting = ((across + GAP) / (grid.plot_width_min + GAP)).floor() as usize;
        let columns = grid.columns_max.min(headings.len()).min(fitting).max(1);
        let width = (across + GAP) / columns as f64 - GAP;
        let height = grid.plot_height.unwrap_or((0.72 * width).clamp(PLOT_HEIGHT.0, PLOT_HEIGHT.1));
        let mut frames = Vec::new();
        for (row, headings_of_row) in headings.chunks(columns).enumerate() {
            let lines: Vec<Vec<String>> = headings_of_row.iter().map(|heading| heading.lines(width)).collect();
            let top = self.top + HEADING_LINE * lines.iter().map(Vec::len).max().unwrap_or(0) as f64 + 2.0;
            for (column, lines) in lines.iter().enumerate() {
                let left = left + column as f64 * (width + GAP);
                for (i, line) in lines.iter().rev().enumerate() {
                    let at = (left, top - 4.5 - HEADING_LINE * i as f64);
                    self.scene.text(at, line, HEADING);
                }
                let index = row * columns + column;
                let (is_first_in_row, is_last_in_column) = (column == 0, index + columns >= headings.len());
                let room = GAP / 2.0 - 1.0;
                frames.push(Frame { left, top, width, height, room, is_first_in_row, is_last_in_column });
            }
            let has_label = frames[row * columns..].iter().any(|frame| frame.is_last_in_column);
            self.top = top + height + TICKS + if has_label { X_LABEL } else { 0.0 } + ROW_GAP;
        }
        frames
    }

    /// The figure, ready for its files.
    pub(crate) fn finish(mut self) -> Figure {
        self.scene.height = (self.top - ROW_GAP + MARGIN).ceil();
        Figure { scene: self.scene }
    }
}

impl Heading {
    fn lines(&self, width: f64) -> Vec<String> {
        let lines = |text: &str| wrapped(text, HEADING.weight, HEADING.size, width, LINES_MAX);
        self.dataset.iter().flat_map(|dataset| lines(dataset)).chain(lines(&self.text)).collect()
    }
}

impl Frame {
    pub(crate) fn bottom(self) -> f64 {
        self.top + self.height
    }

    pub(crate) fn right(self) -> f64 {
        self.left + self.width
    }

    pub(crate) fn bounds(self) -> Bounds {
        Bounds { left: self.left, top: self.top, right: self.right(), bottom: self.bottom() }
    }

    /// Draws the vertical axis, with lines across the plot. Only the first panel of a row has numbers and a label.
    pub(crate) fn y_axis(self, scene: &mut Scene, percents: &Axis, label: &str) {
        for (tick, text) in &percents.ticks {
            let y = self.bottom() - percents.scale.at(*tick) * self.height;
            scene.line((self.left, y), (self.right(), y), Stroke::solid(GRID, 0.5));
            if self.is_first_in_row {
                scene.text((self.left - 4.0, y + 2.5), text, SMALL.anchored(Anchor::End));
            }
        }
        if self.is_first_in_row {
            let x = self.left + 6.0 - y_axis_width(percents);
            scene.upward((x, self.top + self.height / 2.0), label, LABEL);
        }
    }

    /// Draws the horizontal axis, with ticks at fractions of the width. If the numbers of all ticks do not fit, only every
    /// second, third, … has its number. Only the last panel of a column has the label.
    pub(crate) fn x_axis(self, scene: &mut Scene, ticks: &[(f64, String)], label: &str) {
        let bottom = self.bottom();
        scene.line((self.left, bottom), (self.right(), bottom), AXIS);
        let at = |(at, text): &(f64, String)| (self.left + at * self.width, SMALL.width(text) / 2.0);
        let fits = |every: &usize| {
            let numbers: Vec<(f64, f64)> = ticks.iter().step_by(*every).map(at).collect();
            numbers.windows(2).all(|pair| pair[0].0 + pair[0].1 + 3.0 <= pair[1].0 - pair[1].1)
        };
        let every = (1..=ticks.len()).find(fits).unwrap_or(1);
        for (i, tick) in ticks.iter().enumerate() {
            let (x, half) = at(tick);
            scene.line((x, bottom), (x, bottom + 2.5), AXIS);
            // A number at the end would touch that of the next panel.
            let is_within = x - half > self.left - GAP / 2.0 && x + half < self.right() + self.room;
            if i % every == 0 && is_within {
                scene.text((x, bottom + 10.5), &tick.1, SMALL);
            }
        }
        if self.is_last_in_column {
            scene.text((self.left + self.width / 2.0, bottom + 21.0), label, LABEL);
        }
    }

    /// Says in the middle of a panel why it is empty.
    pub(crate) fn explain(self, scene: &mut Scene, reason: &str) {
        let lines = wrapped(reason, SMALL.weight, SMALL.size, self.width - 8.0, 6);
        let first = self.top + self.height / 2.0 - 4.5 * (lines.len() as f64 - 1.0) + 2.5;
        let middle = self.left + self.width / 2.0;
        let half = lines.iter().map(|line| SMALL.width(line)).fold(0.0, f64::max) / 2.0 + 3.0;
        let (left, top, right) = (middle - half, first - 8.5, middle + half);
        let bottom = top + 9.0 * lines.len() as f64 + 3.0;
        // Lines of the axis would run through the text.
        let behind = vec![(left, top), (right, top), (right, bottom), (left, bottom)];
        scene.polygon(behind, Some(PAPER), Stroke::solid(PAPER, 0.5));
        for (i, line) in lines.iter().enumerate() {
            scene.text((middle, first + 9.0 * i as f64), line, SMALL);
        }
    }
}

/// Space for the numbers and the label of a vertical axis, in points.
fn y_axis_width(percents: &Axis) -> f64 {
    let widest = percents.ticks.iter().map(|(_, text)| SMALL.width(text)).fold(0.0, f64::max);
    4.0 + widest + 4.0 + LABEL.size
}
