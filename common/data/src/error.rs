//! Errors in the files of a dataset.

use std::io;
use std::path::PathBuf;

use super::custom::error::CustomFileError;
use crate::custom::digest::CustomDataError;
use crate::downloadable::Mismatch;

/// Why a dataset cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A file was not found.
    #[error(
        "dataset `{dataset}` lacks `{file}` (plain or with .gz); looked in {}; \
         download it with `biosweep data fetch {dataset}`, put its files into one of these directories, or name their directory with --data-dir or in BIOSWEEP_DATA",
        list(places)
    )]
    Missing {
        /// The dataset's name.
        dataset: &'static str,
        /// The file's name.
        file: &'static str,
        /// The directories searched, in order.
        places: Vec<PathBuf>,
    },
    /// A file cannot be read.
    #[error("cannot read `{}`: {source}; check that it is complete and readable", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// A file does not have the header of an idx file of bytes.
    #[error("`{}` is not an idx file of bytes: it begins with {found:02x?}; download it again", path.display())]
    NotIdx {
        /// The file.
        path: PathBuf,
        /// Its first bytes, uncompressed, at most four.
        found: Vec<u8>,
    },
    /// The counts in a file's header are wrong.
    #[error("`{}` holds {found:?} entries in place of {expected:?}; download it again", path.display())]
    Counts {
        /// The file.
        path: PathBuf,
        /// The counts of the dataset, outermost dimension first.
        expected: Vec<u32>,
        /// The counts in the header.
        found: Vec<u32>,
    },
    /// A file is shorter or longer than its header says.
    #[error(
        "`{}` is {found} bytes long (uncompressed) in place of the {expected} that its header announces; download it again",
        path.display()
    )]
    Length {
        /// The file.
        path: PathBuf,
        /// The length in bytes according to the header, header included.
        expected: u64,
        /// The length found, in bytes, uncompressed.
        found: u64,
    },
    /// A file has the wrong number of records.
    #[error(
        "`{}` is {found} bytes long (uncompressed) in place of {records} records of {record} bytes; download it again",
        path.display()
    )]
    Records {
        /// The file.
        path: PathBuf,
        /// The expected number of records.
        records: usize,
        /// The length of a record in bytes.
        record: usize,
        /// The length found, in bytes, uncompressed.
        found: u64,
    },
    /// A label is not a class.
    #[error("`{}` has label {label} of image {index} (counted from 0), but labels are 0 to {}; fix the file",
        path.display(), classes - 1)]
    Label {
        /// The file.
        path: PathBuf,
        /// The index of the image, from 0.
        index: usize,
        /// The label.
        label: u64,
        /// The number of classes.
        classes: u64,
    },
    /// Custom data that is not found.
    #[error(transparent)]
    Absent(#[from] CustomDataError),
    /// Custom data that is not a valid dataset.
    #[error(transparent)]
    Own(#[from] CustomFileError),
    /// A file does not have the known digest.
    #[error("`{}` is not the genuine file: {mismatch}; download it again", path.display())]
    Digest {
        /// The file.
        path: PathBuf,
        /// The known digest and the digest found.
        mismatch: Box<Mismatch>,
    },
}

/// The directories as text.
fn list(directories: &[PathBuf]) -> String {
    if directories.is_empty() {
        return "no directory, because none is given".to_owned();
    }
    let quoted: Vec<String> = directories.iter().map(|path| format!("`{}`", path.display())).collect();
    quoted.join(", ")
}
