//! The store: sweeps, attempts, results and curves, which outlive the process.
//!
//! | module | contents |
//! |---|---|
//! | `storable` | the limits of all stores |
//! | [`archive`] | what an archive has of a sweep |
//! | [`Store`] | the operations |
//! | [`sql`] | SQLite and PostgreSQL |
//! | `memory` | a store for simulation and tests |
//! | `conformance` | the test suite for all stores |

pub mod archive;
#[cfg(any(test, feature = "testing"))]
pub mod memory;
pub mod sql;

#[cfg(test)]
mod conformance;
mod storable;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use biosweep_common::configuration::TrialKey;
use biosweep_common::results::views::{IncompleteCause, SweepView};
use biosweep_common::vocabulary::ids::{Attempt, StoreId, SweepId, TrajectoryIndex, TrialIndex, TrialRef};
use biosweep_host::clock::Clock;
use biosweep_scheduler::record::{
    AccessRows, AttemptRow, CurveRow, DatasetRow, OutcomeRow, Record, Restored, RestoredSweep, SourceRow, SweepRow,
    TrialResult,
};

use archive::{
    ArchivedAttempt, ArchivedCurve, ArchivedLate, ArchivedLease, ArchivedSweep, ImportError, ImportedRows, References,
};

/// Why an operation of the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store could not be opened.
    #[error("cannot open the store {place}: {why}; {next_step}")]
    Open {
        /// Its path or address.
        place: String,
        /// The reason.
        why: String,
        /// The suggested fix.
        next_step: &'static str,
    },
    /// Another process holds the store.
    #[error("the store {place} is in use by {holder}; {next_step}")]
    Locked {
        /// Its path.
        place: String,
        /// The holder, as far as it is known.
        holder: String,
        /// How the holder is reached, if it says so in the store.
        address: Option<String>,
        /// The suggested fix.
        next_step: &'static str,
    },
    /// The storage does not work now: a full disk, or a database that does not answer. It may work later.
    #[error("the store {place} cannot be used now: {source}")]
    Unavailable {
        /// Its path or address.
        place: String,
        /// The error of the database.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A transaction takes so long that others should not wait for it.
    #[error("the store has not answered for {seconds} s")]
    Silent {
        /// Duration in seconds.
        seconds: u64,
    },
    /// The store has an old version and must be migrated before it can be read, but it cannot be written.
    #[error(
        "the store {place} was written by an earlier version of biosweep and cannot be migrated: {why}; copy it \
         to a place where it can be written, and use the copy"
    )]
    Outdated {
        /// Its path or address.
        place: String,
        /// Why it cannot be written.
        why: String,
    },
    /// A read or write failed; nothing of the transaction was kept.
    #[error("the store {place} failed: {source}")]
    Failed {
        /// Its path or address.
        place: String,
        /// The error of the database.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A record contradicts the stored data, such as a second result of one trial; nothing of the transaction was kept.
    /// This is a bug in biosweep, so a retry does not help.
    #[error("the store {place} refused a record: {what}; this is a bug in biosweep, please report it")]
    Refused {
        /// Its path or address.
        place: String,
        /// The record and what it contradicts.
        what: String,
    },
    /// A stored row that this version cannot read.
    #[error("the store {place} has a row that cannot be read: {what}; it was written by another version or damaged")]
    Unreadable {
        /// Its path or address.
        place: String,
        /// The row and its fault.
        what: String,
    },
}

impl StoreError {
    /// Whether the same operation may succeed later.
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Silent { .. })
    }
}

/// Opens the store at an address such as `postgres://user@host/database` or, without one, the SQLite file in the home.
///
/// # Errors
/// The errors of [`sql::sqlite::open`] and [`sql::postgres::open`]; an address of another kind.
pub async fn open(home: &Path, url: Option<&str>) -> Result<Arc<dyn Store>, StoreError> {
    match url {
        None => Ok(Arc::new(sql::sqlite::open(home).await?)),
        Some(url) if is_url(url) => Ok(Arc::new(sql::postgres::open(url).await?)),
        Some(url) => Err(unknown(url)),
    }
}

/// The time to wait for another holder of the store.
pub const HOLDER_WAIT: Duration = Duration::from_secs(10);
/// The pause between two attempts in this time.
pub const HOLDER_PAUSE: Duration = Duration::from_millis(50);

/// Opens the store for reading. Nothing is locked or written, so the store may be read-only and another coordinator may
/// hold it. A store with an old version is migrated first.
///
/// # Errors
/// The errors of [`sql::sqlite::open_to_read`] and [`sql::postgres::open_to_read`]; an address of another kind.
pub async fn open_to_read(home: &Path, url: Option<&str>) -> Result<Arc<dyn Store>, StoreError> {
    let place = match open_as_it_is(home, url).await {
        Err(StoreError::Outdated { place, .. }) => place,
        opened => return opened,
    };
    match open(home, url).await {
        Ok(store) => store.close().await,
        // The holder has migrated the store, or will soon: it may just be creating it.
        Err(StoreError::Locked { .. }) => {
            let clock = Clock::start();
            while clock.seconds() < HOLDER_WAIT.as_secs_f64() {
                match open_as_it_is(home, url).await {
                    Err(StoreError::Outdated { .. }) => tokio::time::sleep(HOLDER_PAUSE).await,
                    opened => return opened,
                }
            }
        }
        // The other suggested fixes do not help a reader.
        Err(StoreError::Open { why, .. }) => return Err(StoreError::Outdated { place, why }),
        Err(error) => return Err(StoreError::Outdated { place, why: error.to_string() }),
    }
    open_as_it_is(home, url).await
}

async fn open_as_it_is(home: &Path, url: Option<&str>) -> Result<Arc<dyn Store>, StoreError> {
    match url {
        None => Ok(Arc::new(sql::sqlite::open_to_read(home).await?)),
        Some(url) if is_url(url) => Ok(Arc::new(sql::postgres::open_to_read(url).await?)),
        Some(url) => Err(unknown(url)),
    }
}

fn unknown(url: &str) -> StoreError {
    StoreError::Open {
        place: url.split("://").next().unwrap_or_default().to_owned(),
        why: "this kind of store is unknown".to_owned(),
        next_step: "write it as postgres://USER@HOST/DATABASE, or omit --store for a SQLite file in the home",
    }
}

/// A store that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examined {
    /// Its path, or its address without a password.
    pub place: String,
    /// The database and its version.
    pub engine: String,
}

/// Looks at a store without changing it, also not its version.
///
/// # Errors
/// A store that cannot be read; one with an old version ([`StoreError::Outdated`]).
pub async fn examine(home: &Path, url: Option<&str>) -> Result<Examined, StoreError> {
    match url {
        None => sql::sqlite::open_to_read(home).await?.examine().await,
        Some(url) if is_url(url) => sql::postgres::open_to_read(url).await?.examine().await,
        Some(url) => Err(unknown(url)),
    }
}

/// Whether a text is the address of a store.
pub fn is_url(text: &str) -> bool {
    text.starts_with("postgres://") || text.starts_with("postgresql://")
}

/// Whether a home has a store in a file.
pub fn is_in(home: &Path) -> bool {
    sql::sqlite::is_in(home)
}

/// Whether another process holds the store in the home's file, as far as can be known.
pub fn is_held(home: &Path) -> bool {
    sql::sqlite::is_held(home)
}

/// A durable store of a coordinator.
#[async_trait]
pub trait Store: Send + Sync {
    /// Writes all records in one transaction, in order: all of them or none. They are durable on return.
    ///
    /// After [`StoreError::Unavailable`] it is unknown whether the records were written: a connection may be lost after
    /// the database has committed and before it answers. The next call must have the same records; then they are in the
    /// store exactly once.
    ///
    /// # Errors
    /// A failure of the storage; a sweep or a lease that does not exist; a sweep, an attempt, an ending or a result
    /// that exists already.
    async fn commit(&self, records: &[Record]) -> Result<(), StoreError>;

    /// The id of this store; `None` for one that does not outlive its process.
    async fn id(&self) -> Result<Option<StoreId>, StoreError> {
        Ok(None)
    }

    /// The state that the scheduler needs to continue.
    async fn restore(&self) -> Result<Restored, StoreError>;

    /// The state that the scheduler needs to continue one sweep, whatever the sweep's state.
    async fn restore_sweep(&self, id: SweepId) -> Result<Option<RestoredSweep>, StoreError>;

    /// The trajectories of a sweep that failed finally, in order, each with its number of attempts.
    async fn failures(&self, id: SweepId) -> Result<Vec<(TrajectoryIndex, u32)>, StoreError>;

    /// Every sweep, oldest first.
    async fn sweeps(&self) -> Result<Vec<SweepRow>, StoreError>;

    /// Every sweep without its texts, oldest first, as shown to users when no trial is in training.
    async fn summaries(&self) -> Result<Vec<SweepView>, StoreError>;

    /// Whether a sweep with this id was deleted.
    async fn is_deleted(&self, id: SweepId) -> Result<bool, StoreError>;

    /// Number of trials of other sweeps whose results were reused from this one.
    async fn taken_over_from(&self, id: SweepId) -> Result<u64, StoreError>;

    /// One sweep.
    async fn sweep(&self, id: SweepId) -> Result<Option<SweepRow>, StoreError>;

    /// The custom data that workers have loaded, by digest.
    async fn datasets(&self) -> Result<Vec<DatasetRow>, StoreError>;

    /// Results with an index of at least `from`, in the order of trials, at most `limit`.
    async fn results(&self, id: SweepId, from: TrialIndex, limit: u32) -> Result<Vec<TrialResult>, StoreError>;

    /// The parts of [`Store::results`] that are counted and averaged. Reading them takes less time and memory.
    async fn outcomes(&self, id: SweepId, from: TrialIndex, limit: u32) -> Result<Vec<OutcomeRow>, StoreError>;

    /// Accepted curves with a trajectory index of at least `from`, in order, at most `limit`.
    async fn curves(&self, id: SweepId, from: u64, limit: u32) -> Result<Vec<CurveRow>, StoreError>;

    /// Trained trajectories of a sweep with an index of at least `from`, in order, at most `limit`. Other sweeps may
    /// reuse them.
    async fn sources(&self, id: SweepId, from: u64, limit: u32) -> Result<Vec<SourceRow>, StoreError>;

    /// The results with keys in this range, by key, trained ones first, at most `limit`. The operation reads all
    /// results.
    async fn keyed(
        &self,
        least: TrialKey,
        greatest: TrialKey,
        limit: u32,
    ) -> Result<Vec<(TrialKey, TrialRef)>, StoreError>;

    /// The incomplete attempts of a sweep, latest first, at most `limit`.
    async fn incomplete_attempts(&self, id: SweepId, limit: u32) -> Result<Vec<AttemptRow>, StoreError>;

    /// The causes of the incomplete attempts of a sweep: groups with the same outcome and the same cause, most frequent
    /// first and then the one with the latest attempt, at most `limit`. The operation reads all incomplete attempts.
    async fn incomplete_causes(&self, id: SweepId, limit: u32) -> Result<Vec<IncompleteCause>, StoreError>;

    /// The tokens, and the workers that enrolled with them.
    async fn access(&self) -> Result<AccessRows, StoreError>;

    /// One sweep with everything that its archive says of the sweep itself.
    async fn archived(&self, id: SweepId) -> Result<Option<ArchivedSweep>, StoreError>;

    /// The leases of a sweep under which attempts have ended, with fencing numbers of at least `from`, in order, at most `limit`.
    async fn archived_leases(
        &self,
        id: SweepId,
        from: Attempt,
        limit: u32,
    ) -> Result<Vec<ArchivedLease<Attempt>>, StoreError>;

    /// The ended attempts of a sweep with entries of at least `from`, in the order of their records, each with its entry, at most
    /// `limit`.
    async fn archived_attempts(
        &self,
        id: SweepId,
        from: u64,
        limit: u32,
    ) -> Result<Vec<(u64, ArchivedAttempt<Attempt>)>, StoreError>;

    /// Curves with a trajectory index of at least `from`, in order, at most `limit`, each with its origin.
    async fn archived_curves(
        &self,
        id: SweepId,
        from: u64,
        limit: u32,
    ) -> Result<Vec<ArchivedCurve<Attempt>>, StoreError>;

    /// The late reports of a sweep with entries of at least `from`, in the order of their records, each with its entry, at most
    /// `limit`.
    async fn archived_late(
        &self,
        id: SweepId,
        from: u64,
        limit: u32,
    ) -> Result<Vec<(u64, ArchivedLate<Attempt>)>, StoreError>;

    /// Writes a sweep that has ended, with all its rows, in one transaction: all of it or nothing. The sweep keeps its id. It may
    /// have been deleted from this store. Its leases get new fencing numbers. Only a store that no coordinator works with may
    /// import, because a coordinator knows the greatest fencing number.
    ///
    /// # Errors
    /// A failure of the storage; a sweep with this id that is not deleted; rows that cannot be read or contradict each other.
    async fn import(
        &self,
        sweep: &ArchivedSweep,
        references: &References,
        rows: ImportedRows<'_>,
    ) -> Result<(), ImportError>;

    /// The number of this coordinator among those that have led the store; 0 where only one can run at a time.
    fn epoch(&self) -> u64 {
        0
    }

    /// Tells other coordinators of this store how to reach this one.
    fn announce(&self, _address: &str) {}

    /// Waits until another coordinator has taken the store over. From then on every commit fails.
    async fn succeeded(&self) -> StoreError {
        std::future::pending().await
    }

    /// Closes all connections, so that a store in a file is completely in that file. No operation may follow.
    async fn close(&self) {}
}
