//! A dataset in memory: its split into training and validation images, and its batches.

use std::ops::Mul;

use biosweep_common::vocabulary::dataset::DatasetSize;
use biosweep_common::vocabulary::extent::Extent;
use biosweep_numeric::random::{Purpose, Stream};
use biosweep_numeric::vector::wide;

/// The seed of all splits. It does not depend on a trial's seed, so trials of one fold are compared on the same images.
const SPLIT_SEED: u64 = 0;

/// Labelled images. The training part is split by fold; the test part is fixed.
#[derive(Debug)]
pub struct Dataset {
    image: Extent,
    classes: usize,
    train: Images,
    test: Images,
    validation_count: u32,
}

/// A part of a dataset. Indices of images count within a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The images for training and validation.
    Train,
    /// The images for the test accuracy only.
    Test,
}

/// A split of [`Part::Train`]: each index is in one of the two lists, which are ascending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// The images the weights learn from.
    pub train: Vec<u32>,
    /// The images for early stopping and for the choice of settings.
    pub validation: Vec<u32>,
}

/// The images of one part with their labels.
#[derive(Debug)]
pub(super) struct Images {
    pixels: Pixels,
    labels: Vec<u8>,
}

/// The values of images, one image after another.
#[derive(Debug)]
pub(super) enum Pixels {
    /// The bytes of a file, and the offset of the first pixel in it. Pixels are scaled to [0, 1].
    Bytes(Vec<u8>, usize),
    /// Numbers that are used unchanged.
    Reals(Vec<f32>),
}

/// A floating-point type of pixels.
pub trait Scalar: Copy + From<u8> + From<f32> + Mul<Output = Self> {
    /// The factor from a byte to a pixel.
    const PER_BYTE: Self;
}

impl Scalar for f32 {
    const PER_BYTE: Self = 1.0 / 255.0;
}

impl Scalar for f64 {
    const PER_BYTE: Self = 1.0 / 255.0;
}

impl Dataset {
    /// A dataset of two parts.
    ///
    /// # Panics
    /// If a part has images of another shape, or a label is not a class; the loaders check both before.
    pub(super) fn new(image: Extent, classes: usize, train: Images, test: Images, validation_count: u32) -> Self {
        for part in [&train, &test] {
            let count = part.labels.len();
            assert_eq!(part.pixels.len(), count * image.units(), "the values of {count} images");
            assert!(part.labels.iter().all(|&label| usize::from(label) < classes), "a label beyond {classes} classes");
        }
        Self { image, classes, train, test, validation_count }
    }

    /// The size of each image.
    #[must_use]
    pub fn image(&self) -> Extent {
        self.image
    }

    /// The number of different labels.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// How many images a part has.
    #[must_use]
    pub fn count(&self, part: Part) -> usize {
        self.images(part).labels.len()
    }

    /// The counts that statistics need.
    ///
    /// # Panics
    /// If a part has 2³² images or more.
    #[must_use]
    pub fn size(&self) -> DatasetSize {
        let count = |count: usize| u32::try_from(count).expect("a part has fewer than 2^32 images");
        DatasetSize {
            classes: count(self.classes),
            train_images: count(self.count(Part::Train)) - self.validation_count,
            validation_images: self.validation_count,
            test_images: count(self.count(Part::Test)),
        }
    }

    /// The labels of a part's images, each below [`Dataset::classes`].
    #[must_use]
    pub fn labels(&self, part: Part) -> &[u8] {
        &self.images(part).labels
    }

    /// The split of the training part with the number `fold`: random validation images, the rest for training. It
    /// depends on the fold alone, not on the seed of a trial.
    #[must_use]
    pub fn split(&self, fold: u32) -> Split {
        let count = u32::try_from(self.train.labels.len()).expect("a part has fewer than 2^32 images");
        let mut validation = Stream::new(SPLIT_SEED, fold, Purpose::Split, 0).permutation(count);
        let mut train = validation.split_off(self.validation_count as usize);
        train.sort_unstable();
        validation.sort_unstable();
        Split { train, validation }
    }

    /// Writes the images at `indices` into `pixels`, with shape [indices, channels × height × width] and bytes scaled
    /// to [0, 1], and their labels into `labels`.
    ///
    /// # Panics
    /// If a slice has the wrong length, or an index is not below the part's count.
    pub fn gather<T: Scalar>(&self, part: Part, indices: &[u32], pixels: &mut [T], labels: &mut [i64]) {
        let (images, values) = (self.images(part), self.image.units());
        assert_eq!(pixels.len(), indices.len() * values, "the length of `pixels` for {} images", indices.len());
        assert_eq!(labels.len(), indices.len(), "the length of `labels`");
        for ((&index, pixels), label) in indices.iter().zip(pixels.chunks_exact_mut(values)).zip(labels) {
            let index = index as usize;
            *label = images.labels[index].into();
            match &images.pixels {
                Pixels::Bytes(bytes, start) => scale(pixels, &bytes[start + index * values..][..values]),
                Pixels::Reals(reals) => {
                    for (pixel, &real) in pixels.iter_mut().zip(&reals[index * values..][..values]) {
                        *pixel = T::from(real);
                    }
                }
            }
        }
    }

    fn images(&self, part: Part) -> &Images {
        match part {
            Part::Train => &self.train,
            Part::Test => &self.test,
        }
    }
}

wide! {
    fn scale<T: Scalar>(pixels: &mut [T], bytes: &[u8]) {
        for (pixel, &byte) in pixels.iter_mut().zip(bytes) {
            *pixel = T::from(byte) * T::PER_BYTE;
        }
    }
}

impl Images {
    /// Images with one label each.
    pub(super) fn new(pixels: Pixels, labels: Vec<u8>) -> Self {
        Self { pixels, labels }
    }

    /// The number of images.
    pub(super) fn count(&self) -> usize {
        self.labels.len()
    }

    /// The label of all images; `None` where they differ.
    pub(super) fn only_label(&self) -> Option<u8> {
        let first = *self.labels.first()?;
        self.labels.iter().all(|&label| label == first).then_some(first)
    }

    /// The largest label; 0 where there is no image.
    pub(super) fn largest_label(&self) -> u8 {
        self.labels.iter().copied().max().unwrap_or(0)
    }
}

impl Pixels {
    fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes, start) => bytes.len() - start,
            Self::Reals(reals) => reals.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two channels of two rows of three.
    const SHAPE: Extent = Extent { channels: 2, height: 2, width: 3 };
    const VALUES: usize = 12;

    fn small() -> Dataset {
        let images = |count: u8| {
            let bytes = (0..count).flat_map(|image| [image; VALUES]).collect();
            Images::new(Pixels::Bytes(bytes, 0), (0..count).map(|image| image % 10).collect())
        };
        Dataset::new(SHAPE, 10, images(60), images(20), 10)
    }

    #[test]
    fn a_split_has_every_image_exactly_once() {
        for fold in 0..10 {
            let Split { train, validation } = small().split(fold);
            assert_eq!((train.len(), validation.len()), (50, 10));
            let mut all = [train, validation].concat();
            all.sort_unstable();
            assert_eq!(all, (0..60).collect::<Vec<u32>>());
        }
    }

    #[test]
    fn folds_differ_and_each_fold_is_always_the_same() {
        assert_ne!(small().split(0), small().split(1));
        assert_eq!(small().split(3), small().split(3));
    }

    #[test]
    fn a_batch_has_the_requested_images_in_order_in_both_precisions() {
        let (mut single, mut double, mut labels) = (vec![0.0_f32; 3 * VALUES], vec![0.0_f64; 3 * VALUES], [0; 3]);
        small().gather(Part::Train, &[51, 0, 51], &mut single, &mut labels);
        small().gather(Part::Train, &[51, 0, 51], &mut double, &mut labels);
        assert_eq!(labels, [1, 0, 1]);
        for (place, expected) in [(0, 0.2), (VALUES - 1, 0.2), (VALUES, 0.0), (3 * VALUES - 1, 0.2)] {
            assert!((f64::from(single[place]) - expected).abs() < 1e-7 && (double[place] - expected).abs() < 1e-15);
        }
    }

    #[test]
    fn the_brightest_byte_becomes_exactly_one() {
        assert_eq!(f32::from(255_u8) * f32::PER_BYTE, 1.0);
        assert_eq!(f64::from(255_u8) * f64::PER_BYTE, 1.0);
    }
}
