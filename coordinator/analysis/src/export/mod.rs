//! Results, curves and diagnostics as files: the columns and the formats.
//!
//! A new format of rows needs one new file with a `Sink`, one line in [`Format`] and one in `Format::sink`. TensorBoard's
//! event files and the runs of MLflow are no rows and stand apart: [`TensorBoard`], [`mlflow`].

pub(crate) mod column;
mod csv;
mod jsonl;
pub mod mlflow;
mod parquet;
pub(crate) mod rows;
mod runs;
mod tensorboard;
#[cfg(test)]
mod tests;

use std::io::{self, Write};

use biosweep_common::names;
use biosweep_common::results::views::{SpecView, SweepView};

use column::{Column, Sink};
pub use csv::cell;
pub use rows::{Curves, Diagnostics, Results};
pub use tensorboard::{EventFile, TensorBoard};

names! {
    /// The format of an export.
    Format("format") {
        /// Comma-separated values with a header (RFC 4180).
        Csv = "csv",
        /// One JSON object per line.
        Jsonl = "jsonl",
        /// Apache Parquet with typed columns, compressed with snappy.
        Parquet = "parquet",
    }
}

impl Format {
    /// Whether the bytes are text that a terminal can show.
    #[must_use]
    pub const fn is_text(self) -> bool {
        match self {
            Self::Csv | Self::Jsonl => true,
            Self::Parquet => false,
        }
    }

    fn sink<'a>(
        self,
        columns: Vec<Column>,
        provenance: &Provenance<'_>,
        out: impl Write + Send + 'a,
    ) -> io::Result<Box<dyn Sink + 'a>> {
        Ok(match self {
            Self::Csv => Box::new(csv::Csv::new(&columns, out)?),
            Self::Jsonl => Box::new(jsonl::Jsonl::new(columns, out)),
            Self::Parquet => Box::new(parquet::Parquet::new(columns, provenance, out)?),
        })
    }
}

/// The origin of the rows. Formats with metadata keep it in the file.
#[derive(Debug, Clone, Copy)]
pub struct Provenance<'a> {
    /// The sweep.
    pub sweep: &'a SweepView,
    /// The spec with its extensions; `None` if the file shall not have it.
    pub spec: Option<&'a SpecView>,
    /// The version of the program that writes the file.
    pub version: &'a str,
}
