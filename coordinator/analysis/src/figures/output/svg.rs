//! A picture as SVG text. It names the bundled font and others like it, so that it can be shown without the font.

use std::fmt::{self, Display, Write as _};

use crate::figures::scene::font::Weight;
use crate::figures::scene::{Anchor, BAND_OPACITY, Colour, Mark, PAPER, Point, Scene, Stroke, Text};

const FAMILIES: &str = "Inter, Helvetica Neue, Helvetica, Arial, Liberation Sans, sans-serif";

/// The picture as text, with its title for screen readers.
pub(super) fn encode(scene: &Scene) -> String {
    let (width, height) = (Pt(scene.width), Pt(scene.height));
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}pt\" height=\"{height}pt\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\" font-family=\"{FAMILIES}\">\n<title>{}</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"{}\"/>\n",
        escaped(&scene.title),
        Hex(PAPER)
    );
    for mark in &scene.marks {
        match mark {
            Mark::Path { points, is_closed, fill, stroke } => path(&mut svg, points, *is_closed, *fill, *stroke),
            Mark::Band { points, colour } => {
                let fill = Hex(*colour);
                outline(&mut svg, points, true);
                push(&mut svg, format_args!(" fill=\"{fill}\" fill-opacity=\"{}\"/>\n", Pt(BAND_OPACITY)));
            }
            Mark::Circle { centre: (x, y), radius, fill, stroke } => {
                let (x, y, radius) = (Pt(*x), Pt(*y), Pt(*radius));
                push(
                    &mut svg,
                    format_args!("<circle cx=\"{x}\" cy=\"{y}\" r=\"{radius}\"{}/>\n", Paint(*fill, *stroke)),
                );
            }
            Mark::Text(one) => text(&mut svg, one),
        }
    }
    svg + "</svg>\n"
}

fn path(svg: &mut String, points: &[Point], is_closed: bool, fill: Option<Colour>, stroke: Stroke) {
    outline(svg, points, is_closed);
    push(svg, format_args!("{}/>\n", Paint(fill, stroke)));
}

/// The start of a path's element.
fn outline(svg: &mut String, points: &[Point], is_closed: bool) {
    svg.push_str("<path d=\"");
    for (i, &(x, y)) in points.iter().enumerate() {
        push(svg, format_args!("{}{} {}", if i == 0 { "M" } else { " L" }, Pt(x), Pt(y)));
    }
    svg.push_str(if is_closed { " Z\"" } else { "\"" });
}

fn text(svg: &mut String, text: &Text) {
    let (x, y) = (Pt(text.at.0), Pt(text.at.1));
    let anchor = match text.style.anchor {
        Anchor::Start => "",
        Anchor::Middle => " text-anchor=\"middle\"",
        Anchor::End => " text-anchor=\"end\"",
    };
    let weight = match text.style.weight {
        Weight::Regular => "",
        Weight::SemiBold => " font-weight=\"600\"",
    };
    let turn = if text.is_upward { format!(" transform=\"rotate(-90 {x} {y})\"") } else { String::new() };
    let (size, colour) = (Pt(text.style.size), Hex(text.style.colour));
    push(
        svg,
        format_args!(
            "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\" fill=\"{colour}\"{anchor}{weight}{turn}>{}</text>\n",
            escaped(&text.text)
        ),
    );
}

/// The attributes of fill and stroke.
struct Paint(Option<Colour>, Stroke);

impl Display for Paint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(fill, stroke) = self;
        match fill {
            Some(colour) => write!(f, " fill=\"{}\"", Hex(*colour))?,
            None => write!(f, " fill=\"none\"")?,
        }
        write!(f, " stroke=\"{}\" stroke-width=\"{}\"", Hex(stroke.colour), Pt(stroke.width))?;
        if let [first, rest @ ..] = stroke.dashes {
            write!(f, " stroke-dasharray=\"{}", Pt(*first))?;
            rest.iter().try_for_each(|&length| write!(f, " {}", Pt(length)))?;
            write!(f, "\"")?;
        }
        if stroke.opacity < 1.0 {
            write!(f, " stroke-opacity=\"{}\"", Pt(stroke.opacity))?;
        }
        write!(f, " stroke-linejoin=\"round\"")
    }
}

struct Hex(Colour);

impl Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Colour([red, green, blue]) = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

/// A number, rounded to a hundredth and written with few digits.
struct Pt(f64);

impl Display for Pt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Adding 0 turns a negative zero into a positive one.
        write!(f, "{}", (self.0 * 100.0).round() / 100.0 + 0.0)
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
        let svg = encode(&Scene { title: "a <b> & c".to_owned(), width: 10.0, height: 10.0, marks: Vec::new() });
        assert!(svg.contains("<title>a &lt;b&gt; &amp; c</title>"), "{svg}");
        assert!(svg.contains("width=\"10pt\" height=\"10pt\" viewBox=\"0 0 10 10\""), "{svg}");
    }

    #[test]
    fn lengths_have_few_digits() {
        assert_eq!(format!("{} {} {}", Pt(1.0), Pt(-0.001), Pt(2.349)), "1 0 2.35");
    }
}
