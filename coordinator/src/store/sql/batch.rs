//! Rows gathered and written in few statements: a statement costs more on its way to SQLite than in it.

use std::borrow::Cow;

use sqlx::error::ErrorKind;
use sqlx::query_builder::Separated;
use sqlx::sqlite::Sqlite;
use sqlx::{QueryBuilder, SqliteConnection};

/// Rows a statement. Few sizes, so that each keeps its prepared statement; the greatest binds far fewer values than
/// SQLite's limit of 32,766.
const SIZES: [usize; 5] = [256, 64, 16, 4, 1];

/// Rows of `N` columns for one statement: `before`, the rows as `VALUES (…), (…)`, `after`.
pub(super) struct Rows<'a, const N: usize> {
    before: &'static str,
    after: &'static str,
    rows: Vec<[Datum<'a>; N]>,
}

/// One value of a row.
#[derive(Debug, Clone)]
pub(super) enum Datum<'a> {
    Null,
    Integer(i64),
    Real(f64),
    Text(&'a str),
    Bytes(Cow<'a, [u8]>),
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

    pub(super) fn push(&mut self, row: [Datum<'a>; N]) {
        self.rows.push(row);
    }

    /// Writes the rows in order. Each has to change one row of the table.
    pub(super) async fn write(&self, connection: &mut SqliteConnection) -> Result<(), BatchError> {
        let mut rest = self.rows.as_slice();
        while let Some(size) = SIZES.into_iter().find(|&size| size <= rest.len()) {
            let (chunk, behind) = rest.split_at(size);
            let written = self.write_chunk(connection, chunk).await;
            if size > 1 && matches!(written, Err(BatchError::Contradiction(_))) {
                // SQLite has undone the statement; one row at a time, the culprit can be named.
                for row in chunk.chunks(1) {
                    self.write_chunk(connection, row).await?;
                }
            }
            written?;
            rest = behind;
        }
        Ok(())
    }

    async fn write_chunk(&self, connection: &mut SqliteConnection, chunk: &[[Datum<'a>; N]]) -> Result<(), BatchError> {
        let mut builder = QueryBuilder::<Sqlite>::new(self.before);
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

impl Datum<'_> {
    fn bind(&self, values: &mut Separated<'_, Sqlite, &'static str>) {
        match self {
            Self::Null => values.push_bind(None::<i64>),
            Self::Integer(number) => values.push_bind(*number),
            Self::Real(number) => values.push_bind(*number),
            Self::Text(text) => values.push_bind(*text),
            Self::Bytes(bytes) => values.push_bind(bytes.as_ref()),
        };
    }
}
