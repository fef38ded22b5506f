//! Collects rows and writes them in few statements, because the round trip of a statement costs more than its
//! execution.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use sqlx::error::{BoxDynError, ErrorKind};
use sqlx::{Arguments as _, AssertSqlSafe, QueryBuilder};

use super::{Arguments, Connection, Db};

/// Numbers of rows in a statement. There are few sizes, so each has its prepared statement, but enough to write any number
/// of rows in few statements. The largest binds far fewer values than the limits of 32,766 (SQLite) and 65,535
/// (PostgreSQL).
const SIZES: [usize; 10] = [512, 256, 128, 64, 32, 16, 8, 4, 2, 1];

/// Maximum bytes of values in a statement with more than one row. Databases limit the size of a message (PostgreSQL to
/// 1 GB), and a message is in memory more than once.
pub(super) const STATEMENT_BYTES: usize = 16 << 20;

/// Bytes of memory allocated in advance for each value.
const BYTES_A_VALUE: usize = 16;

/// A statement for rows of `N` columns: `before`, the rows as `VALUES (…), (…)`, `after`.
pub(super) struct Statement<const N: usize> {
    before: &'static str,
    after: &'static str,
    /// The text for each size, created at first use.
    texts: [OnceLock<Arc<str>>; SIZES.len()],
}

/// Collected rows of `N` columns.
pub(super) struct Rows<'a, const N: usize> {
    statement: &'static Statement<N>,
    rows: Vec<[Datum<'a>; N]>,
    bytes: usize,
}

/// The rows of one statement, with its text.
struct Chunk<'r, 'a, const N: usize> {
    /// The index of its size.
    size: usize,
    rows: &'r [[Datum<'a>; N]],
    arguments: Result<Arguments, BoxDynError>,
}

/// One value of a row. A missing value has a type too.
#[derive(Debug, Clone)]
pub(super) enum Datum<'a> {
    Integer(Option<i64>),
    Real(Option<f64>),
    Text(Option<&'a str>),
    Bytes(Option<Cow<'a, [u8]>>),
}

/// Why rows could not be written.
pub(super) enum BatchError {
    /// A row contradicts the stored data.
    Contradiction(String),
    /// Any other error.
    Failed(sqlx::Error),
}

impl<const N: usize> Statement<N> {
    pub(super) const fn new(before: &'static str, after: &'static str) -> Self {
        Self { before, after, texts: [const { OnceLock::new() }; SIZES.len()] }
    }

    /// The text for the `size`th of the sizes.
    fn text(&self, size: usize) -> Arc<str> {
        let compose = || {
            let mut builder = QueryBuilder::<Db>::new(self.before);
            builder.push_values(0..SIZES[size], |mut values, _row| {
                for _column in 0..N {
                    values.push_bind(0_i64);
                }
            });
            builder.push(self.after);
            builder.sql().as_str().into()
        };
        Arc::clone(self.texts[size].get_or_init(compose))
    }
}

impl<'a, const N: usize> Rows<'a, N> {
    pub(super) const fn new(statement: &'static Statement<N>) -> Self {
        Self { statement, rows: Vec::new(), bytes: 0 }
    }

    /// Takes the collected rows and starts again.
    pub(super) fn take(&mut self) -> Self {
        std::mem::replace(self, Self::new(self.statement))
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The bytes of all values.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn push(&mut self, row: [Datum<'a>; N]) {
        self.bytes += bytes(&row);
        self.rows.push(row);
    }

    /// Writes the rows in order. Each must change one row of the table.
    pub(super) async fn write(&self, connection: &mut Connection) -> Result<(), BatchError> {
        let mut next = Chunk::first_of(&self.rows);
        while let Some((chunk, rest)) = next {
            let rows = chunk.rows;
            // While the database executes one statement, the next is prepared.
            let (written, following) =
                tokio::join!(biased; self.write_chunk(connection, chunk), async { Chunk::first_of(rest) });
            if rows.len() > 1 && matches!(written, Err(BatchError::Contradiction(_))) {
                // If the database has reverted only the statement, the wrong row is found by writing one row at a time.
                for (row, _) in rows.chunks(1).filter_map(Chunk::first_of) {
                    match self.write_chunk(connection, row).await {
                        Ok(()) => {}
                        culprit @ Err(BatchError::Contradiction(_)) => return culprit,
                        Err(BatchError::Failed(_)) => break,
                    }
                }
            }
            written?;
            next = following;
        }
        Ok(())
    }

    async fn write_chunk(&self, connection: &mut Connection, chunk: Chunk<'_, 'a, N>) -> Result<(), BatchError> {
        let Chunk { size, rows, arguments } = chunk;
        let arguments = arguments.map_err(|error| BatchError::Failed(sqlx::Error::Encode(error)))?;
        let contradiction = |why: &str| {
            let row = rows.first().map(|row| format!("{:?}", &row[..N.min(3)])).unwrap_or_default();
            BatchError::Contradiction(format!("row {row} of `{}…`: {why}", self.statement.before))
        };
        let text = AssertSqlSafe(self.statement.text(size));
        match sqlx::query_with(text, arguments).execute(connection).await {
            Ok(done) if done.rows_affected() == rows.len() as u64 => Ok(()),
            Ok(_) => Err(contradiction("it changes no row")),
            Err(sqlx::Error::Database(error)) if !matches!(error.kind(), ErrorKind::Other) => {
                Err(contradiction(&error.to_string()))
            }
            Err(error) => Err(BatchError::Failed(error)),
        }
    }
}

impl<'r, 'a, const N: usize> Chunk<'r, 'a, N> {
    /// The rows of the next statement, and the rest.
    fn first_of(rows: &'r [[Datum<'a>; N]]) -> Option<(Self, &'r [[Datum<'a>; N]])> {
        let mut left = STATEMENT_BYTES;
        let fits = |row: &&[Datum<'a>; N]| match left.checked_sub(bytes(*row)) {
            Some(rest) => {
                left = rest;
                true
            }
            None => false,
        };
        let fitting = rows.iter().take(SIZES[0]).take_while(fits).count().max(1);
        let size = SIZES.iter().position(|&size| size <= fitting.min(rows.len()))?;
        let (rows, rest) = rows.split_at(SIZES[size]);
        let values = rows.len() * N;
        let mut arguments = Arguments::default();
        arguments.reserve(values, values * BYTES_A_VALUE);
        let bound = rows.iter().flatten().try_for_each(|datum| datum.bind(&mut arguments));
        Some((Self { size, rows, arguments: bound.map(|()| arguments) }, rest))
    }
}

/// The bytes of a row's values.
fn bytes(row: &[Datum<'_>]) -> usize {
    row.iter().map(Datum::bytes_of).sum()
}

impl<'a> Datum<'a> {
    fn bytes_of(&self) -> usize {
        match self {
            Self::Integer(_) | Self::Real(_) => size_of::<u64>(),
            Self::Text(text) => text.map_or(0, str::len),
            Self::Bytes(bytes) => bytes.as_ref().map_or(0, |bytes| bytes.len()),
        }
    }

    /// A number that is not NULL.
    pub(super) const fn number(number: i64) -> Self {
        Self::Integer(Some(number))
    }

    /// A text that is not NULL.
    pub(super) const fn text(text: &'a str) -> Self {
        Self::Text(Some(text))
    }

    /// Bytes that are not NULL.
    pub(super) fn bytes(bytes: impl Into<Cow<'a, [u8]>>) -> Self {
        Self::Bytes(Some(bytes.into()))
    }

    fn bind(&self, arguments: &mut Arguments) -> Result<(), BoxDynError> {
        match self {
            Self::Integer(number) => arguments.add(*number),
            Self::Real(number) => arguments.add(*number),
            Self::Text(text) => arguments.add(*text),
            Self::Bytes(bytes) => arguments.add(bytes.as_deref().map(<[u8]>::to_vec)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static WIDE: Statement<1> = Statement::new("INSERT INTO wide (bytes) ", "");

    #[test]
    fn a_statement_has_limited_bytes_and_at_least_one_row() {
        let large = vec![0; STATEMENT_BYTES / 3];
        let too_large = vec![0; STATEMENT_BYTES + 1];
        let mut rows = Rows::new(&WIDE);
        for bytes in [&large, &large, &large, &large, &too_large, &large] {
            rows.push([Datum::bytes(bytes.as_slice())]);
        }
        (0..1_000).for_each(|number| rows.push([Datum::number(number)]));
        let (mut sizes, mut next) = (Vec::new(), Chunk::first_of(&rows.rows));
        while let Some((chunk, rest)) = next {
            sizes.push(chunk.rows.len());
            next = Chunk::first_of(rest);
        }
        assert_eq!(sizes[..4], [2, 2, 1, 512], "{sizes:?}");
        assert_eq!((sizes.iter().sum::<usize>(), rows.bytes()), (1_006, 5 * large.len() + too_large.len() + 8_000));
    }
}
