//! Results read back from a file that `export` wrote: JSON Lines or Parquet.
//!
//! Each reader gives rows with the columns of an export; `result` makes results of them; `metadata` reads the spec; `parts`
//! joins the results of several files.

mod error;
mod jsonl;
mod metadata;
mod parquet;
mod parts;
mod result;
#[cfg(test)]
mod tests;

use biosweep_common::results::views::{ResultView, SpecView};

use crate::export::rows::results_columns;
use result::Columns;

pub use error::ImportError;
pub use parts::{Conflict, Contradiction, Part, combined};

/// The first bytes of every Parquet file.
const PARQUET: &[u8] = b"PAR1";

/// What a file has.
#[derive(Debug, Clone, PartialEq)]
pub struct File {
    /// The results, in the order of the rows.
    pub results: Vec<ResultView>,
    /// The spec of the sweep; `None` if the file has none, as in JSON Lines.
    pub spec: Option<SpecView>,
}

/// The results in the bytes of a file, with the spec that stands in its metadata. The format is found by the first bytes.
/// The file must have every column of an export of results and no other. It may lack settings that earlier versions did not have;
/// they then have their defaults.
///
/// A file has only the class of a numeric environment. In the results, its processor is empty and no variable is set.
///
/// # Errors
/// The bytes are neither format, a column is missing or unknown, or a value is not one that a sweep can have. The error
/// names the column and the row, from 1.
pub fn file(bytes: Vec<u8>) -> Result<File, ImportError> {
    let columns = Columns::new(results_columns());
    if bytes.starts_with(PARQUET) {
        return parquet::file(bytes, &columns);
    }
    Ok(File { results: jsonl::results(&bytes, &columns)?, spec: None })
}
