//! A picture as a PNG image with 300 pixels per inch.

use png::{BitDepth, ColorType, Compression, PixelDimensions, Unit};
use skrifa::outline::OutlinePen;
use tiny_skia::{FillRule, LineCap, LineJoin, Paint, Path, PathBuilder, Pixmap, StrokeDash, Transform};

use super::FigureError;
use crate::figures::output::size::POINTS_PER_INCH;
use crate::figures::scene::{BAND_OPACITY, Colour, Mark, PAPER, Scene, Stroke, Text};

const PIXELS_PER_INCH: f64 = 300.0;
const PIXELS_PER_POINT: f64 = PIXELS_PER_INCH / POINTS_PER_INCH;
/// Pixels per metre, for the image's metadata.
const PIXELS_PER_METRE: u32 = (PIXELS_PER_INCH / 0.0254 + 0.5) as u32;
/// Maximum height of an image in pixels: 100 inches.
const HEIGHT_MAX: f64 = 30_000.0;

/// The picture as the bytes of a PNG file.
pub(super) fn encode(scene: &Scene) -> Result<Vec<u8>, FigureError> {
    let (width, height) = ((scene.width * PIXELS_PER_POINT).round(), (scene.height * PIXELS_PER_POINT).round());
    if height > HEIGHT_MAX {
        return Err(FigureError::TooHigh { inches: scene.height / POINTS_PER_INCH });
    }
    let mut image = Pixmap::new(width as u32, height as u32).expect("a figure has an area");
    let Colour([red, green, blue]) = PAPER;
    image.fill(tiny_skia::Color::from_rgba8(red, green, blue, 255));
    let scale = Transform::from_scale(PIXELS_PER_POINT as f32, PIXELS_PER_POINT as f32);
    for mark in &scene.marks {
        match mark {
            Mark::Path { points, is_closed, fill, stroke } => {
                paint(&mut image, outline(points, *is_closed), *fill, *stroke, scale);
            }
            Mark::Band { points, colour } => {
                if let Some(path) = outline(points, true) {
                    image.fill_path(&path, &ink(*colour, BAND_OPACITY), FillRule::Winding, scale, None);
                }
            }
            Mark::Circle { centre: (x, y), radius, fill, stroke } => {
                let circle = PathBuilder::from_circle(*x as f32, *y as f32, *radius as f32);
                paint(&mut image, circle, *fill, *stroke, scale);
            }
            Mark::Text(one) => text(&mut image, one, scale),
        }
    }
    compressed(&image)
}

fn outline(points: &[(f64, f64)], is_closed: bool) -> Option<Path> {
    let mut path = PathBuilder::new();
    for (i, &(x, y)) in points.iter().enumerate() {
        if i == 0 { path.move_to(x as f32, y as f32) } else { path.line_to(x as f32, y as f32) }
    }
    if is_closed {
        path.close();
    }
    path.finish()
}

/// Fills and strokes a path; one without extent is invisible.
fn paint(image: &mut Pixmap, path: Option<Path>, fill: Option<Colour>, stroke: Stroke, scale: Transform) {
    let Some(path) = path else { return };
    if let Some(colour) = fill {
        image.fill_path(&path, &ink(colour, 1.0), FillRule::Winding, scale, None);
    }
    let dash = StrokeDash::new(stroke.dashes.iter().map(|&length| length as f32).collect(), 0.0);
    let style = tiny_skia::Stroke {
        width: stroke.width as f32,
        line_cap: LineCap::Butt,
        line_join: LineJoin::Round,
        dash,
        ..tiny_skia::Stroke::default()
    };
    image.stroke_path(&path, &ink(stroke.colour, stroke.opacity), &style, scale, None);
}

fn text(image: &mut Pixmap, text: &Text, scale: Transform) {
    let face = text.style.weight.face();
    let (x, y) = (text.at.0 as f32, text.at.1 as f32);
    let place = scale.pre_translate(x, y).pre_concat(if text.is_upward {
        Transform::from_rotate(-90.0)
    } else {
        Transform::identity()
    });
    let mut along = text.start();
    for glyph in face.glyphs(&text.text) {
        let mut outline = Outline(PathBuilder::new());
        face.draw(glyph.id, text.style.size, &mut outline);
        if let Some(path) = outline.0.finish() {
            let place = place.pre_translate(along as f32, 0.0);
            image.fill_path(&path, &ink(text.style.colour, 1.0), FillRule::Winding, place, None);
        }
        along += glyph.advance * text.style.size;
    }
}

fn ink(colour: Colour, opacity: f64) -> Paint<'static> {
    let Colour([red, green, blue]) = colour;
    let mut paint = Paint::default();
    paint.set_color_rgba8(red, green, blue, (opacity * 255.0).round() as u8);
    paint
}

/// Turns the outline of a glyph over, because y grows downwards here.
struct Outline(PathBuilder);

impl OutlinePen for Outline {
    fn move_to(&mut self, x: f32, y: f32) {
        self.0.move_to(x, -y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        self.0.line_to(x, -y);
    }

    fn quad_to(&mut self, cx: f32, cy: f32, x: f32, y: f32) {
        self.0.quad_to(cx, -cy, x, -y);
    }

    fn curve_to(&mut self, cx0: f32, cy0: f32, cx1: f32, cy1: f32, x: f32, y: f32) {
        self.0.cubic_to(cx0, -cy0, cx1, -cy1, x, -y);
    }

    fn close(&mut self) {
        self.0.close();
    }
}

/// The file of an image, all of whose pixels are opaque.
fn compressed(image: &Pixmap) -> Result<Vec<u8>, FigureError> {
    let rgb: Vec<u8> =
        image.data().as_chunks::<4>().0.iter().flat_map(|&[red, green, blue, _]| [red, green, blue]).collect();
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, image.width(), image.height());
    encoder.set_color(ColorType::Rgb);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_compression(Compression::Balanced);
    encoder.set_pixel_dims(Some(PixelDimensions { xppu: PIXELS_PER_METRE, yppu: PIXELS_PER_METRE, unit: Unit::Meter }));
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&rgb)?;
    writer.finish()?;
    Ok(file)
}
