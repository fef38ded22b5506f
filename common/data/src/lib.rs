//! Datasets of labelled images: one file each, and one line each in [`load`].
//!
//! | module | contents |
//! |---|---|
//! | [`dataset`] | a [`Dataset`] in memory: its split by fold, and its batches |
//! | [`places`] | the directories that are searched for files |
//! | [`error`] | the errors in files |
//! | [`formats`] | named datasets, one file each, and the formats of their files |
//! | [`custom`] | custom data, from your own files |
//! | [`summary`] | the summary of a dataset that is printed before training |
//! | `synthetic` | digits drawn by strokes, which need no file |
//! | `file` | a file, gzipped or plain, and the check of its digest |
//! | [`downloadable`] | the files of downloadable datasets: names, digests, mirrors |
//! | `download` | downloads of those files |

pub mod custom;
pub mod dataset;
#[cfg(feature = "download")]
pub mod download;
pub mod downloadable;
pub mod error;
mod file;
pub mod formats;
pub mod places;
pub mod summary;
mod synthetic;

use biosweep_common::vocabulary;
use biosweep_common::vocabulary::dataset::DatasetRef;

use crate::downloadable::Downloadable;
use crate::formats::{cifar_10, mnist};

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
        (_, None) => Ok(synthetic::generate()),
    }
}
