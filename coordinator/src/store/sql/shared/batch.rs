//! Rows gathered and written in few statements: a statement costs more on its way to the database than in it.

use std::borrow::Cow;

use sqlx::{Arguments as _, QueryBuilder};
use sqlx::error::ErrorKind;
use sqlx::query_builder::Separated;

use super::{Connection, Db};

/// Rows a statement. Few sizes, so that each keeps its prepared statement, yet so many that few statements write any
/// number of rows; the greatest binds far fewer values than the limits of 32,766 (SQLite) and 65,535 (PostgreSQL).
const SIZES: [usize; 10] = [512, 256, 128, 64, 32, 16, 8, 4, 2, 1];

/// Bytes of memory that a value, and its place in the text, are given beforehand.
const BYTES_A_VALUE: usize = 16;
const BYTES_A_PLACEHOLDER: usize = 8;

/// Rows of `N` columns for one statement: `before`, the rows as `VALUES (…), (…)`, `after`.
pub(super) struct Rows<'a, const N: usize> {
    before: &'static str,
    after: &'static str,
    rows: Vec<[Datum<'a>; N]>,
}

/// One value of a row, or its absence, which has a type too.
#[derive(Debug, Clone)]
pub(super) enum Datum<'a> {
    Integer(Option<i64>),
    Real(Option<f64>),
    Text(Option<&'a str>),
    Bytes(Option<Cow<'a, [u8]>>),
}

/// Why rows could not be written.
pub(super) enum BatchError {
    /// A row that contradicts what is stored.
    Contradiction(String),
    /// Anything else.
    Failed(sqlx::Error),
}

impl<'a, const N: usize> Rows<'a, N> {
    pub(super) const fn new(before: &'static str, after: &'static str) -> Self {
        Self { before, after, rows: Vec::new() }
    }

    /// The rows so far; this begins anew.
    pub(super) fn take(&mut self) -> Self {
        Self { before: self.before, after: self.after, rows: std::mem::take(&mut self.rows) }
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn push(&mut self, row: [Datum<'a>; N]) {
        self.rows.push(row);
    }

    /// Writes the rows in order. Each has to change one row of the table.
    pub(super) async fn write(&self, connection: &mut Connection) -> Result<(), BatchError> {
        let mut rest = self.rows.as_slice();
        while let Some(size) = SIZES.into_iter().find(|&size| size <= rest.len()) {
            let (chunk, behind) = rest.split_at(size);
            let written = self.write_chunk(connection, chunk).await;
            if size > 1 && matches!(written, Err(BatchError::Contradiction(_))) {
                // Where the database has undone the statement only, the culprit can be named, one row at a time.
                for row in chunk.chunks(1) {
                    match self.write_chunk(connection, row).await {
                        Ok(()) => {}
                        culprit @ Err(BatchError::Contradiction(_)) => return culprit,
                        Err(BatchError::Failed(_)) => break,
                    }
                }
            }
            written?;
            rest = behind;
        }
        Ok(())
    }

    async fn write_chunk(&self, connection: &mut Connection, chunk: &[[Datum<'a>; N]]) -> Result<(), BatchError> {
        let values = chunk.len() * N;
        let mut arguments = <Db as sqlx::Database>::Arguments::default();
        arguments.reserve(values, values * BYTES_A_VALUE);
        let mut text = String::with_capacity(self.before.len() + values * BYTES_A_PLACEHOLDER + self.after.len());
        text.push_str(self.before);
        let mut builder = QueryBuilder::<Db>::with_arguments(text, arguments);
        builder.push_values(chunk, |mut values, row| row.iter().for_each(|datum| datum.bind(&mut values)));
        builder.push(self.after);
        let contradiction = |why: &str| {
            let row = chunk.first().map(|row| format!("{:?}", &row[..N.min(3)])).unwrap_or_default();
            BatchError::Contradiction(format!("row {row} of `{}…`: {why}", self.before))
        };
        match builder.build().execute(connection).await {
            Ok(done) if done.rows_affected() == chunk.len() as u64 => Ok(()),
            Ok(_) => Err(contradiction("there is nothing for it to change")),
            Err(sqlx::Error::Database(error)) if !matches!(error.kind(), ErrorKind::Other) => {
                Err(contradiction(&error.to_string()))
            }
            Err(error) => Err(BatchError::Failed(error)),
        }
    }
}

impl<'a> Datum<'a> {
    /// A number that is there.
    pub(super) const fn number(number: i64) -> Self {
        Self::Integer(Some(number))
    }

    /// A text that is there.
    pub(super) const fn text(text: &'a str) -> Self {
        Self::Text(Some(text))
    }

    /// Bytes that are there.
    pub(super) fn bytes(bytes: impl Into<Cow<'a, [u8]>>) -> Self {
        Self::Bytes(Some(bytes.into()))
    }

    fn bind(&self, values: &mut Separated<'_, Db, &'static str>) {
        match self {
            Self::Integer(number) => values.push_bind(*number),
            Self::Real(number) => values.push_bind(*number),
            Self::Text(text) => values.push_bind(*text),
            Self::Bytes(bytes) => values.push_bind(bytes.as_deref().map(<[u8]>::to_vec)),
        };
    }
}
