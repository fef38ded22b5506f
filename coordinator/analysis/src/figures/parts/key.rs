//! The key of a figure: samples of its marks, with their meanings, in rows.

use biosweep_common::rules::Rule;
use biosweep_common::vocabulary::Network;

use super::style::{self, Connectivity, KEY, Marker, RADIUS, Shape};
use crate::figures::scene::text::wrapped;
use crate::figures::scene::{FAINT_INK, Point, Scene, Stroke};

/// Distance between the baselines of rows, in points.
const ROW: f64 = 11.5;
/// Space between entries, in points.
const GAP: f64 = 12.0;
/// Space between a sample and its meaning, in points.
const SPACE: f64 = 4.0;
/// Height of a sample's centre above the baseline, in points.
const RAISED: f64 = 2.7;
const LINE: f64 = 18.0;

/// A mark and its meaning.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    sample: Sample,
    meaning: String,
}

/// A mark as the key shows it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Sample {
    /// The line and the marker of a rule.
    Rule(Rule),
    /// The line of a network, without a colour.
    Network(Network),
    /// The cross of a cell without accuracy.
    Cross,
    /// The diamond around a marker.
    Diamond,
    /// An error bar.
    Bar,
    /// A thin line.
    Thin,
    /// A thick line.
    Thick,
    /// The area around a mean.
    Band,
    /// No mark: a note.
    None,
    /// The line of a layer: its colour and marker.
    Layer(Marker),
    /// A marker alone.
    Marker(Marker),
}

impl Entry {
    pub(crate) fn new(sample: Sample, meaning: &str) -> Self {
        Self { sample, meaning: meaning.to_owned() }
    }

    pub(crate) fn of_rule(rule: Rule) -> Self {
        Self::new(Sample::Rule(rule), rule.name())
    }

    pub(crate) fn of_network(network: Network) -> Self {
        Self::new(Sample::Network(network), &format!("{network} ({})", Connectivity::of(network).name()))
    }

    fn width(&self) -> f64 {
        self.sample.width() + SPACE + KEY.width(&self.meaning)
    }

    /// Draws the entry from the left end of its baseline.
    fn draw(&self, scene: &mut Scene, (x, y): Point, width_max: f64) {
        let indent = self.sample.width() + SPACE;
        self.sample.draw(scene, (x, y - RAISED));
        for line in wrapped(&self.meaning, KEY.weight, KEY.size, width_max - indent, 1) {
            scene.text((x + indent, y), &line, KEY);
        }
    }
}

impl Sample {
    fn width(self) -> f64 {
        match self {
            Self::Rule(_) | Self::Network(_) | Self::Thin | Self::Thick | Self::Band | Self::Layer(_) => LINE,
            Self::Cross | Self::Diamond | Self::Bar | Self::Marker(_) => 9.0,
            Self::None => -SPACE,
        }
    }

    fn draw(self, scene: &mut Scene, (x, y): Point) {
        let middle = (x + self.width() / 2.0, y);
        let mut line = |stroke| scene.line((x, y), (x + LINE, y), stroke);
        match self {
            Self::Rule(rule) => Self::Layer(Marker::of(rule, true)).draw(scene, (x, y)),
            Self::Layer(marker) => {
                line(Stroke::solid(marker.colour, 1.2));
                marker.draw(scene, middle);
            }
            Self::Network(network) => {
                let connectivity = Connectivity::of(network);
                line(Stroke { dashes: connectivity.dashes(), ..Stroke::solid(FAINT_INK, 1.2) });
                let is_full = connectivity.has_full_markers();
                Marker { shape: Shape::Circle, colour: FAINT_INK, is_full, radius: RADIUS }.draw(scene, middle);
            }
            Self::Cross => style::cross(scene, middle, FAINT_INK),
            Self::Diamond => style::diamond(scene, middle, FAINT_INK),
            Self::Bar => style::error_bar(scene, (middle.0, y - 3.5), (middle.0, y + 3.5), FAINT_INK),
            Self::Thin => line(Stroke { opacity: 0.35, ..Stroke::solid(FAINT_INK, 0.6) }),
            Self::Band => {
                let (left, top, right, bottom) = (x, y - 3.5, x + LINE, y + 3.5);
                scene.band(vec![(left, top), (right, top), (right, bottom), (left, bottom)], FAINT_INK);
            }
            Self::Marker(marker) => marker.draw(scene, middle),
            Self::None => {}
            Self::Thick => line(Stroke::solid(FAINT_INK, 1.3)),
        }
    }
}

/// The note that settings diverged; `None` if none did.
pub(crate) fn diverged(settings: usize) -> Option<Entry> {
    let settings_of = if settings == 1 { "setting" } else { "settings" };
    let text = format!("{settings} {settings_of} diverged in some replicate, which counts as a guess");
    (settings > 0).then(|| Entry::new(Sample::None, &text))
}

/// Draws the key below `top` and returns its lower end. A group starts a row of its own unless it fits in the row before.
/// If it needs several rows, its entries stand in columns.
pub(crate) fn draw(scene: &mut Scene, groups: &[Vec<Entry>], (left, top): Point, width: f64) -> f64 {
    let (mut x, mut row) = (left, 0);
    let baseline = |row: usize| top + ROW * (row as f64 + 0.75);
    for group in groups.iter().filter(|group| !group.is_empty()) {
        let natural = group.iter().map(|entry| entry.width() + GAP).sum::<f64>() - GAP;
        if x > left && x + natural > left + width {
            (x, row) = (left, row + 1);
        }
        if x + natural <= left + width {
            for entry in group {
                entry.draw(scene, (x, baseline(row)), width);
                x += entry.width() + GAP;
            }
            continue;
        }
        let widest = group.iter().map(Entry::width).fold(0.0, f64::max);
        let columns = (((width + GAP) / (widest + GAP)).floor() as usize).clamp(1, group.len());
        let rows = group.len().div_ceil(columns);
        // As few columns as the rows need, so that no row is almost empty.
        let columns = group.len().div_ceil(rows);
        for (i, entry) in group.iter().enumerate() {
            let x = left + (i % columns) as f64 * (widest + GAP);
            entry.draw(scene, (x, baseline(row + i / columns)), width);
        }
        (x, row) = (left + width, row + rows - 1);
    }
    if x > left { baseline(row) + ROW * 0.25 } else { top }
}
