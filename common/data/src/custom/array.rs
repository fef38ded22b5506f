//! The entries of one file of custom data, converted to images or labels.

use std::path::PathBuf;

use super::error::CustomFileError;
use crate::dataset::Pixels;

/// The array in a file.
#[derive(Debug)]
pub(super) struct Array {
    /// The file.
    pub(super) path: PathBuf,
    /// The dimensions, outermost first; at least one, and all counts are below 2³².
    pub(super) shape: Vec<usize>,
    /// The entries in order; the last dimension varies fastest.
    pub(super) entries: Entries,
}

/// Numbers of one type.
#[derive(Debug)]
pub(super) enum Entries {
    /// The whole file, and the offset of the first entry in it.
    Bytes(Vec<u8>, usize),
    /// Whole numbers of another type.
    Integers(Vec<i64>),
    /// Floating-point numbers. Double precision is rounded to single precision, because networks train in it.
    Reals(Vec<f32>),
}

impl Array {
    /// The entries as pixels of images.
    pub(super) fn into_pixels(self) -> Result<Pixels, CustomFileError> {
        match self.entries {
            Entries::Bytes(bytes, start) => Ok(Pixels::Bytes(bytes, start)),
            Entries::Integers(_) => Err(CustomFileError::NoPixels { path: self.path }),
            Entries::Reals(reals) => match reals.iter().position(|real| !real.is_finite()) {
                Some(index) => Err(CustomFileError::NotFinite { path: self.path, index, value: reals[index] }),
                None => Ok(Pixels::Reals(reals)),
            },
        }
    }

    /// The entries as labels, each from 0 to 255.
    pub(super) fn into_labels(self) -> Result<Vec<u8>, CustomFileError> {
        match self.entries {
            Entries::Bytes(bytes, start) => Ok(bytes[start..].to_vec()),
            Entries::Integers(labels) => {
                let narrow = |(index, &label): (usize, &i64)| {
                    u8::try_from(label).map_err(|_| CustomFileError::Label { path: self.path.clone(), index, label })
                };
                labels.iter().enumerate().map(narrow).collect()
            }
            Entries::Reals(_) => Err(CustomFileError::NoLabels { path: self.path }),
        }
    }
}
