//! A picture as a PDF file of one page. The used characters of the bundled font are embedded; the file has no date and no
//! random id.

use krilla::Document;
use krilla::color::rgb;
use krilla::geom::{PathBuilder, Point, Transform};
use krilla::metadata::Metadata;
use krilla::num::NormalizedF32;
use krilla::page::PageSettings;
use krilla::paint::{Fill, LineJoin, StrokeDash};
use krilla::surface::Surface;
use krilla::text::{Font, GlyphId, KrillaGlyph};

use super::FigureError;
use crate::figures::scene::font::Weight;
use crate::figures::scene::{BAND_OPACITY, Colour, Mark, PAPER, Scene, Stroke, Text};

/// A circle by four cubic curves: the distance of their inner points from the corners, for radius 1.
const CIRCLE: f64 = 0.552_284_749_8;

/// The picture as the bytes of a PDF file.
pub(super) fn encode(scene: &Scene) -> Result<Vec<u8>, FigureError> {
    let fonts = Fonts { regular: font(Weight::Regular), semi_bold: font(Weight::SemiBold) };
    let mut document = Document::new();
    document.set_metadata(Metadata::new().title(scene.title.clone()).language("en".to_owned()));
    let size = PageSettings::from_wh(scene.width as f32, scene.height as f32).expect("a figure has an area");
    let mut page = document.start_page_with(size);
    let mut surface = page.surface();
    let (right, bottom) = (scene.width, scene.height);
    let paper = [(0.0, 0.0), (right, 0.0), (right, bottom), (0.0, bottom)];
    paint(&mut surface, polygon(&paper, true), Some((PAPER, 1.0)), None);
    for mark in &scene.marks {
        match mark {
            Mark::Path { points, is_closed, fill, stroke } => {
                paint(&mut surface, polygon(points, *is_closed), fill.map(opaque), Some(*stroke));
            }
            Mark::Circle { centre, radius, fill, stroke } => {
                paint(&mut surface, circle(*centre, *radius), fill.map(opaque), Some(*stroke));
            }
            Mark::Band { points, colour } => {
                paint(&mut surface, polygon(points, true), Some((*colour, BAND_OPACITY)), None);
            }
            Mark::Text(one) => text(&mut surface, one, &fonts),
        }
    }
    surface.finish();
    page.finish();
    document.finish().map_err(|error| FigureError::Pdf(format!("{error:?}")))
}

struct Fonts {
    regular: Font,
    semi_bold: Font,
}

fn font(weight: Weight) -> Font {
    Font::new(weight.file().into(), 0).expect("the bundled font is a font")
}

fn polygon(points: &[(f64, f64)], is_closed: bool) -> PathBuilder {
    let mut path = PathBuilder::new();
    for (i, &(x, y)) in points.iter().enumerate() {
        if i == 0 { path.move_to(x as f32, y as f32) } else { path.line_to(x as f32, y as f32) }
    }
    if is_closed {
        path.close();
    }
    path
}

fn circle((x, y): (f64, f64), radius: f64) -> PathBuilder {
    let at = |along: f64, up: f64| ((x + along * radius) as f32, (y + up * radius) as f32);
    let mut path = PathBuilder::new();
    let (start_x, start_y) = at(1.0, 0.0);
    path.move_to(start_x, start_y);
    for (cos, sin) in [(1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0)] {
        let (x1, y1) = at(cos - CIRCLE * sin, sin + CIRCLE * cos);
        let (x2, y2) = at(CIRCLE * cos - sin, CIRCLE * sin + cos);
        let (end_x, end_y) = at(-sin, cos);
        path.cubic_to(x1, y1, x2, y2, end_x, end_y);
    }
    path.close();
    path
}

fn opaque(colour: Colour) -> (Colour, f64) {
    (colour, 1.0)
}

/// Fills a path, with an opacity, and strokes it; one without extent is invisible.
fn paint(surface: &mut Surface<'_>, path: PathBuilder, fill: Option<(Colour, f64)>, stroke: Option<Stroke>) {
    let Some(path) = path.finish() else { return };
    surface.set_fill(fill.map(|(colour, alpha)| Fill {
        paint: rgb(colour).into(),
        opacity: opacity(alpha),
        ..Fill::default()
    }));
    surface.set_stroke(stroke.map(|stroke| {
        krilla::paint::Stroke {
            paint: rgb(stroke.colour).into(),
            width: stroke.width as f32,
            line_join: LineJoin::Round,
            opacity: opacity(stroke.opacity),
            dash: (!stroke.dashes.is_empty()).then(|| StrokeDash {
                array: stroke.dashes.iter().map(|&length| length as f32).collect(),
                offset: 0.0,
            }),
            ..krilla::paint::Stroke::default()
        }
    }));
    surface.draw_path(&path);
}

fn opacity(value: f64) -> NormalizedF32 {
    NormalizedF32::new(value as f32).expect("an opacity from 0 to 1")
}

fn text(surface: &mut Surface<'_>, text: &Text, fonts: &Fonts) {
    let font = match text.style.weight {
        Weight::Regular => &fonts.regular,
        Weight::SemiBold => &fonts.semi_bold,
    };
    let glyphs: Vec<KrillaGlyph> = text
        .style
        .weight
        .face()
        .glyphs(&text.text)
        .map(|glyph| {
            let id = GlyphId::new(glyph.id.to_u32());
            KrillaGlyph::new(id, glyph.advance as f32, 0.0, 0.0, 0.0, glyph.bytes, None)
        })
        .collect();
    surface.set_fill(Some(Fill { paint: rgb(text.style.colour).into(), ..Fill::default() }));
    surface.set_stroke(None);
    let (x, y) = (text.at.0 as f32, text.at.1 as f32);
    surface.push_transform(&Transform::from_translate(x, y));
    let turn = if text.is_upward { Transform::from_rotate(-90.0) } else { Transform::identity() };
    surface.push_transform(&turn);
    let start = Point::from_xy(text.start() as f32, 0.0);
    surface.draw_glyphs(start, &glyphs, font.clone(), &text.text, text.style.size as f32, false);
    surface.pop();
    surface.pop();
}

fn rgb(Colour([red, green, blue]): Colour) -> rgb::Color {
    rgb::Color::new(red, green, blue)
}
