//! The leadership of a database: one coordinator at a time writes to it.
//!
//! A row has the number of the leader's epoch and the time until which it leads, by the clock of the database. The leader renews it
//! every second. Another coordinator takes it over when the time is over, and then has the next epoch. Each transaction of the leader
//! first locks the row under its epoch, so no transaction of a former leader is committed after the next one has begun.
//!
//! A leader that could not renew for three seconds does not know whether it still leads. It neither begins a transaction nor
//! relies on one that has ended, until a renewal tells.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use biosweep_host::clock::since_boot_ms;
use biosweep_host::process;
use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{Connection, STOP_THE_OTHER, failed};
use crate::StoreError;

/// How long a leader leads after the database has answered a renewal, as PostgreSQL writes it.
const TERM: &str = "5 s";
/// The time that the leader itself counts, from the start of a renewal. It is shorter, because the answer may take its time.
const TRUSTED_MS: u64 = 3_000;
/// The pause between two renewals, and their time limit.
const RENEW_EVERY: Duration = Duration::from_secs(1);
const RENEWAL: Duration = Duration::from_secs(2);
/// The pause between two looks at the clock.
const LOOK: Duration = Duration::from_millis(50);
/// PostgreSQL's code for a lock that was not free in time.
const LOCK_NOT_AVAILABLE: &str = "55P03";

const TAKE: &str = "UPDATE leader SET epoch = epoch + 1, holder = $1, process = $2, address = NULL, \
                    expires = clock_timestamp() + $3::interval WHERE expires < clock_timestamp() RETURNING epoch";
const TAKE_FROM: &str = "UPDATE leader SET epoch = epoch + 1, holder = $1, process = $2, address = NULL, \
                         expires = clock_timestamp() + $3::interval WHERE epoch = $4 RETURNING epoch";
const RENEW: &str = "UPDATE leader SET expires = clock_timestamp() + $1::interval, address = $2 WHERE epoch = $3";
const RELEASE: &str = "UPDATE leader SET expires = '-infinity' WHERE epoch = $1";
const WHO: &str = "SELECT epoch, holder, process, address FROM leader";

/// The leadership of this process. The renewals end with it; then it lasts for [`TERM`], unless it is released.
#[derive(Debug)]
pub(super) struct Leadership {
    /// The number of the epoch.
    pub(super) epoch: i64,
    state: Arc<State>,
    renewals: JoinHandle<()>,
    options: PgConnectOptions,
}

#[derive(Debug)]
struct State {
    /// The start of the last renewal that the database has answered, in milliseconds since the machine started.
    renewed: AtomicU64,
    /// How others reach this process.
    address: Mutex<Option<String>>,
    /// Who has taken the leadership over.
    successor: watch::Sender<Option<Leader>>,
}

/// A leader, as its row describes it.
#[derive(Debug, Clone)]
struct Leader {
    epoch: i64,
    holder: String,
    process: Option<String>,
    address: Option<String>,
}

impl Leader {
    async fn read(connection: &mut Connection) -> Result<Self, sqlx::Error> {
        let row: (i64, String, Option<String>, Option<String>) = sqlx::query_as(WHO).fetch_one(connection).await?;
        let (epoch, holder, process, address) = row;
        Ok(Self { epoch, holder, process, address })
    }

    fn error(self, place: &str) -> StoreError {
        let holder = if self.holder.is_empty() { "another biosweep".to_owned() } else { self.holder };
        StoreError::Locked { place: place.to_owned(), holder, address: self.address, next_step: STOP_THE_OTHER }
    }
}

impl Leadership {
    /// Takes the leadership, or says who has it. A leader on this machine whose process has ended is not waited for.
    pub(super) async fn take(options: PgConnectOptions, holder: &str, place: &str) -> Result<Self, StoreError> {
        let options = options.options([("lock_timeout", "1500"), ("statement_timeout", "4000")]);
        let unavailable = |error| failed(place, error);
        let mut connection = options.connect().await.map_err(unavailable)?;
        let own = process::own();
        let began = since_boot_ms();
        let taken = sqlx::query_scalar(TAKE).bind(holder).bind(&own).bind(TERM).fetch_optional(&mut connection).await;
        let mut epoch: Option<i64> = or_busy(taken).map_err(unavailable)?;
        if epoch.is_none() {
            let leader = Leader::read(&mut connection).await.map_err(unavailable)?;
            if !leader.process.as_deref().is_some_and(process::has_ended) {
                return Err(leader.error(place));
            }
            let taken = sqlx::query_scalar(TAKE_FROM).bind(holder).bind(&own).bind(TERM).bind(leader.epoch);
            epoch = or_busy(taken.fetch_optional(&mut connection).await).map_err(unavailable)?;
            if epoch.is_none() {
                return Err(leader.error(place));
            }
        }
        let epoch = epoch.expect("it was taken");
        let state = Arc::new(State {
            renewed: AtomicU64::new(began),
            address: Mutex::default(),
            successor: watch::Sender::new(None),
        });
        let renewals = tokio::spawn(keep(Arc::clone(&state), epoch, options.clone()));
        Ok(Self { epoch, state, renewals, options })
    }

    /// Tells others how to reach this process.
    pub(super) fn announce(&self, address: &str) {
        *self.state.address.lock().unwrap_or_else(PoisonError::into_inner) = Some(address.to_owned());
    }

    /// An error if another has taken over, or if this is not known.
    pub(super) fn check(&self, place: &str) -> Result<(), StoreError> {
        if let Some(successor) = &*self.state.successor.borrow() {
            return Err(successor.clone().error(place));
        }
        if self.is_known() {
            return Ok(());
        }
        let source = "the database has not renewed the leadership of this coordinator for 3 s".into();
        Err(StoreError::Unavailable { place: place.to_owned(), source })
    }

    fn is_known(&self) -> bool {
        since_boot_ms().saturating_sub(self.state.renewed.load(Ordering::Acquire)) < TRUSTED_MS
    }

    /// Waits until another has taken over, or until this is not known.
    pub(super) async fn ceased(&self, place: &str) -> StoreError {
        loop {
            if let Err(error) = self.check(place) {
                return error;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until it is known whether this process still leads; an error if it does not.
    pub(super) async fn confirmed(&self, place: &str) -> Result<(), StoreError> {
        loop {
            match self.check(place) {
                Err(StoreError::Unavailable { .. }) => tokio::time::sleep(LOOK).await,
                known => return known,
            }
        }
    }

    /// Waits until another has taken over.
    pub(super) async fn succeeded(&self, place: &str) -> StoreError {
        let mut successors = self.state.successor.subscribe();
        let successor = successors.wait_for(Option::is_some).await.ok().and_then(|successor| successor.clone());
        match successor {
            Some(successor) => successor.error(place),
            // This value keeps the sender.
            None => std::future::pending().await,
        }
    }

    /// Lets others take over at once.
    pub(super) async fn release(&self) -> Result<(), sqlx::Error> {
        self.renewals.abort();
        let mut connection = self.options.connect().await?;
        sqlx::query(RELEASE).bind(self.epoch).execute(&mut connection).await.map(drop)
    }
}

#[cfg(test)]
impl Leadership {
    /// Ends the renewals, as if this process was stopped.
    pub(super) fn stop_renewals(&self) {
        self.renewals.abort();
    }

    /// Begins to renew again.
    pub(super) fn resume_renewals(&self) {
        tokio::spawn(keep(Arc::clone(&self.state), self.epoch, self.options.clone()));
    }
}

impl Drop for Leadership {
    fn drop(&mut self) {
        self.renewals.abort();
    }
}

/// A lock that is not free belongs to the last transaction of the leader.
fn or_busy<T>(taken: Result<Option<T>, sqlx::Error>) -> Result<Option<T>, sqlx::Error> {
    match taken {
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(LOCK_NOT_AVAILABLE) => Ok(None),
        taken => taken,
    }
}

/// Renews the leadership until another has taken it over.
async fn keep(state: Arc<State>, epoch: i64, options: PgConnectOptions) {
    // A renewal that is lost in a crash of the database only lets the leadership end earlier.
    let options = options.options([("synchronous_commit", "off")]);
    let mut open = None;
    let mut due = tokio::time::interval(RENEW_EVERY);
    due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        due.tick().await;
        let began = since_boot_ms();
        match timeout(RENEWAL, renewed(&state, epoch, &options, &mut open)).await {
            Ok(Ok(None)) => state.renewed.store(began, Ordering::Release),
            Ok(Ok(Some(successor))) => {
                state.successor.send_replace(Some(successor));
                return;
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "the leadership was not renewed");
                open = None;
            }
            Err(_) => {
                tracing::warn!("the leadership was not renewed: the database does not answer");
                open = None;
            }
        }
    }
}

/// Renews once; returns who leads if it is another.
async fn renewed(
    state: &State,
    epoch: i64,
    options: &PgConnectOptions,
    open: &mut Option<Connection>,
) -> Result<Option<Leader>, sqlx::Error> {
    let connection = match open {
        Some(connection) => connection,
        None => open.insert(options.connect().await?),
    };
    let address = state.address.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let renewed = sqlx::query(RENEW).bind(TERM).bind(address).bind(epoch).execute(&mut *connection).await?;
    match renewed.rows_affected() {
        0 => Ok(Some(Leader::read(connection).await?)),
        _ => Ok(None),
    }
}
