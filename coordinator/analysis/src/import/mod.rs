//! Results read back from a file that `export` wrote: JSON Lines or Parquet.
//!
//! Each reader gives rows with the columns of an export; `result` makes results of them; `parts` joins those of several
//! files.

mod error;
mod jsonl;
mod parquet;
mod parts;
mod result;
#[cfg(test)]
mod tests;

use biosweep_common::results::views::ResultView;

use crate::export::rows::results_columns;
use result::Columns;

pub use error::ImportError;
pub use parts::{Conflict, Contradiction, Part, combined};

/// The first bytes of every Parquet file.
const PARQUET: &[u8] = b"PAR1";

/// The results in the bytes of a file, in the order of its rows. The format is found by the first bytes. The file must
/// have every column of an export of results and no other.
///
/// A file has only the class of a numeric environment. In the results, its processor is empty and no variable is set.
///
/// # Errors
/// The bytes are neither format, a column is missing or unknown, or a value is not one that a sweep can have. The error
/// names the column and the row, from 1.
pub fn results(file: Vec<u8>) -> Result<Vec<ResultView>, ImportError> {
    let columns = Columns::new(results_columns());
    if file.starts_with(PARQUET) { parquet::results(file, &columns) } else { jsonl::results(&file, &columns) }
}
