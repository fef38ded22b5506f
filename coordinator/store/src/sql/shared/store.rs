//! The operations of a store, for the database that compiles this module.

use async_trait::async_trait;
use biosweep_common::configuration::TrialKey;
use biosweep_common::results::views::{IncompleteCause, SweepView};
use biosweep_common::vocabulary::ids::{StoreId, SweepId, TrajectoryIndex, TrialIndex, TrialRef};
use biosweep_scheduler::record::{
    AccessRows, AttemptRow, CurveRow, DatasetRow, OutcomeRow, Record, Restored, RestoredSweep, SourceRow, SweepRow,
    TrialResult,
};
use sqlx::Pool;
use sqlx::pool::PoolConnection;
use tokio::sync::Mutex;

use super::{Connection, Connector, Db, ENGINE, access, failed, read, restore, write};
use crate::{Examined, Store, StoreError, storable};

/// A store in a database. Writes use one connection, which holds the store. Reads use others, which see all earlier
/// commits.
#[derive(Debug)]
pub struct Sql {
    writing: Mutex<Writing>,
    pub(super) readers: Pool<Db>,
    place: String,
    /// Opens connections for writing. Dropped last, because it may hold the lock of the store.
    connector: Connector,
}

/// The connection for writing.
#[derive(Debug)]
struct Writing {
    /// `None` after a failure: the next commit connects again.
    connection: Option<Connection>,
    /// The number of the last transaction that is known to be in the store.
    last: i64,
    /// Whether one more transaction may be in the store: the connection was lost before its end was known.
    uncertain: bool,
    /// Row ids that need not be queried again.
    ids: write::IdCache,
}

impl Sql {
    /// A store with the latest version, and the connection that holds it.
    pub(super) async fn new(
        connector: Connector,
        mut connection: Connection,
        readers: Pool<Db>,
        place: String,
    ) -> Result<Self, StoreError> {
        let last = last_commit(&mut connection).await.map_err(|error| failed(&place, error))?;
        let ids = write::IdCache::default();
        let writing = Mutex::new(Writing { connection: Some(connection), last, uncertain: false, ids });
        Ok(Self { writing, readers, place, connector })
    }

    /// A store with the latest version, open for reading.
    pub(super) fn to_read(connector: Connector, readers: Pool<Db>, place: String) -> Self {
        let ids = write::IdCache::default();
        let writing = Mutex::new(Writing { connection: None, last: 0, uncertain: false, ids });
        Self { writing, readers, place, connector }
    }

    /// Reads every sweep, and the version of the database.
    pub(crate) async fn examine(self) -> Result<Examined, StoreError> {
        // A row that cannot be read shows here.
        self.summaries().await?;
        let engine = sqlx::query_scalar(ENGINE).fetch_one(&self.readers).await;
        let engine = engine.map_err(|error| failed(&self.place, error))?;
        let place = self.place.clone();
        self.close().await;
        Ok(Examined { place, engine })
    }

    async fn write(
        &self,
        connection: &mut Connection,
        records: &[Record],
        last: i64,
        uncertain: &mut bool,
        ids: &mut write::IdCache,
    ) -> Result<(), StoreError> {
        let unavailable = |error| failed(&self.place, error);
        let mut transaction = self.connector.begin(connection).await.map_err(unavailable)?;
        let counted = sqlx::query("UPDATE commits SET last = $1 + 1 WHERE last = $1").bind(last);
        if counted.execute(&mut *transaction).await.map_err(unavailable)?.rows_affected() == 0 {
            let found = last_commit(&mut transaction).await.map_err(unavailable)?;
            return if *uncertain && found == last + 1 { Ok(()) } else { Err(self.connector.taken(&self.place)) };
        }
        write::records(&mut transaction, &self.place, records, ids).await?;
        *uncertain = true;
        transaction.commit().await.map_err(unavailable)?;
        Ok(())
    }

    async fn reader(&self) -> Result<PoolConnection<Db>, StoreError> {
        self.readers.acquire().await.map_err(|error| failed(&self.place, error))
    }

    /// The result of a read, if the store did not change meanwhile.
    fn sound<T>(&self, read: Result<T, StoreError>) -> Result<T, StoreError> {
        self.connector.is_sound(&self.place)?;
        read
    }
}

#[cfg(test)]
impl Sql {
    /// Executes a statement on the connection for writing, without the store's bookkeeping.
    pub(super) async fn meddle(&self, statement: &'static str) {
        let mut writing = self.writing.lock().await;
        let connection = writing.connection.as_mut().expect("no failure before");
        sqlx::query(statement).execute(connection).await.expect("a statement");
    }

    /// The number that a statement on that connection returns.
    pub(super) async fn number(&self, statement: &'static str) -> i64 {
        let mut writing = self.writing.lock().await;
        let connection = writing.connection.as_mut().expect("no failure before");
        sqlx::query_scalar(statement).fetch_one(connection).await.expect("a number")
    }

    /// Takes the connection for writing away, as if it were lost. For the database it exists until it is dropped.
    pub(super) async fn lose_the_connection(&self) -> Option<Connection> {
        self.writing.lock().await.connection.take()
    }

    /// Restores the state in which the result of the last commit is unknown.
    pub(super) async fn forget_the_last_answer(&self) {
        let mut writing = self.writing.lock().await;
        (writing.last, writing.uncertain) = (writing.last - 1, true);
    }
}

async fn last_commit(connection: &mut Connection) -> Result<i64, sqlx::Error> {
    let (last,) = sqlx::query_as("SELECT last FROM commits").fetch_one(connection).await?;
    Ok(last)
}

#[async_trait]
impl Store for Sql {
    async fn commit(&self, records: &[Record]) -> Result<(), StoreError> {
        let refused = |what| StoreError::Refused { place: self.place.clone(), what };
        records.iter().try_for_each(storable::check).map_err(refused)?;
        if self.connector.is_only_read() {
            return Err(refused("it is open for reading only".to_owned()));
        }
        let mut writing = self.writing.lock().await;
        let mut connection = match writing.connection.take() {
            Some(connection) => connection,
            None => self.connector.connect(&self.place).await?,
        };
        let (last, mut uncertain) = (writing.last, writing.uncertain);
        let mut ids = std::mem::take(&mut writing.ids);
        let written = self.write(&mut connection, records, last, &mut uncertain, &mut ids).await;
        match &written {
            Ok(()) => *writing = Writing { connection: Some(connection), last: last + 1, uncertain: false, ids },
            Err(_) => {
                writing.uncertain = uncertain;
                // A full disk ends SQLite's transaction without the driver's knowledge, and the driver then counts
                // transactions wrongly.
                let released = self.connector.release(connection).await;
                released.unwrap_or_else(|error| tracing::warn!(%error, "closing after a failed commit"));
            }
        }
        written
    }

    async fn id(&self) -> Result<Option<StoreId>, StoreError> {
        restore::id(&mut *self.reader().await?, &self.place).await
    }

    async fn restore(&self) -> Result<Restored, StoreError> {
        // All queries of a restoration are in one transaction, so they see the same state.
        let mut transaction = self.readers.begin().await.map_err(|error| failed(&self.place, error))?;
        self.sound(restore::restored(&mut transaction, &self.place).await)
    }

    async fn restore_sweep(&self, id: SweepId) -> Result<Option<RestoredSweep>, StoreError> {
        let mut transaction = self.readers.begin().await.map_err(|error| failed(&self.place, error))?;
        self.sound(restore::restored_sweep(&mut transaction, &self.place, id).await)
    }

    async fn failures(&self, id: SweepId) -> Result<Vec<(TrajectoryIndex, u32)>, StoreError> {
        self.sound(read::failures(&mut *self.reader().await?, &self.place, id).await)
    }

    async fn sweeps(&self) -> Result<Vec<SweepRow>, StoreError> {
        self.sound(read::sweeps(&mut *self.reader().await?, &self.place).await)
    }

    async fn summaries(&self) -> Result<Vec<SweepView>, StoreError> {
        self.sound(read::summaries(&mut *self.reader().await?, &self.place).await)
    }

    async fn is_deleted(&self, id: SweepId) -> Result<bool, StoreError> {
        self.sound(read::is_deleted(&mut *self.reader().await?, &self.place, id).await)
    }

    async fn taken_over_from(&self, id: SweepId) -> Result<u64, StoreError> {
        self.sound(read::taken_over_from(&mut *self.reader().await?, &self.place, id).await)
    }

    async fn sweep(&self, id: SweepId) -> Result<Option<SweepRow>, StoreError> {
        self.sound(read::sweep(&mut *self.reader().await?, &self.place, id).await)
    }

    async fn datasets(&self) -> Result<Vec<DatasetRow>, StoreError> {
        self.sound(read::datasets(&mut *self.reader().await?, &self.place).await)
    }

    async fn results(&self, id: SweepId, from: TrialIndex, limit: u32) -> Result<Vec<TrialResult>, StoreError> {
        self.sound(read::results(&mut *self.reader().await?, &self.place, id, from, limit).await)
    }

    async fn outcomes(&self, id: SweepId, from: TrialIndex, limit: u32) -> Result<Vec<OutcomeRow>, StoreError> {
        self.sound(read::outcomes(&mut *self.reader().await?, &self.place, id, from, limit).await)
    }

    async fn curves(&self, id: SweepId, from: u64, limit: u32) -> Result<Vec<CurveRow>, StoreError> {
        self.sound(read::curves(&mut *self.reader().await?, &self.place, id, from, limit).await)
    }

    async fn sources(&self, id: SweepId, from: u64, limit: u32) -> Result<Vec<SourceRow>, StoreError> {
        self.sound(read::sources(&mut *self.reader().await?, &self.place, id, from, limit).await)
    }

    async fn keyed(
        &self,
        least: TrialKey,
        greatest: TrialKey,
        limit: u32,
    ) -> Result<Vec<(TrialKey, TrialRef)>, StoreError> {
        self.sound(read::keyed(&mut *self.reader().await?, &self.place, (least, greatest), limit).await)
    }

    async fn incomplete_attempts(&self, id: SweepId, limit: u32) -> Result<Vec<AttemptRow>, StoreError> {
        self.sound(read::incomplete_attempts(&mut *self.reader().await?, &self.place, id, limit).await)
    }

    async fn incomplete_causes(&self, id: SweepId, limit: u32) -> Result<Vec<IncompleteCause>, StoreError> {
        self.sound(read::incomplete_causes(&mut *self.reader().await?, &self.place, id, limit).await)
    }

    async fn access(&self) -> Result<AccessRows, StoreError> {
        self.sound(access::rows(&mut *self.reader().await?, &self.place).await)
    }

    async fn close(&self) {
        self.readers.close().await;
        // The last connection to close moves all commits into the file.
        if let Some(connection) = self.writing.lock().await.connection.take() {
            let released = self.connector.release(connection).await;
            released.unwrap_or_else(|error| tracing::warn!(%error, "closing the store"));
        }
    }
}
