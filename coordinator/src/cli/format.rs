//! The output formats of answers.

use clap::ValueEnum;

use super::failure::Failure;

/// The output format of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TableFormat {
    /// For people.
    Human,
    /// For programs: JSON with stable field names.
    Json,
    /// Comma-separated values, for tables.
    Csv,
    /// Markdown, for tables.
    Markdown,
    /// LaTeX with booktabs, for tables.
    Latex,
}

/// The output format of an answer that is not a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// For people.
    Human,
    /// For programs.
    Json,
}

impl TableFormat {
    /// The format of an answer that is not a table.
    pub(super) fn plain(self) -> Result<Output, Failure> {
        match self {
            Self::Human => Ok(Output::Human),
            Self::Json => Ok(Output::Json),
            Self::Csv | Self::Markdown | Self::Latex => Err(Failure::bad_input(
                "--output csv, markdown and latex are for tables, such as that of `biosweep compare`; this command takes human or \
                 json",
            )),
        }
    }
}
