//! The store in SQLite: one file in a home directory, one process at a time.
//!
//! | room | holds |
//! |---|---|
//! | [`mod@open`] | the home: its lock, its file, its form |
//! | [`mod@write`] | records → rows, in one transaction |
//! | [`batch`] | rows gathered and written in few statements |
//! | [`runs`] | the trajectories that are done, kept as merged runs |
//! | [`read`] | rows → records |
//! | [`curve`] | a learning curve as bytes |

mod batch;
mod bytes;
mod curve;
mod health;
mod open;
mod read;
mod runs;
mod write;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::path::Path;

use async_trait::async_trait;
use biosweep_common::ids::{SweepId, TrialIndex};
use sqlx::pool::PoolConnection;
use sqlx::sqlite::SqlitePool;
use sqlx::{Connection, Sqlite, SqliteConnection};

use super::record::{AttemptRow, CurveRow, Record, Restored, SweepRow, TrialResult};
use super::{Store, StoreError};

/// A store in SQLite. Writes go through one connection, reads through others, which see what was committed before
/// they began.
#[derive(Debug)]
pub(crate) struct Sql {
    writer: SqlitePool,
    readers: SqlitePool,
    place: String,
    /// Held for life; no other process opens the same home meanwhile. Dropped last.
    _lock: File,
}

/// Opens the store in the home directory `path`, making both where they are missing.
///
/// # Errors
/// Another process that has it open; a file that is damaged, no database, or written by a newer biosweep; a directory
/// that cannot be written to.
pub(crate) async fn open(path: &Path) -> Result<Sql, StoreError> {
    open::open(path).await
}

#[async_trait]
impl Store for Sql {
    async fn commit(&self, records: &[Record]) -> Result<(), StoreError> {
        let mut connection = self.writer.acquire().await.map_err(|error| self.failed(error))?;
        let written = self.write(&mut connection, records).await;
        if written.is_err() {
            // A full disk ends SQLite's transaction behind the driver's back, which then miscounts: begin afresh.
            connection.close().await.unwrap_or_else(|error| tracing::warn!(%error, "closing after a failed commit"));
        }
        written
    }

    async fn restore(&self) -> Result<Restored, StoreError> {
        // One transaction: all the queries of a restoration see the same moment.
        let mut transaction = self.readers.begin().await.map_err(|error| self.failed(error))?;
        read::restored(&mut transaction, &self.place).await
    }

    async fn sweeps(&self) -> Result<Vec<SweepRow>, StoreError> {
        read::sweeps(&mut *self.reader().await?, &self.place).await
    }

    async fn sweep(&self, id: SweepId) -> Result<Option<SweepRow>, StoreError> {
        read::sweep(&mut *self.reader().await?, &self.place, id).await
    }

    async fn results(&self, id: SweepId, from: TrialIndex, limit: u32) -> Result<Vec<TrialResult>, StoreError> {
        read::results(&mut *self.reader().await?, &self.place, id, from, limit).await
    }

    async fn curves(&self, id: SweepId, from: u64, limit: u32) -> Result<Vec<CurveRow>, StoreError> {
        read::curves(&mut *self.reader().await?, &self.place, id, from, limit).await
    }

    async fn setbacks(&self, id: SweepId, limit: u32) -> Result<Vec<AttemptRow>, StoreError> {
        read::setbacks(&mut *self.reader().await?, &self.place, id, limit).await
    }
}

impl Sql {
    async fn write(&self, connection: &mut SqliteConnection, records: &[Record]) -> Result<(), StoreError> {
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(|error| self.failed(error))?;
        write::records(&mut transaction, &self.place, records).await?;
        transaction.commit().await.map_err(|error| self.failed(error))
    }

    async fn reader(&self) -> Result<PoolConnection<Sqlite>, StoreError> {
        self.readers.acquire().await.map_err(|error| self.failed(error))
    }

    fn failed(&self, error: sqlx::Error) -> StoreError {
        failed(&self.place, error)
    }
}

fn failed(place: &str, error: sqlx::Error) -> StoreError {
    StoreError::Failed { place: place.to_owned(), source: Box::new(error) }
}
