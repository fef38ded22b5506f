//! Datasets of labelled images: one file each, and one line each in [`load`].
//!
//! | module | contents |
//! |---|---|
//! | [`dataset`] | a [`Dataset`] in memory: its split by fold, and its batches |
//! | [`places`] | the directories that are searched for files |
//! | [`error`] | the errors in files |
//! | `mnist` | MNIST and datasets in its format, from four files |
//! | `cifar_10` | CIFAR-10, from six binary files |
//! | [`custom`] | custom data, from your own files |
//! | [`summary`] | the summary of a dataset that is printed before training |
//! | `synthetic_digits` | digits drawn by strokes, which need no file |
//! | `glyphs` | the strokes of those digits |
//! | `file` | a file, gzipped or plain, and the check of its digest |
//! | [`downloadable`] | the files of downloadable datasets: names, digests, mirrors |
//! | `download` | downloads of those files |
//! | [`gzip`] | gzip files with several members or padding |
//! | `idx` | the file format of MNIST |

mod cifar_10;
pub mod custom;
pub mod dataset;
#[cfg(feature = "download")]
pub mod download;
pub mod downloadable;
pub mod error;
mod file;
mod glyphs;
pub mod gzip;
mod idx;
mod mnist;
pub mod places;
pub mod summary;
mod synthetic_digits;

use biosweep_common::dataset::DatasetRef;
use biosweep_common::vocabulary;

use crate::downloadable::Downloadable;

pub use dataset::{Dataset, Part, Split};
pub use error::DataError;
pub use places::Places;

/// Loads a dataset into memory and checks its files against their digests.
///
/// # Errors
/// A file that is not found, cannot be read or has the wrong digest.
pub fn load(dataset: &DatasetRef, places: &Places) -> Result<Dataset, DataError> {
    let dataset = match dataset {
        DatasetRef::Custom(own) => return custom::load(own),
        DatasetRef::Named(dataset) => *dataset,
    };
    match (dataset, Downloadable::of(dataset)) {
        (vocabulary::Dataset::Cifar10, Some(published)) => cifar_10::load(published, places),
        (_, Some(published)) => mnist::load(dataset, published, places),
        (_, None) => Ok(synthetic_digits::generate()),
    }
}
