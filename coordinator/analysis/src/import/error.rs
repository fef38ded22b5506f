//! Why a file of results cannot be read.

/// Why a file of results cannot be read. Rows are counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// The file begins like Parquet, but it is damaged.
    #[error("the Parquet file cannot be read: {why}; export the sweep again")]
    Damaged {
        /// The error of the reader.
        why: String,
    },
    /// A row is not a JSON object.
    #[error("row {row} is not a JSON object: {why}; only files of --format jsonl and --format parquet can be read")]
    NotJson {
        /// The row.
        row: u64,
        /// The error of the parser.
        why: String,
    },
    /// A column of results is missing.
    #[error("row {row} has no column `{column}`; export the results again with this version")]
    Missing {
        /// The column.
        column: String,
        /// The first row without it.
        row: u64,
    },
    /// A column is not one of results. It may be a setting of a newer version, without which results mean something
    /// else.
    #[error("row {row} has a column `{column}` that results do not have; remove it, or read the file with its version")]
    Unknown {
        /// The column.
        column: String,
        /// The first row with it.
        row: u64,
    },
    /// A value is not one that the column can have.
    #[error("column `{column}`, row {row}: {found} is not {expected}; correct the value, or export the sweep again")]
    Value {
        /// The column.
        column: String,
        /// The row.
        row: u64,
        /// The value.
        found: String,
        /// The values that the column can have.
        expected: String,
    },
}
