//! Digits drawn by biosweep: strokes through randomly displaced control points, sheared, rotated, thickened and
//! blurred.
//!
//! Every image is a pure function of its number. The code uses only IEEE additions, multiplications, divisions, square
//! roots and rounding, so the bytes are the same on every machine. A test fixes their digest; a change of the images
//! needs a new `vocabulary::Dataset::digest`.

mod glyphs;

use biosweep_common::vocabulary::extent::Extent;
use biosweep_numeric::random::{Purpose, Stream};

use crate::dataset::{Dataset, Images, Pixels};
use glyphs::{DIGITS, Point, STYLES, Stroke};

const SIDE: usize = 28;
const PIXELS: usize = SIDE * SIDE;
const TRAIN_COUNT: u32 = 12_000;
const TEST_COUNT: u32 = 2_000;
const VALIDATION_COUNT: u32 = 2_000;
const SEED: u64 = 0;
/// The numbers of the random streams: one for each image, and two far above them for the order of the labels.
const TRAIN_LABELS: u64 = 1 << 32;
const TEST_LABELS: u64 = TRAIN_LABELS + 1;

/// Straight segments between two control points of a curve.
const PIECES: u32 = 5;
/// Maximum displacement of a control point, in units of half the digit's height.
const JITTER: f32 = 0.16;
/// Pixels from the centre of the digit to its top before scaling. Half its width is [`SLENDERNESS`] times that.
const HALF_HEIGHT: f32 = 8.5;
const SLENDERNESS: f32 = 0.65;
const SCALE: (f32, f32) = (0.7, 1.15);
/// Tangent of half the maximum rotation, about ±14°.
const HALF_TURN: f32 = 0.125;
const SHEAR: f32 = 0.3;
/// Maximum shift in pixels, in each direction.
const SHIFT: f32 = 1.8;
/// Range of half the pen's width, in pixels.
const PEN: (f32, f32) = (0.7, 1.7);
/// Range of the width over which the edge of a stroke fades, in pixels.
const EDGE: (f32, f32) = (1.0, 1.8);
const BRIGHTNESS: (f32, f32) = (150.0, 255.0);
/// Standard deviation of the noise of a pixel, in steps of brightness.
const PIXEL_NOISE: f64 = 32.0;

/// Draws the whole dataset, in about half a second.
pub(super) fn generate() -> Dataset {
    let image = Extent { channels: 1, height: SIDE, width: SIDE };
    let train = part(TRAIN_COUNT, 0, TRAIN_LABELS);
    let test = part(TEST_COUNT, TRAIN_COUNT, TEST_LABELS);
    Dataset::new(image, DIGITS, train, test, VALIDATION_COUNT)
}

/// Equally many images of each digit, in random order; `first` is the number of the first image.
fn part(count: u32, first: u32, order: u64) -> Images {
    let order = Stream::new(SEED, 0, Purpose::Digits, order).permutation(count);
    let labels: Vec<u8> = order.iter().map(|place| (place % 10) as u8).collect();
    let mut bytes = vec![0; labels.len() * PIXELS];
    let (images, _) = bytes.as_chunks_mut::<PIXELS>();
    for ((number, &label), image) in (first..).zip(&labels).zip(images) {
        let stream = |purpose| Stream::new(SEED, 0, purpose, number.into());
        draw(label, &mut stream(Purpose::Digits), &mut stream(Purpose::PixelNoise), image);
    }
    Images::new(Pixels::Bytes(bytes, 0), labels)
}

fn draw(label: u8, stream: &mut Stream, pixel_noise: &mut Stream, image: &mut [u8; PIXELS]) {
    let styles = STYLES[usize::from(label)];
    let style = styles[stream.below(styles.len() as u32) as usize];
    let place = Placement::drawn(stream);
    let pen = stream.between(PEN.0, PEN.1);
    let edge = stream.between(EDGE.0, EDGE.1);
    let brightness = stream.between(BRIGHTNESS.0, BRIGHTNESS.1);

    let mut distance2 = [f32::MAX; PIXELS];
    for stroke in style {
        let points = place.path(stroke, stream);
        for ends in points.windows(2) {
            approach(&mut distance2, ends[0], ends[1]);
        }
    }
    let mut noise = [0.0_f32; PIXELS];
    pixel_noise.fill_normal_f32(&mut noise, PIXEL_NOISE);
    for ((pixel, distance2), noise) in image.iter_mut().zip(&distance2).zip(&noise) {
        let ink = ((pen - distance2.sqrt()) / edge + 0.5).clamp(0.0, 1.0);
        *pixel = (ink * brightness + noise).clamp(0.0, 255.0) as u8;
    }
}

/// Sets each pixel to the minimum of its value and its squared distance from the segment between two points.
fn approach(distance2: &mut [f32; PIXELS], from: Point, to: Point) {
    let along = (to.0 - from.0, to.1 - from.1);
    let inverse = 1.0 / (along.0 * along.0 + along.1 * along.1).max(1e-6);
    let (rows, _) = distance2.as_chunks_mut::<SIDE>();
    for (row, y) in rows.iter_mut().zip(0_u8..) {
        let y = f32::from(y) - from.1;
        for (least, x) in row.iter_mut().zip(0_u8..) {
            let x = f32::from(x) - from.0;
            let share = ((x * along.0 + y * along.1) * inverse).clamp(0.0, 1.0);
            let (dx, dy) = (x - share * along.0, y - share * along.1);
            *least = least.min(dx * dx + dy * dy);
        }
    }
}

/// The affine map from the digit's coordinates to pixels.
struct Placement {
    x: [f32; 3],
    y: [f32; 3],
}

impl Placement {
    fn drawn(stream: &mut Stream) -> Self {
        let width = HALF_HEIGHT * SLENDERNESS * stream.between(SCALE.0, SCALE.1);
        let height = HALF_HEIGHT * stream.between(SCALE.0, SCALE.1);
        let shear = stream.between(-SHEAR, SHEAR);
        let middle = 0.5 * (SIDE - 1) as f32;
        let (right, down) = (middle + stream.between(-SHIFT, SHIFT), middle + stream.between(-SHIFT, SHIFT));
        // The half-angle formulas need no sine and cosine, which differ between mathematics libraries.
        let half = stream.between(-HALF_TURN, HALF_TURN);
        let (cosine, sine) = ((1.0 - half * half) / (1.0 + half * half), 2.0 * half / (1.0 + half * half));
        let (slant, tall) = (shear * height, height);
        Self {
            x: [cosine * width, cosine * slant - sine * tall, right],
            y: [sine * width, sine * slant + cosine * tall, down],
        }
    }

    /// A stroke as a sequence of points in pixels, with randomly displaced control points.
    fn path(&self, stroke: &Stroke, stream: &mut Stream) -> Vec<Point> {
        let (Stroke::Straight(points) | Stroke::Curved(points)) = stroke;
        let mut place = |&(x, y): &Point| {
            let (x, y) = (x + stream.between(-JITTER, JITTER), y + stream.between(-JITTER, JITTER));
            (self.x[0] * x + self.x[1] * y + self.x[2], self.y[0] * x + self.y[1] * y + self.y[2])
        };
        let points: Vec<Point> = points.iter().map(&mut place).collect();
        match stroke {
            Stroke::Straight(_) => points,
            Stroke::Curved(_) => smooth(&points),
        }
    }
}

/// Points on the Catmull–Rom curve (1974) through `points`.
fn smooth(points: &[Point]) -> Vec<Point> {
    let last = points.len() - 1;
    let mut path = vec![points[0]];
    for start in 0..last {
        let (a, b, c, d) =
            (points[start.saturating_sub(1)], points[start], points[start + 1], points[(start + 2).min(last)]);
        for piece in 1..=PIECES {
            let t = piece as f32 / PIECES as f32;
            let at = |a: f32, b: f32, c: f32, d: f32| {
                let cubic = (3.0 * (b - c) + d - a) * t + (2.0 * a - 5.0 * b + 4.0 * c - d);
                0.5 * ((cubic * t + (c - a)) * t + 2.0 * b)
            };
            path.push((at(a.0, b.0, c.0, d.0), at(a.1, b.1, c.1, d.1)));
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use sha2::{Digest, Sha256};

    use super::*;
    use crate::Part;

    /// Drawn once for all tests, because it is slow without optimisation.
    static DRAWN: LazyLock<Dataset> = LazyLock::new(generate);

    fn pixels(dataset: &Dataset, part: Part) -> Vec<f32> {
        let indices: Vec<u32> = (0..dataset.count(part) as u32).collect();
        let (mut pixels, mut labels) = (vec![0.0; indices.len() * PIXELS], vec![0; indices.len()]);
        dataset.gather(part, &indices, &mut pixels, &mut labels);
        pixels
    }

    #[test]
    fn every_digit_is_equally_frequent_and_the_order_is_random() {
        let dataset = &*DRAWN;
        for (part, each) in [(Part::Train, 1_200), (Part::Test, 200)] {
            let labels = dataset.labels(part);
            for digit in 0..10 {
                assert_eq!(labels.iter().filter(|&&label| label == digit).count(), each);
            }
            assert!((0..10).any(|start| labels[start] != labels[start + 10]));
        }
        let split = dataset.split(0);
        assert_eq!((split.train.len(), split.validation.len()), (10_000, 2_000));
    }

    #[test]
    fn the_digits_are_the_same_bytes_on_every_machine() {
        let dataset = &*DRAWN;
        let mut hash = Sha256::new();
        for part in [Part::Train, Part::Test] {
            let bytes: Vec<u8> = pixels(dataset, part).iter().map(|pixel| (pixel * 255.0 + 0.5) as u8).collect();
            hash.update(bytes);
            hash.update(dataset.labels(part));
        }
        let found: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(found, "a0b1d3830ac8eb7e6fab676a20afbd2d32385767c2d62f452f366c4fc1e20b86");
    }

    #[test]
    fn a_curve_goes_through_its_points() {
        let points = [(0.0, 0.0), (1.0, 2.0), (3.0, -1.0)];
        let path = smooth(&points);
        assert_eq!([path[0], path[PIECES as usize], path[2 * PIECES as usize]], points);
    }
}
