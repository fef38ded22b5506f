//! A picture as a list of marks; lengths are in points from the upper left corner.
//!
//! | module | contents |
//! |---|---|
//! | `font` | the bundled font and its widths |
//! | `text` | text that fits |

pub(super) mod font;
pub(super) mod text;

use font::Weight;

/// A position: x to the right, y downwards.
pub(super) type Point = (f64, f64);

/// A colour: red, green and blue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Colour(pub(super) [u8; 3]);

pub(super) const INK: Colour = Colour([0x1f, 0x1f, 0x1f]);
pub(super) const FAINT_INK: Colour = Colour([0x59, 0x59, 0x59]);
pub(super) const GRID: Colour = Colour([0xe6, 0xe6, 0xe6]);
pub(super) const PAPER: Colour = Colour([0xff, 0xff, 0xff]);

/// The opacity of bands.
pub(super) const BAND_OPACITY: f64 = 0.16;

/// A picture in progress.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scene {
    /// The title, complete, for screen readers and metadata.
    pub(super) title: String,
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) marks: Vec<Mark>,
}

/// What is drawn.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Mark {
    /// Straight lines through points; a closed path may be filled.
    Path { points: Vec<Point>, is_closed: bool, fill: Option<Colour>, stroke: Stroke },
    /// A filled area that what is behind shines through.
    Band { points: Vec<Point>, colour: Colour },
    /// A circle.
    Circle { centre: Point, radius: f64, fill: Option<Colour>, stroke: Stroke },
    /// One line of text.
    Text(Text),
}

/// One line of text; `at` is on its baseline.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Text {
    pub(super) at: Point,
    pub(super) text: String,
    pub(super) style: TextStyle,
    /// Whether it is turned to run upwards.
    pub(super) is_upward: bool,
}

/// The style of text; the size is in points.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct TextStyle {
    pub(super) anchor: Anchor,
    pub(super) size: f64,
    pub(super) weight: Weight,
    pub(super) colour: Colour,
}

/// The point of a text that its position names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// The style of a line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Stroke {
    pub(super) colour: Colour,
    pub(super) width: f64,
    /// The lengths of dashes and gaps; empty for a solid line.
    pub(super) dashes: &'static [f64],
    pub(super) opacity: f64,
}

/// A rectangle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bounds {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) right: f64,
    pub(super) bottom: f64,
}

impl Colour {
    /// A colour such as `#0072b2`.
    pub(super) fn from_hex(hex: &str) -> Self {
        let number = hex.strip_prefix('#').filter(|digits| digits.len() == 6);
        let number = number.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let [_, red, green, blue] = number.unwrap_or_else(|| panic!("`{hex}` is no colour")).to_be_bytes();
        Self([red, green, blue])
    }
}

impl Stroke {
    pub(super) const fn solid(colour: Colour, width: f64) -> Self {
        Self { colour, width, dashes: &[], opacity: 1.0 }
    }
}

impl TextStyle {
    pub(super) fn width(self, text: &str) -> f64 {
        self.weight.face().width(text, self.size)
    }

    pub(super) const fn anchored(self, anchor: Anchor) -> Self {
        Self { anchor, ..self }
    }
}

impl Scene {
    pub(super) fn line(&mut self, from: Point, to: Point, stroke: Stroke) {
        self.path(vec![from, to], stroke);
    }

    pub(super) fn path(&mut self, points: Vec<Point>, stroke: Stroke) {
        self.marks.push(Mark::Path { points, is_closed: false, fill: None, stroke });
    }

    pub(super) fn polygon(&mut self, points: Vec<Point>, fill: Option<Colour>, stroke: Stroke) {
        self.marks.push(Mark::Path { points, is_closed: true, fill, stroke });
    }

    pub(super) fn band(&mut self, points: Vec<Point>, colour: Colour) {
        self.marks.push(Mark::Band { points, colour });
    }

    pub(super) fn circle(&mut self, centre: Point, radius: f64, fill: Option<Colour>, stroke: Stroke) {
        self.marks.push(Mark::Circle { centre, radius, fill, stroke });
    }

    pub(super) fn text(&mut self, at: Point, text: &str, style: TextStyle) {
        self.push_text(Text { at, text: text::clean(text), style, is_upward: false });
    }

    /// Text that runs upwards.
    pub(super) fn upward(&mut self, at: Point, text: &str, style: TextStyle) {
        self.push_text(Text { at, text: text::clean(text), style, is_upward: true });
    }

    /// The texts.
    pub(super) fn texts(&self) -> impl Iterator<Item = &Text> {
        self.marks.iter().filter_map(|mark| if let Mark::Text(text) = mark { Some(text) } else { None })
    }

    fn push_text(&mut self, text: Text) {
        if !text.text.is_empty() {
            self.marks.push(Mark::Text(text));
        }
    }
}

impl Text {
    /// Distance from the position to the start of the text, along the text.
    pub(super) fn start(&self) -> f64 {
        let width = self.style.width(&self.text);
        match self.style.anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => -width / 2.0,
            Anchor::End => -width,
        }
    }

    /// The area that the text takes.
    pub(super) fn bounds(&self) -> Bounds {
        let (start, width) = (self.start(), self.style.width(&self.text));
        let (above, below) = font::extent(self.style.size);
        let (x, y) = self.at;
        if self.is_upward {
            Bounds { left: x - above, top: y - start - width, right: x + below, bottom: y - start }
        } else {
            Bounds { left: x + start, top: y - above, right: x + start + width, bottom: y + below }
        }
    }
}

impl Mark {
    /// The area that the mark takes, with the width of its lines.
    #[cfg(test)]
    pub(super) fn bounds(&self) -> Bounds {
        match self {
            Self::Text(text) => text.bounds(),
            Self::Circle { centre, radius, stroke, .. } => Bounds::around(*centre, radius + stroke.width / 2.0),
            Self::Path { points, stroke, .. } => {
                let of_points = points.iter().map(|&point| Bounds::around(point, stroke.width / 2.0));
                of_points.reduce(Bounds::union).expect("a path has points")
            }
            Self::Band { points, .. } => {
                let of_points = points.iter().map(|&point| Bounds::around(point, 0.0));
                of_points.reduce(Bounds::union).expect("a band has points")
            }
        }
    }
}

impl Bounds {
    /// A square around a point.
    pub(super) fn around((x, y): Point, half: f64) -> Self {
        Self { left: x - half, top: y - half, right: x + half, bottom: y + half }
    }

    /// Whether the two share an area.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let apart = self.right <= other.left || other.right <= self.left;
        !apart && self.top < other.bottom && other.top < self.bottom
    }

    /// Whether the other is completely inside.
    pub(super) fn contains(&self, other: &Self) -> bool {
        let across = self.left <= other.left && other.right <= self.right;
        across && self.top <= other.top && other.bottom <= self.bottom
    }

    #[cfg(test)]
    fn union(self, other: Self) -> Self {
        Self {
            left: self.left.min(other.left),
            top: self.top.min(other.top),
            right: self.right.max(other.right),
            bottom: self.bottom.max(other.bottom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_takes_the_area_that_its_anchor_names() {
        let style = TextStyle { anchor: Anchor::End, size: 10.0, weight: Weight::Regular, colour: INK };
        let width = style.width("text");
        let text = |anchor, is_upward| {
            Text { at: (100.0, 100.0), text: "text".to_owned(), style: style.anchored(anchor), is_upward }.bounds()
        };
        assert_eq!((text(Anchor::End, false).right, text(Anchor::Start, false).left), (100.0, 100.0));
        assert_eq!((text(Anchor::Start, true).bottom, text(Anchor::End, true).top), (100.0, 100.0));
        let middle = text(Anchor::Middle, true);
        assert!((middle.bottom - middle.top - width).abs() < 1e-9 && middle.right - middle.left == 10.0);
    }

    #[test]
    fn a_colour_has_its_components() {
        assert_eq!(Colour::from_hex("#0072b2"), Colour([0x00, 0x72, 0xb2]));
    }
}
