//! Lines, dots and text as SVG.

use std::fmt::{self, Display, Write as _};

pub(super) const INK: &str = "#222222";
pub(super) const FAINT_INK: &str = "#666666";
pub(super) const GRID: &str = "#e4e4e4";
const PAPER: &str = "#ffffff";

/// An SVG image in progress; lengths are in pixels from the upper left corner.
pub(super) struct Svg {
    width: f64,
    height: f64,
    body: String,
}

/// The style of a line.
#[derive(Clone, Copy)]
pub(super) struct Stroke {
    pub(super) colour: &'static str,
    pub(super) width: f64,
    /// The lengths of dashes and gaps; empty for a solid line.
    pub(super) dashes: &'static str,
    pub(super) opacity: f64,
}

impl Stroke {
    pub(super) const fn solid(colour: &'static str, width: f64) -> Self {
        Self { colour, width, dashes: "", opacity: 1.0 }
    }
}

/// The style of text. `anchor` is `start`, `middle` or `end`.
#[derive(Clone, Copy)]
pub(super) struct Words {
    pub(super) anchor: &'static str,
    pub(super) size: f64,
    pub(super) bold: bool,
    pub(super) colour: &'static str,
}

impl Svg {
    pub(super) fn new(width: f64, height: f64) -> Self {
        Self { width, height, body: String::new() }
    }

    /// Makes the image at least this wide.
    pub(super) fn widen(&mut self, width: f64) {
        self.width = self.width.max(width);
    }

    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), stroke: Stroke) {
        self.path(&[from, to], stroke);
    }

    pub(super) fn path(&mut self, points: &[(f64, f64)], stroke: Stroke) {
        let mut path = String::new();
        for (i, &(x, y)) in points.iter().enumerate() {
            push(&mut path, format_args!("{}{} {}", if i == 0 { "M" } else { " L" }, Px(x), Px(y)));
        }
        let dashes = match stroke.dashes {
            "" => String::new(),
            dashes => format!(" stroke-dasharray=\"{dashes}\""),
        };
        let opacity =
            if stroke.opacity < 1.0 { format!(" stroke-opacity=\"{}\"", stroke.opacity) } else { String::new() };
        let Stroke { colour, width, .. } = stroke;
        push(
            &mut self.body,
            format_args!(
                "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\" \
                 stroke-linejoin=\"round\"{dashes}{opacity}/>\n"
            ),
        );
    }

    /// A dot, full or hollow.
    pub(super) fn dot(&mut self, (x, y): (f64, f64), colour: &'static str, full: bool) {
        let fill = if full { colour } else { PAPER };
        push(
            &mut self.body,
            format_args!(
                "<circle cx=\"{}\" cy=\"{}\" r=\"3.6\" fill=\"{fill}\" stroke=\"{colour}\" stroke-width=\"1.6\"/>\n",
                Px(x),
                Px(y)
            ),
        );
    }

    /// A hollow diamond, larger than a dot.
    pub(super) fn diamond(&mut self, (x, y): (f64, f64), colour: &'static str) {
        let half = 6.0;
        let ([left, right], [top, bottom]) = ([Px(x - half), Px(x + half)], [Px(y - half), Px(y + half)]);
        let (x, y) = (Px(x), Px(y));
        push(
            &mut self.body,
            format_args!(
                "<path d=\"M{x} {top} L{right} {y} L{x} {bottom} L{left} {y} Z\" fill=\"{PAPER}\" stroke=\"{colour}\" \
                 stroke-width=\"1.6\"/>\n"
            ),
        );
    }

    pub(super) fn cross(&mut self, (x, y): (f64, f64), colour: &'static str) {
        for slope in [-4.0, 4.0] {
            self.line((x - 4.0, y - slope), (x + 4.0, y + slope), Stroke::solid(colour, 2.2));
        }
    }

    pub(super) fn words(&mut self, (x, y): (f64, f64), text: &str, words: Words) {
        let weight = if words.bold { " font-weight=\"bold\"" } else { "" };
        let Words { anchor, size, colour, .. } = words;
        push(
            &mut self.body,
            format_args!(
                "<text x=\"{}\" y=\"{}\" text-anchor=\"{anchor}\" font-size=\"{size}\" fill=\"{colour}\"{weight}>{}</text>\n",
                Px(x),
                Px(y),
                escaped(text)
            ),
        );
    }

    /// Vertical text, centred on a point.
    pub(super) fn upward(&mut self, (x, y): (f64, f64), text: &str, words: Words) {
        push(&mut self.body, format_args!("<g transform=\"rotate(-90 {} {})\">", Px(x), Px(y)));
        self.words((x, y), text, words);
        push(&mut self.body, format_args!("</g>\n"));
    }

    /// The image as text, with `title` as its description for screen readers.
    pub(super) fn finish(self, title: &str) -> String {
        let Self { width, height, body } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" role=\"img\" \
             font-family=\"Helvetica Neue, Helvetica, Arial, Liberation Sans, DejaVu Sans, sans-serif\">\n\
             <title>{2}</title>\n<rect width=\"100%\" height=\"100%\" fill=\"{PAPER}\"/>\n{body}</svg>\n",
            Px(width),
            Px(height),
            escaped(title)
        )
    }
}

/// A length, rounded to a tenth of a pixel and written with few digits.
struct Px(f64);

impl Display for Px {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Adding 0 turns a negative zero into a positive one.
        write!(f, "{}", (self.0 * 10.0).round() / 10.0 + 0.0)
    }
}

fn push(text: &mut String, what: fmt::Arguments<'_>) {
    text.write_fmt(what).expect("writing to a string cannot fail");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_escaped() {
        let svg = Svg::new(10.0, 10.0).finish("a <b> & c");
        assert!(svg.contains("<title>a &lt;b&gt; &amp; c</title>"), "{svg}");
    }

    #[test]
    fn lengths_have_few_digits() {
        assert_eq!(format!("{} {} {}", Px(1.0), Px(-0.01), Px(2.349)), "1 0 2.3");
    }
}
