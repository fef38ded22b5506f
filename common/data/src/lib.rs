//! Datasets of labelled images: one file each, and one line each in [`load`].
//!
//! | module | contents |
//! |---|---|
//! | [`dataset`] | a [`Dataset`] in memory: its split by fold, and batches out of it |
//! | [`places`] | where files are looked for |
//! | [`error`] | what may be wrong with files |
//! | `mnist` | MNIST and the sets of its form, from their four files |
//! | `cifar_10` | CIFAR-10, from its six binary files |
//! | [`custom`] | a researcher's own files |
//! | [`summary`] | what is told of a dataset before anything trains |
//! | `synthetic_digits` | digits drawn by strokes, with no file at all |
//! | `glyphs` | the strokes of those digits |
//! | `file` | a file, gzipped or plain, and whether it is genuine |
//! | [`downloadable`] | the files of published datasets: names, digests, mirrors |
//! | `download` | downloads of those files |
//! | [`gzip`] | gzip files, padded or not |
//! | `idx` | the file format of MNIST and its kin |

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

/// Brings a dataset into memory, its files checked against their digests.
///
/// # Errors
/// A file that is in none of the places, that cannot be read, or that is not the one it should be.
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
