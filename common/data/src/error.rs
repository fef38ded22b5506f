//! What may be wrong with the files of a dataset.

use std::io;
use std::path::PathBuf;

use super::custom::error::CustomFileError;
use super::places::list;
use crate::custom::digest::CustomDataError;
use crate::downloadable::Mismatch;

/// Why a dataset cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A file is in none of the places where it could be.
    #[error(
        "dataset `{dataset}` lacks `{file}` (plain or with .gz); looked in {}; \
         fetch it with `biosweep data fetch {dataset}`, put its files into one of these, or name their directory with --data-dir or in BIOSWEEP_DATA",
        list(places)
    )]
    Missing {
        /// The dataset's name.
        dataset: &'static str,
        /// The file's name.
        file: &'static str,
        /// Every directory looked in, in order.
        places: Vec<PathBuf>,
    },
    /// A file is there and cannot be read.
    #[error("cannot read `{}`: {source}; check that it is whole and may be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file does not begin as an idx file of bytes does.
    #[error("`{}` is not an idx file of bytes: it begins with {found:02x?}; fetch it again", path.display())]
    NotIdx {
        /// The file.
        path: PathBuf,
        /// Its first bytes, uncompressed, at most four.
        found: Vec<u8>,
    },
    /// A file's header announces other counts than it should.
    #[error("`{}` holds {found:?} entries in place of {expected:?}; fetch it again", path.display())]
    Counts {
        /// The file.
        path: PathBuf,
        /// What the dataset has, outermost dimension first.
        expected: Vec<u32>,
        /// What the header says.
        found: Vec<u32>,
    },
    /// A file is shorter or longer than its header says.
    #[error(
        "`{}` is {found} bytes long (uncompressed) in place of the {expected} its header announces; fetch it again",
        path.display()
    )]
    Length {
        /// The file.
        path: PathBuf,
        /// The length that follows from the header, in bytes, header included.
        expected: u64,
        /// The length found, uncompressed.
        found: u64,
    },
    /// A file is not as many records as it should be.
    #[error(
        "`{}` is {found} bytes long (uncompressed) in place of {records} records of {record} bytes; fetch it again",
        path.display()
    )]
    Records {
        /// The file.
        path: PathBuf,
        /// How many there should be.
        records: usize,
        /// Bytes of each.
        record: usize,
        /// The length found, uncompressed.
        found: u64,
    },
    /// A label names no class.
    #[error("`{}` has label {label} of image {index} (counted from 0), where labels go from 0 to {}; fix the file",
        path.display(), classes - 1)]
    Label {
        /// The file.
        path: PathBuf,
        /// Which image has it.
        index: usize,
        /// The label.
        label: u64,
        /// How many classes there are.
        classes: u64,
    },
    /// Custom data that is not there.
    #[error(transparent)]
    Absent(#[from] CustomDataError),
    /// Custom data that is no dataset.
    #[error(transparent)]
    Own(#[from] CustomFileError),
    /// A file is well formed and yet not the one the results of others rest on.
    #[error("`{}` is not the genuine file: {mismatch}; fetch it again", path.display())]
    Digest {
        /// The file.
        path: PathBuf,
        /// What tells it from the genuine one.
        mismatch: Box<Mismatch>,
    },
}
