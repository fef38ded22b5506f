//! The content of a panel: curves, bands, markers and error bars over a vertical axis.

use super::axis::{Axis, Scale};
use super::chart::Frame;
use super::style::{self, DIAMOND, Marker, SMALL};
use crate::figures::scene::{Anchor, Bounds, Colour, Point, Scene, Stroke, Text};

/// Draws into one panel. Positions are fractions of the width, and values of the vertical axis; shifts are in points.
pub(crate) struct Plot<'a> {
    scene: &'a mut Scene,
    frame: Frame,
    scale: Scale,
    /// The values that are possible.
    limits: (f64, f64),
    /// The areas that a note must leave free.
    taken: Vec<Bounds>,
    notes: Vec<(Point, String)>,
}

impl<'a> Plot<'a> {
    pub(crate) fn new(scene: &'a mut Scene, frame: Frame, axis: &Axis) -> Self {
        Self { scene, frame, scale: axis.scale, limits: axis.limits, taken: Vec::new(), notes: Vec::new() }
    }

    /// A line through at least two points.
    pub(crate) fn curve(&mut self, points: &[(f64, f64)], shift: f64, stroke: Stroke) {
        if points.len() > 1 {
            self.scene.path(points.iter().map(|&point| self.at(point, shift)).collect(), stroke);
        }
    }

    /// An area between lower and upper values, limited to possible ones.
    pub(crate) fn band(&mut self, points: &[(f64, f64, f64)], colour: Colour) {
        if points.len() > 1 {
            let within =
                |value: f64| value.clamp(self.limits.0.max(self.scale.low), self.limits.1.min(self.scale.high));
            let lower = points.iter().map(|&(x, low, _)| self.at((x, within(low)), 0.0));
            let upper = points.iter().rev().map(|&(x, _, high)| self.at((x, within(high)), 0.0));
            let area = lower.chain(upper).collect();
            self.scene.band(area, colour);
        }
    }

    /// A faint line across the panel.
    pub(crate) fn level(&mut self, value: f64, colour: Colour) {
        let stroke = Stroke { dashes: &[1.5, 2.0], ..Stroke::solid(colour, 0.7) };
        let (from, to) = (self.at((0.0, value), 0.0), self.at((1.0, value), 0.0));
        self.scene.line(from, to, stroke);
    }

    pub(crate) fn marker(&mut self, point: (f64, f64), shift: f64, marker: Marker) {
        let at = self.at(point, shift);
        marker.draw(self.scene, at);
        self.taken.push(Bounds::around(at, marker.radius));
    }

    /// A diamond around the marker of a mean, with its number of replicates beside it if there is space.
    pub(crate) fn diamond(&mut self, point: (f64, f64), shift: f64, colour: Colour, replicates: u64) {
        let at = self.at(point, shift);
        style::diamond(self.scene, at, colour);
        self.taken.push(Bounds::around(at, DIAMOND));
        self.notes.push((at, format!("n = {replicates}")));
    }

    /// A cross at a value or, without one, on the horizontal axis.
    pub(crate) fn cross(&mut self, x: f64, value: Option<f64>, shift: f64, colour: Colour) {
        let at = self.at((x, value.unwrap_or(self.scale.low)), shift);
        style::cross(self.scene, at, colour);
    }

    /// An error bar of this length above and below a point, limited to possible values.
    pub(crate) fn error_bar(&mut self, (x, y): (f64, f64), length: f64, shift: f64, colour: Colour) {
        let (low, high) = ((y - length).max(self.limits.0), (y + length).min(self.limits.1));
        let (low, high) = (self.at((x, low), shift), self.at((x, high), shift));
        style::error_bar(self.scene, low, high, colour);
        self.taken.push(Bounds { left: high.0, top: high.1, right: low.0, bottom: low.1 });
    }

    /// Writes the notes, where they cover neither markers, error bars nor each other. A note without such a place is left out.
    pub(crate) fn finish(mut self) {
        let inside = self.frame.bounds();
        for ((x, y), text) in std::mem::take(&mut self.notes) {
            let (aside, raised) = (DIAMOND + 1.0, DIAMOND + 2.0);
            let places = [
                (x + aside, y + 2.5, Anchor::Start),
                (x - aside, y + 2.5, Anchor::End),
                (x, y + raised + 4.5, Anchor::Middle),
                (x, y - raised, Anchor::Middle),
                (x + 2.0, y + raised + 4.5, Anchor::Start),
                (x - 2.0, y + raised + 4.5, Anchor::End),
                (x + 2.0, y - raised, Anchor::Start),
                (x - 2.0, y - raised, Anchor::End),
            ];
            let note = |(x, y, anchor)| {
                let text = Text { at: (x, y), text: text.clone(), style: SMALL.anchored(anchor), is_upward: false };
                (text.bounds(), text)
            };
            let is_free = |(area, _): &(Bounds, Text)| {
                inside.contains(area) && !self.taken.iter().any(|taken| taken.overlaps(area))
            };
            if let Some((area, note)) = places.into_iter().map(note).find(is_free) {
                self.scene.text(note.at, &note.text, note.style);
                self.taken.push(area);
            }
        }
    }

    fn at(&self, (x, y): (f64, f64), shift: f64) -> Point {
        let frame = self.frame;
        (frame.left + x * frame.width + shift, frame.bottom() - self.scale.at(y) * frame.height)
    }
}
