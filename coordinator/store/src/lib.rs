//! What outlives the process: sweeps, attempts, results, curves.
//!
//! | module | contents |
//! |---|---|
//! | `storable` | what no store can hold |
//! | [`Store`] | the verbs |
//! | [`sql`] | SQLite and PostgreSQL |
//! | `memory` | for simulation and tests |
//! | `conformance` | the suite all must pass |

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
use biosweep_common::ids::{StoreId, SweepId, TrajectoryIndex, TrialIndex, TrialRef};
use biosweep_common::views::SweepView;
use biosweep_host::clock::Clock;
use biosweep_scheduler::record::{
    AttemptRow, CurveRow, Record, Restored, RestoredSweep, SourceRow, SweepRow, TrialResult,
};

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store could not be opened.
    #[error("cannot open the store {place}: {why}; {next_step}")]
    Open {
        /// Its path or address.
        place: String,
        /// What is wrong with it.
        why: String,
        /// What to do about it.
        next_step: &'static str,
    },
    /// Another process has it open.
    #[error("the store {place} is in use by {holder}; {next_step}")]
    Locked {
        /// Its path.
        place: String,
        /// Who has it open, as far as that is known.
        holder: String,
        /// What to do about it.
        next_step: &'static str,
    },
    /// The storage cannot do it now: a full disk, a database that does not answer. It may later.
    #[error("the store {place} cannot be used at present: {source}")]
    Unavailable {
        /// Its path or address.
        place: String,
        /// What the database said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A transaction is on its way for so long that others had better not wait for it.
    #[error("the store has not answered for {seconds} s")]
    Silent {
        /// How long.
        seconds: u64,
    },
    /// Only a store of the latest form can be read without being written.
    #[error(
        "the store {place} was written by an earlier version of biosweep, and cannot be brought up to date: {why}; copy it \
         to where it can be written, and read the copy"
    )]
    Outdated {
        /// Its path or address.
        place: String,
        /// Why it stays as it is.
        why: String,
    },
    /// A read or a write failed; nothing of the transaction was kept.
    #[error("the store {place} failed: {source}")]
    Failed {
        /// Its path or address.
        place: String,
        /// What the database said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A record that contradicts what is stored, such as a second result of one trial; nothing of the transaction was
    /// kept. Our own broken invariant, never a matter for a retry.
    #[error("the store {place} refused a record: {what}; this is a defect of biosweep, please report it")]
    Refused {
        /// Its path or address.
        place: String,
        /// The record and what it contradicts.
        what: String,
    },
    /// A stored row that this version cannot read.
    #[error("the store {place} holds a row that cannot be read: {what}; it was written by another version or damaged")]
    Unreadable {
        /// Its path or address.
        place: String,
        /// The row and what is wrong with it.
        what: String,
    },
}

impl StoreError {
    /// Whether the same may go well later.
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Silent { .. })
    }
}

/// Opens the store at an address such as `postgres://user@host/database`, or, without one, the SQLite file in the home.
///
/// # Errors
/// As [`sql::sqlite::open`] and [`sql::postgres::open`]; an address of neither kind.
pub async fn open(home: &Path, url: Option<&str>) -> Result<Arc<dyn Store>, StoreError> {
    match url {
        None => Ok(Arc::new(sql::sqlite::open(home).await?)),
        Some(url) if is_url(url) => Ok(Arc::new(sql::postgres::open(url).await?)),
        Some(url) => Err(unknown(url)),
    }
}

/// How long somebody else may hold a store that is wanted here, until it is given up.
pub const HOLDER_WAIT: Duration = Duration::from_secs(10);
/// The pause between two looks at it meanwhile.
pub const HOLDER_PAUSE: Duration = Duration::from_millis(50);

/// Opens the same store to be read only: nothing is locked, and nothing is written, so that it may be one that cannot be
/// written, and another coordinator may have it meanwhile. One of an earlier form is brought up to date first.
///
/// # Errors
/// As [`sql::sqlite::open_to_read`] and [`sql::postgres::open_to_read`]; an address of neither kind.
pub async fn open_to_read(home: &Path, url: Option<&str>) -> Result<Arc<dyn Store>, StoreError> {
    let place = match open_as_it_is(home, url).await {
        Err(StoreError::Outdated { place, .. }) => place,
        opened => return opened,
    };
    match open(home, url).await {
        Ok(store) => store.close().await,
        // Whoever has it has brought it up to date, or is about to: it may have been made only now.
        Err(StoreError::Locked { .. }) => {
            let clock = Clock::start();
            while clock.seconds() < HOLDER_WAIT.as_secs_f64() {
                match open_as_it_is(home, url).await {
                    Err(StoreError::Outdated { .. }) => tokio::time::sleep(HOLDER_PAUSE).await,
                    opened => return opened,
                }
            }
        }
        // What else could be done about it is not what helps a reader.
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
        why: "it is no store that is known".to_owned(),
        next_step: "name one as postgres://USER@HOST/DATABASE, or leave out --store for a SQLite file in the home",
    }
}

/// Whether this is the address of a store.
pub fn is_url(text: &str) -> bool {
    text.starts_with("postgres://") || text.starts_with("postgresql://")
}

/// Whether a home has a store in a file.
pub fn is_in(home: &Path) -> bool {
    sql::sqlite::is_in(home)
}

/// Whether somebody holds the store in the home's file, as far as can be told.
pub fn is_held(home: &Path) -> bool {
    sql::sqlite::is_held(home)
}

/// Where a coordinator keeps what must not be lost.
#[async_trait]
pub trait Store: Send + Sync {
    /// Writes all records in one transaction, in order: all of them or none. Durable on return.
    ///
    /// After [`StoreError::Unavailable`] it is not known whether the records were written: a connection may break
    /// after the database has committed and before it could say so. The next call must bring the same records; they
    /// are then in the store once.
    ///
    /// # Errors
    /// Storage that fails; a sweep or a lease that is not there; a sweep, an attempt, an ending or a result that is
    /// there already.
    async fn commit(&self, records: &[Record]) -> Result<(), StoreError>;

    /// What tells this store from others; `None` of one that does not outlive its process.
    async fn id(&self) -> Result<Option<StoreId>, StoreError> {
        Ok(None)
    }

    /// What the scheduler needs to go on where it was left.
    async fn restore(&self) -> Result<Restored, StoreError>;

    /// What the scheduler needs to go on with one sweep, whatever its state.
    async fn restore_sweep(&self, id: SweepId) -> Result<Option<RestoredSweep>, StoreError>;

    /// The trajectories of a sweep that failed for good, in order, each with the attempts it had.
    async fn failures(&self, id: SweepId) -> Result<Vec<(TrajectoryIndex, u32)>, StoreError>;

    /// Every sweep, oldest first.
    async fn sweeps(&self) -> Result<Vec<SweepRow>, StoreError>;

    /// Every sweep without its texts, oldest first, as people see it while nothing of it is in training.
    async fn summaries(&self) -> Result<Vec<SweepView>, StoreError>;

    /// Whether there was a sweep of that id, which was deleted.
    async fn is_deleted(&self, id: SweepId) -> Result<bool, StoreError>;

    /// Trials of other sweeps whose results were taken over from this one.
    async fn taken_over_from(&self, id: SweepId) -> Result<u64, StoreError>;

    /// One sweep.
    async fn sweep(&self, id: SweepId) -> Result<Option<SweepRow>, StoreError>;

    /// Results with an index of at least `from`, in the order of trials, at most `limit`.
    async fn results(&self, id: SweepId, from: TrialIndex, limit: u32) -> Result<Vec<TrialResult>, StoreError>;

    /// Accepted curves with a trajectory index of at least `from`, in order, at most `limit`.
    async fn curves(&self, id: SweepId, from: u64, limit: u32) -> Result<Vec<CurveRow>, StoreError>;

    /// Trained trajectories of a sweep with an index of at least `from`, in order, at most `limit`: what others may take
    /// over.
    async fn sources(&self, id: SweepId, from: u64, limit: u32) -> Result<Vec<SourceRow>, StoreError>;

    /// The results with keys in this range, by key, those that were trained first, at most `limit`. It looks at every
    /// result there is.
    async fn keyed(
        &self,
        least: TrialKey,
        greatest: TrialKey,
        limit: u32,
    ) -> Result<Vec<(TrialKey, TrialRef)>, StoreError>;

    /// The attempts of a sweep that did not complete, latest first, at most `limit`: what went wrong.
    async fn incomplete_attempts(&self, id: SweepId, limit: u32) -> Result<Vec<AttemptRow>, StoreError>;

    /// Ends all connections, so that a store in a file is all in that file. Nothing may be asked afterwards.
    async fn close(&self) {}
}
