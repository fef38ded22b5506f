//! The operations of a store, for the database that compiles this module.

use std::time::Duration;

use async_trait::async_trait;
use biosweep_common::configuration::TrialKey;
use biosweep_common::results::views::{IncompleteCause, SweepView};
use biosweep_common::vocabulary::ids::{Attempt, StoreId, SweepId, TrajectoryIndex, TrialIndex, TrialRef};
use biosweep_scheduler::record::{
    AccessRows, AttemptRow, CurveRow, DatasetRow, OutcomeRow, Record, Restored, RestoredSweep, SourceRow, SweepRow,
    TrialResult,
};
use sqlx::pool::PoolConnection;
use sqlx::{Connection as _, Pool};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::{Connection, Connector, Db, ENGINE, access, archive, failed, import, read, restore, write};
use crate::archive::{
    ArchivedAttempt, ArchivedCurve, ArchivedLate, ArchivedLease, ArchivedSweep, ImportError, ImportedRows, References,
    RowsError,
};
use crate::{Examined, Store, StoreError, storable};

/// The time limit of one operation: far more than a large one takes.
const PATIENCE: Duration = Duration::from_secs(300);

/// A store in a database. Writes use one connection, which holds the store. Reads use others, which see all earlier
/// commits.
#[derive(Debug)]
pub struct Sql {
    writing: Mutex<Writing>,
    pub(super) readers: Pool<Db>,
    place: String,
    /// Opens connections for writing. Dropped last, because it may hold the lock of the store.
    pub(super) connector: Connector,
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
        if !self.connector.count(&mut transaction, last).await.map_err(unavailable)? {
            let found = self.connector.counted(&mut transaction).await.map_err(unavailable)?;
            let is_written = *uncertain && found == Some(last + 1);
            return if is_written { Ok(()) } else { Err(self.connector.taken(&self.place).await) };
        }
        write::records(&mut transaction, &self.place, records, ids).await?;
        *uncertain = true;
        transaction.commit().await.map_err(unavailable)?;
        Ok(())
    }

    /// Writes an imported sweep in one transaction. The inner error is that of the rows.
    async fn write_import(
        &self,
        connection: &mut Connection,
        last: i64,
        sweep: &ArchivedSweep,
        references: &References,
        rows: ImportedRows<'_>,
    ) -> Result<Result<(), RowsError>, StoreError> {
        let unavailable = |error| failed(&self.place, error);
        let mut transaction = self.connector.begin(connection).await.map_err(unavailable)?;
        if !self.connector.count(&mut transaction, last).await.map_err(unavailable)? {
            return Err(self.connector.taken(&self.place).await);
        }
        let written = import::sweep(&mut transaction, &self.place, sweep, references, rows).await?;
        if written.is_ok() {
            transaction.commit().await.map_err(unavailable)?;
        }
        Ok(written)
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
        self.try_to_meddle(statement).await.expect("a statement");
    }

    /// Tries to execute one.
    pub(super) async fn try_to_meddle(&self, statement: &'static str) -> Result<(), sqlx::Error> {
        let mut writing = self.writing.lock().await;
        let connection = writing.connection.as_mut().expect("no failure before");
        sqlx::query(statement).execute(connection).await.map(drop)
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

/// The result of an operation of the database, which may be gone without a sign. Whether the operation took place is unknown then.
async fn limited<T>(work: impl Future<Output = Result<T, StoreError>> + Send) -> Result<T, StoreError> {
    timeout(PATIENCE, work).await.unwrap_or(Err(StoreError::Silent { seconds: PATIENCE.as_secs() }))
}

/// Reads with a connection of the pool. One that does not answer in time is not used again.
macro_rules! read {
    ($store:ident, |$reader:ident| $query:expr) => {{
        let mut $reader = $store.reader().await?;
        match timeout(PATIENCE, async { $query.await }).await {
            Ok(read) => $store.sound(read),
            Err(_) => {
                drop($reader.detach());
                Err(StoreError::Silent { seconds: PATIENCE.as_secs() })
            }
        }
    }};
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
            None => limited(self.connector.connect(&self.place)).await?,
        };
        let (last, mut uncertain) = (writing.last, writing.uncertain);
        let mut ids = std::mem::take(&mut writing.ids);
        let work = limited(self.write(&mut connection, records, last, &mut uncertain, &mut ids));
        let written = self.connector.while_leading(&self.place, work).await;
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
        read!(self, |reader| restore::id(&mut reader, &self.place))
    }

    async fn restore(&self) -> Result<Restored, StoreError> {
        // All queries of a restoration are in one transaction, so they see the same state.
        read!(self, |reader| async {
            let mut transaction = reader.begin().await.map_err(|error| failed(&self.place, error))?;
            restore::restored(&mut transaction, &self.place).await
        })
    }

    async fn restore_sweep(&self, id: SweepId) -> Result<Option<RestoredSweep>, StoreError> {
        read!(self, |reader| async {
            let mut transaction = reader.begin().await.map_err(|error| failed(&self.place, error))?;
            restore::restored_sweep(&mut transaction, &self.place, id).await
        })
    }

    async fn failures(&self, id: SweepId) -> Result<Vec<(TrajectoryIndex, u32)>, StoreError> {
        read!(self, |reader| read::failures(&mut reader, &self.place, id))
    }

    async fn sweeps(&self) -> Result<Vec<SweepRow>, StoreError> {
        read!(self, |reader| read::sweeps(&mut reader, &self.place))
    }

    async fn summaries(&self) -> Result<Vec<SweepView>, StoreError> {
        read!(self, |reader| read::summaries(&mut reader, &self.place))
    }

    async fn is_deleted(&self, id: SweepId) -> Result<bool, StoreError> {
        read!(self, |reader| read::is_deleted(&mut reader, &self.place, id))
    }

    async fn taken_over_from(&self, id: SweepId) -> Result<u64, StoreError> {
        read!(self, |reader| read::taken_over_from(&mut reader, &self.place, id))
    }

    async fn sweep(&self, id: SweepId) -> Result<Option<SweepRow>, StoreError> {
        read!(self, |reader| read::sweep(&mut reader, &self.place, id))
    }

    async fn datasets(&self) -> Result<Vec<DatasetRow>, StoreError> {
        read!(self, |reader| read::datasets(&mut reader, &self.place))
    }

    async fn results(&self, id: SweepId, from: TrialIndex, limit: u32) -> Result<Vec<TrialResult>, StoreError> {
        read!(self, |reader| read::results(&mut reader, &self.place, id, from, limit))
    }

    async fn outcomes(&self, id: SweepId, from: TrialIndex, limit: u32) -> Result<Vec<OutcomeRow>, StoreError> {
        read!(self, |reader| read::outcomes(&mut reader, &self.place, id, from, limit))
    }

    async fn curves(&self, id: SweepId, from: u64, limit: u32) -> Result<Vec<CurveRow>, StoreError> {
        read!(self, |reader| read::curves(&mut reader, &self.place, id, from, limit))
    }

    async fn sources(&self, id: SweepId, from: u64, limit: u32) -> Result<Vec<SourceRow>, StoreError> {
        read!(self, |reader| read::sources(&mut reader, &self.place, id, from, limit))
    }

    async fn keyed(
        &self,
        least: TrialKey,
        greatest: TrialKey,
        limit: u32,
    ) -> Result<Vec<(TrialKey, TrialRef)>, StoreError> {
        read!(self, |reader| read::keyed(&mut reader, &self.place, (least, greatest), limit))
    }

    async fn incomplete_attempts(&self, id: SweepId, limit: u32) -> Result<Vec<AttemptRow>, StoreError> {
        read!(self, |reader| read::incomplete_attempts(&mut reader, &self.place, id, limit))
    }

    async fn incomplete_causes(&self, id: SweepId, limit: u32) -> Result<Vec<IncompleteCause>, StoreError> {
        read!(self, |reader| read::incomplete_causes(&mut reader, &self.place, id, limit))
    }

    async fn access(&self) -> Result<AccessRows, StoreError> {
        read!(self, |reader| access::rows(&mut reader, &self.place))
    }

    async fn archived(&self, id: SweepId) -> Result<Option<ArchivedSweep>, StoreError> {
        read!(self, |reader| async {
            let mut transaction = reader.begin().await.map_err(|error| failed(&self.place, error))?;
            archive::sweep(&mut transaction, &self.place, id).await
        })
    }

    async fn archived_leases(
        &self,
        id: SweepId,
        from: Attempt,
        limit: u32,
    ) -> Result<Vec<ArchivedLease<Attempt>>, StoreError> {
        read!(self, |reader| archive::leases(&mut reader, &self.place, id, from, limit))
    }

    async fn archived_attempts(
        &self,
        id: SweepId,
        from: u64,
        limit: u32,
    ) -> Result<Vec<(u64, ArchivedAttempt<Attempt>)>, StoreError> {
        read!(self, |reader| archive::attempts(&mut reader, &self.place, id, from, limit))
    }

    async fn archived_curves(
        &self,
        id: SweepId,
        from: u64,
        limit: u32,
    ) -> Result<Vec<ArchivedCurve<Attempt>>, StoreError> {
        read!(self, |reader| archive::curves(&mut reader, &self.place, id, from, limit))
    }

    async fn archived_late(
        &self,
        id: SweepId,
        from: u64,
        limit: u32,
    ) -> Result<Vec<(u64, ArchivedLate<Attempt>)>, StoreError> {
        read!(self, |reader| archive::late(&mut reader, &self.place, id, from, limit))
    }

    async fn import(
        &self,
        sweep: &ArchivedSweep,
        references: &References,
        rows: ImportedRows<'_>,
    ) -> Result<(), ImportError> {
        if self.connector.is_only_read() {
            let what = "it is open for reading only".to_owned();
            return Err(StoreError::Refused { place: self.place.clone(), what }.into());
        }
        let mut writing = self.writing.lock().await;
        let mut connection = match writing.connection.take() {
            Some(connection) => connection,
            None => limited(self.connector.connect(&self.place)).await?,
        };
        let work = self.write_import(&mut connection, writing.last, sweep, references, rows);
        let written = self.connector.while_leading(&self.place, work).await;
        if let Ok(Ok(())) = written {
            (writing.connection, writing.last) = (Some(connection), writing.last + 1);
        } else {
            let released = self.connector.release(connection).await;
            released.unwrap_or_else(|error| tracing::warn!(%error, "closing after a failed import"));
        }
        written?.map_err(ImportError::Rows)
    }

    fn epoch(&self) -> u64 {
        self.connector.epoch()
    }

    fn announce(&self, address: &str) {
        self.connector.announce(address);
    }

    async fn succeeded(&self) -> StoreError {
        self.connector.succeeded(&self.place).await
    }

    async fn close(&self) {
        self.readers.close().await;
        // The last connection to close moves all commits into the file.
        if let Some(connection) = self.writing.lock().await.connection.take() {
            let released = self.connector.release(connection).await;
            released.unwrap_or_else(|error| tracing::warn!(%error, "closing the store"));
        }
        let given_up = self.connector.give_up().await;
        given_up.unwrap_or_else(|error| tracing::warn!(%error, "others cannot take over at once"));
    }
}
