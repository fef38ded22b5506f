//! The look of rules and networks, and of text.

use biosweep_common::rules::Rule;
use biosweep_common::vocabulary::Network;

use crate::figures::scene::font::Weight;
use crate::figures::scene::{Anchor, Colour, FAINT_INK, INK, PAPER, Point, Scene, Stroke, TextStyle};

const REGULAR: TextStyle = TextStyle { anchor: Anchor::Middle, size: 8.0, weight: Weight::Regular, colour: INK };
/// The title of a figure.
pub(crate) const TITLE: TextStyle =
    TextStyle { anchor: Anchor::Start, size: 10.0, weight: Weight::SemiBold, ..REGULAR };
/// The heading of a panel.
pub(crate) const HEADING: TextStyle = TextStyle { anchor: Anchor::Start, weight: Weight::SemiBold, ..REGULAR };
/// The label of an axis.
pub(crate) const LABEL: TextStyle = REGULAR;
/// Numbers at axes, and notes. No text is smaller.
pub(crate) const SMALL: TextStyle = TextStyle { size: 7.0, colour: FAINT_INK, ..REGULAR };
/// The key.
pub(crate) const KEY: TextStyle = TextStyle { anchor: Anchor::Start, size: 7.5, ..REGULAR };

/// Radius of a marker, in points.
pub(crate) const RADIUS: f64 = 2.2;
/// Half the width and height of a diamond, in points.
pub(crate) const DIAMOND: f64 = 4.4;
/// Half the width and height of a cross, in points.
const CROSS: f64 = 2.4;
const OUTLINE: f64 = 0.9;

/// The connections of a network, as the style of its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Connectivity {
    /// From the previous layer: dashed, with hollow markers.
    Plain,
    /// From all previous layers: solid, with full markers.
    Dense,
    /// From random previous layers: dotted, with full markers.
    Drawn,
    /// From all hidden layers to the output only: long dashes, with full markers.
    Readout,
    /// Added without weights: dashes and dots, with full markers.
    Residual,
}

impl Connectivity {
    pub(crate) const fn of(network: Network) -> Self {
        match network {
            Network::Nn | Network::Convnet => Self::Plain,
            Network::Dn | Network::DenseConvnet => Self::Dense,
            Network::Lognormal => Self::Drawn,
            Network::Readout => Self::Readout,
            Network::Residual => Self::Residual,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Dense => "dense",
            Self::Drawn => "drawn",
            Self::Readout => "to the output",
            Self::Residual => "added",
        }
    }

    /// The lengths of dashes and gaps, in points.
    pub(crate) const fn dashes(self) -> &'static [f64] {
        match self {
            Self::Plain => &[4.0, 2.2],
            Self::Dense => &[],
            Self::Drawn => &[1.2, 1.6],
            Self::Readout => &[8.0, 2.2],
            Self::Residual => &[5.0, 1.6, 1.2, 1.6],
        }
    }

    pub(crate) const fn has_full_markers(self) -> bool {
        !matches!(self, Self::Plain)
    }
}

/// The shape of a marker. Each rule has its own, so that it is known without colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Circle,
    Square,
    /// A triangle that points upwards.
    Up,
    /// A triangle that points downwards.
    Down,
    Pentagon,
    Star,
    /// A triangle that points to the right.
    Right,
    /// A triangle that points to the left.
    Left,
    /// A rectangle, higher than wide.
    Bar,
}

impl Shape {
    const ALL: [Self; 9] = [
        Self::Circle,
        Self::Square,
        Self::Up,
        Self::Down,
        Self::Pentagon,
        Self::Star,
        Self::Right,
        Self::Left,
        Self::Bar,
    ];

    /// The shape of a rule. After the last shape the first follows again.
    pub(crate) fn of(rule: Rule) -> Self {
        let index = Rule::ALL.iter().position(|&one| one == rule).expect("the list has every rule");
        Self::ALL[index % Self::ALL.len()]
    }

    /// The corners for a circle of the same visual size around the origin; none for a circle.
    fn corners(self, radius: f64) -> Vec<Point> {
        let regular = |corners: usize, radius: f64, start: f64| -> Vec<Point> {
            let angle = |i| (start + 360.0 * i as f64 / corners as f64).to_radians();
            (0..corners).map(|i| (radius * angle(i).cos(), radius * angle(i).sin())).collect()
        };
        match self {
            Self::Circle => Vec::new(),
            Self::Square => regular(4, 1.27 * radius, 45.0),
            Self::Up => regular(3, 1.4 * radius, -90.0),
            Self::Down => regular(3, 1.4 * radius, 90.0),
            Self::Right => regular(3, 1.4 * radius, 0.0),
            Self::Left => regular(3, 1.4 * radius, 180.0),
            Self::Pentagon => regular(5, 1.18 * radius, -90.0),
            Self::Star => {
                let (outer, inner) = (regular(5, 1.55 * radius, -90.0), regular(5, 0.68 * radius, -54.0));
                outer.into_iter().zip(inner).flat_map(|(outer, inner)| [outer, inner]).collect()
            }
            Self::Bar => {
                let (x, y) = (0.62 * radius, 1.35 * radius);
                vec![(-x, -y), (x, -y), (x, y), (-x, y)]
            }
        }
    }
}

/// A marker: the shape and colour of a rule, full or hollow as the network.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Marker {
    pub(crate) shape: Shape,
    pub(crate) colour: Colour,
    pub(crate) is_full: bool,
    pub(crate) radius: f64,
}

impl Marker {
    pub(crate) fn of(rule: Rule, is_full: bool) -> Self {
        Self { shape: Shape::of(rule), colour: colour_of(rule), is_full, radius: RADIUS }
    }

    /// The marker of one of `count` layers. Its colour is darker for deeper layers, so that their order is seen without colours.
    pub(crate) fn of_layer(index: usize, count: usize) -> Self {
        let colour = shade(index as f64 / count.saturating_sub(1).max(1) as f64);
        Self { shape: Shape::ALL[index % Shape::ALL.len()], colour, is_full: true, radius: 0.85 * RADIUS }
    }

    pub(crate) fn draw(self, scene: &mut Scene, (x, y): Point) {
        let fill = Some(if self.is_full { self.colour } else { PAPER });
        let stroke = Stroke::solid(self.colour, OUTLINE * (self.radius / RADIUS).min(1.0));
        match self.shape {
            Shape::Circle => scene.circle((x, y), self.radius, fill, stroke),
            shape => {
                let corners = shape.corners(self.radius).into_iter().map(|(along, down)| (x + along, y + down));
                scene.polygon(corners.collect(), fill, stroke);
            }
        }
    }
}

/// A hollow diamond around a marker.
pub(crate) fn diamond(scene: &mut Scene, (x, y): Point, colour: Colour) {
    let corners = vec![(x, y - DIAMOND), (x + DIAMOND, y), (x, y + DIAMOND), (x - DIAMOND, y)];
    scene.polygon(corners, None, Stroke::solid(colour, OUTLINE));
}

/// A cross.
pub(crate) fn cross(scene: &mut Scene, (x, y): Point, colour: Colour) {
    for slope in [-CROSS, CROSS] {
        scene.line((x - CROSS, y - slope), (x + CROSS, y + slope), Stroke::solid(colour, 1.4));
    }
}

/// A bar between two points of one vertical or horizontal line, with end caps.
pub(crate) fn error_bar(scene: &mut Scene, from: Point, to: Point, colour: Colour) {
    const CAP: f64 = 1.7;
    let stroke = Stroke { opacity: 0.7, ..Stroke::solid(colour, 0.7) };
    scene.line(from, to, stroke);
    let (along, down) = if from.1 == to.1 && from.0 != to.0 { (0.0, CAP) } else { (CAP, 0.0) };
    for (x, y) in [from, to] {
        scene.line((x - along, y - down), (x + along, y + down), stroke);
    }
}

pub(crate) fn colour_of(rule: Rule) -> Colour {
    Colour::from_hex(rule.descriptor().colour)
}

/// A colour between light and dark ones, at a place from 0 to 1.
fn shade(place: f64) -> Colour {
    const COLOURS: [[f64; 3]; 4] =
        [[243.0, 176.0, 61.0], [221.0, 96.0, 76.0], [148.0, 38.0, 110.0], [40.0, 11.0, 84.0]];
    let last = COLOURS.len() - 1;
    let along = place.clamp(0.0, 1.0) * last as f64;
    let from = (along as usize).min(last - 1);
    let part = along - from as f64;
    let mixed = |i: usize| (COLOURS[from][i] + part * (COLOURS[from + 1][i] - COLOURS[from][i])).round() as u8;
    Colour([mixed(0), mixed(1), mixed(2)])
}

/// The depth in words, such as `5 hidden layers`. Lines are not broken within.
pub(crate) fn layers(depth: u32) -> String {
    format!("{depth}\u{a0}hidden\u{a0}layer{}", if depth == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_have_different_shapes_until_all_shapes_are_used() {
        let shapes: Vec<Shape> = Rule::ALL.iter().map(|&rule| Shape::of(rule)).take(Shape::ALL.len()).collect();
        assert!(shapes.iter().enumerate().all(|(i, shape)| !shapes[..i].contains(shape)), "{shapes:?}");
    }

    #[test]
    fn deeper_layers_are_darker() {
        let lightness = |marker: Marker| {
            let Colour([red, green, blue]) = marker.colour;
            0.2126 * f64::from(red) + 0.7152 * f64::from(green) + 0.0722 * f64::from(blue)
        };
        let shades: Vec<f64> = (0..11).map(|index| lightness(Marker::of_layer(index, 11))).collect();
        assert!(shades.windows(2).all(|pair| pair[1] < pair[0] - 5.0), "{shades:?}");
        assert_eq!(Marker::of_layer(0, 1).colour, shade(0.0));
    }

    #[test]
    fn every_rule_has_a_valid_colour() {
        for &rule in Rule::ALL {
            assert_ne!(colour_of(rule), PAPER);
        }
    }
}
