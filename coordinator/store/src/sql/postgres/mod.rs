//! The store in PostgreSQL: a schema in a database, with one coordinator at a time.

use std::str::FromStr as _;
use std::sync::LazyLock;
use std::time::Duration;

use biosweep_host::name::host_name;
use biosweep_host::resources::limits;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _, Pool, Postgres as Db, Transaction};
use tokio::time::timeout;

use self::leader::Leadership;
use super::{cannot_open, check_version, migrator, shared_modules};
use crate::StoreError;

shared_modules!();
mod leader;

#[cfg(test)]
mod tests;

/// All migrations, in order. A database with an old version is migrated when it is opened.
pub(super) static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    migrator(&[
        (1, "store", include_str!("../../../migrations/postgres/0001_store.sql")),
        (2, "datasets", include_str!("../../../migrations/postgres/0002_datasets.sql")),
        (3, "notes", include_str!("../../../migrations/postgres/0003_notes.sql")),
        (4, "access", include_str!("../../../migrations/postgres/0004_access.sql")),
        (5, "leader", include_str!("../../../migrations/postgres/0005_leader.sql")),
    ])
});

/// Asks for the name and the version of the database.
const ENGINE: &str = "SELECT 'PostgreSQL ' || current_setting('server_version')";
/// The schema with the tables.
const SCHEMA: &str = "biosweep";
/// The number of the advisory lock of coordinators that create the schema at the same time.
const LOCK: i64 = 0x0062_696f_7377_6565;
const READERS: u32 = 4;
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

const CHECK_ADDRESS: &str = "check the address given with --store, and that the database is running";
const STOP_THE_OTHER: &str =
    "stop that coordinator, wait for it with `biosweep serve --standby`, or use another database with --store";
const COUNT: &str = "WITH leads AS (SELECT FROM leader WHERE epoch = $2 FOR KEY SHARE) \
                     UPDATE commits SET last = last + 1 FROM leads WHERE last = $1";
/// The time limit for closing a connection.
const CLOSING: Duration = Duration::from_secs(1);
const UPDATE: &str = "use the biosweep that wrote it or a newer one, or use another database with --store";

/// Opens connections for writing.
#[derive(Debug)]
struct Connector {
    options: PgConnectOptions,
    /// `None` if the store is open for reading only.
    leadership: Option<Leadership>,
}

impl Connector {
    async fn connect(&self, place: &str) -> Result<Connection, StoreError> {
        self.options.connect().await.map_err(|error| failed(place, error))
    }

    /// Closes a connection. It may be lost without the server's knowledge.
    async fn release(&self, connection: Connection) -> Result<(), sqlx::Error> {
        timeout(CLOSING, connection.close()).await.unwrap_or(Ok(()))
    }

    /// Lets another coordinator take over at once.
    async fn give_up(&self) -> Result<(), sqlx::Error> {
        match &self.leadership {
            Some(leadership) => timeout(CLOSING, leadership.release()).await.unwrap_or(Ok(())),
            None => Ok(()),
        }
    }

    const fn is_only_read(&self) -> bool {
        self.leadership.is_none()
    }

    /// Whether the data read is that of the database: always.
    #[expect(
        clippy::unnecessary_wraps,
        clippy::unused_self,
        reason = "a SQLite file that is open for reading can change"
    )]
    const fn is_sound(&self, _place: &str) -> Result<(), StoreError> {
        Ok(())
    }

    async fn begin<'c>(&self, connection: &'c mut Connection) -> Result<Transaction<'c, Db>, sqlx::Error> {
        connection.begin().await
    }

    fn leadership(&self) -> &Leadership {
        self.leadership.as_ref().expect("a store that is open for writing")
    }

    /// Counts a transaction, and keeps the leadership until its end. `false` if the last one has another number, or if another
    /// coordinator leads.
    async fn count(&self, transaction: &mut Connection, last: i64) -> Result<bool, sqlx::Error> {
        let counted = sqlx::query(COUNT).bind(last).bind(self.leadership().epoch).execute(transaction).await?;
        Ok(counted.rows_affected() == 1)
    }

    /// The number of the last transaction; `None` if another coordinator leads.
    async fn counted(&self, transaction: &mut Connection) -> Result<Option<i64>, sqlx::Error> {
        let last = sqlx::query_scalar("SELECT last FROM commits, leader WHERE epoch = $1");
        last.bind(self.leadership().epoch).fetch_optional(transaction).await
    }

    /// The result of a transaction, which ends when this process may no longer lead.
    async fn while_leading<T>(
        &self,
        place: &str,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let leadership = self.leadership();
        leadership.check(place)?;
        let done = tokio::select! {
            biased;
            done = work => done?,
            error = leadership.ceased(place) => return Err(error),
        };
        leadership.confirmed(place).await?;
        Ok(done)
    }

    /// The number of this leader.
    fn epoch(&self) -> u64 {
        self.leadership.as_ref().map_or(0, |leadership| leadership.epoch.unsigned_abs())
    }

    /// Tells others how to reach this process.
    fn announce(&self, address: &str) {
        self.leadership().announce(address);
    }

    /// Waits until another coordinator leads.
    async fn succeeded(&self, place: &str) -> StoreError {
        self.leadership().succeeded(place).await
    }

    /// The error of a transaction that another coordinator made impossible.
    async fn taken(&self, place: &str) -> StoreError {
        self.succeeded(place).await
    }
}

/// Opens the store at an address such as `postgres://user@host/database`, and creates its tables if they are missing.
///
/// # Errors
/// A database that cannot be reached; another coordinator that holds the store; tables of a newer version.
pub async fn open(url: &str) -> Result<Sql, StoreError> {
    let (options, place) = options(url)?;
    let refused = |error: &sqlx::Error| cannot_open(&place, error.to_string(), CHECK_ADDRESS);
    let mut writer = writing(&options).connect().await.map_err(|error| refused(&error))?;
    let found = sqlx::query_scalar("SELECT to_regclass('biosweep.leader') IS NOT NULL").fetch_one(&mut writer).await;
    if !found.map_err(|error| refused(&error))? {
        create(&mut writer).await.map_err(|error| refused(&error))?;
        MIGRATIONS.run(&mut writer).await.map_err(|error| not_a_known_version(&place, &error))?;
    }
    let leadership = Leadership::take(options.clone(), &holder(), &place).await.map_err(|error| match error {
        StoreError::Failed { source, .. } | StoreError::Unavailable { source, .. } => {
            cannot_open(&place, source.to_string(), CHECK_ADDRESS)
        }
        other => other,
    })?;
    let connector = Connector { options: writing(&options), leadership: Some(leadership) };
    // A coordinator of another version may lead until now, so only the next leader migrates.
    MIGRATIONS.run(&mut writer).await.map_err(|error| not_a_known_version(&place, &error))?;
    let readers = readers(options, &place).await?;
    Sql::new(connector, writer, readers, place).await
}

/// Creates the schema. Coordinators that start at the same time wait for each other.
async fn create(connection: &mut Connection) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin().await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *transaction).await?;
    sqlx::query("CREATE SCHEMA IF NOT EXISTS biosweep").execute(&mut *transaction).await?;
    transaction.commit().await
}

/// Opens the store for reading: no lock is taken, and nothing changes.
///
/// # Errors
/// A database that cannot be reached; tables of another version.
pub async fn open_to_read(url: &str) -> Result<Sql, StoreError> {
    let (options, place) = options(url)?;
    let refused = |error: sqlx::Error| cannot_open(&place, error.to_string(), CHECK_ADDRESS);
    let readers = readers(options.clone(), &place).await?;
    let is_there = sqlx::query_scalar("SELECT to_regclass('biosweep._sqlx_migrations') IS NOT NULL");
    let last = match is_there.fetch_one(&readers).await.map_err(refused)? {
        true => {
            let last = sqlx::query_scalar("SELECT max(version) FROM biosweep._sqlx_migrations");
            last.fetch_one(&readers).await.map_err(refused)?
        }
        false => None,
    };
    check_version(&place, &MIGRATIONS, last, UPDATE)?;
    Ok(Sql::to_read(Connector { options, leadership: None }, readers, place))
}

/// The options of connections, and the address for messages. An error if the host is a name and no thread can be
/// started to resolve it.
fn options(url: &str) -> Result<(PgConnectOptions, String), StoreError> {
    let given = PgConnectOptions::from_str(url)
        .map_err(|error| cannot_open("given with --store", error.to_string(), CHECK_ADDRESS))?;
    let place = place(&given);
    if given.get_socket().is_none() {
        limits::can_look_up(given.get_host())
            .map_err(|error| cannot_open(&place, error.to_string(), "then try again"))?;
    }
    let options = given.application_name(&holder()).options([
        ("search_path", SCHEMA),
        ("synchronous_commit", "on"),
        // A table that exists already is no news.
        ("client_min_messages", "warning"),
        // A coordinator on a machine that was lost must not hold the store for hours.
        ("tcp_keepalives_idle", "5"),
        ("tcp_keepalives_interval", "5"),
        ("tcp_keepalives_count", "3"),
        ("tcp_user_timeout", "20000"),
    ]);
    Ok((options, place))
}

/// The options of connections for writing. A transaction whose coordinator is stopped or gone ends soon, because the next
/// coordinator waits for it.
fn writing(options: &PgConnectOptions) -> PgConnectOptions {
    options.clone().options([
        ("idle_in_transaction_session_timeout", "4000"),
        ("lock_timeout", "10000"),
        ("client_connection_check_interval", "1000"),
    ])
}

async fn readers(options: PgConnectOptions, place: &str) -> Result<Pool<Db>, StoreError> {
    PgPoolOptions::new()
        .max_connections(READERS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_with(options.options([("default_transaction_read_only", "on")]))
        .await
        .map_err(|error| cannot_open(place, error.to_string(), CHECK_ADDRESS))
}

/// The address without the password.
fn place(options: &PgConnectOptions) -> String {
    let database = options.get_database().unwrap_or_else(|| options.get_username());
    match options.get_socket() {
        Some(socket) => format!("postgres://{}/{database}", socket.display()),
        None => format!("postgres://{}:{}/{database}", options.get_host(), options.get_port()),
    }
}

/// The name of this process for the messages of others.
fn holder() -> String {
    format!("biosweep {}/{}", host_name().unwrap_or_else(|| "?".to_owned()), std::process::id())
}

fn not_a_known_version(place: &str, error: &MigrateError) -> StoreError {
    match error {
        MigrateError::VersionMissing(_) | MigrateError::VersionMismatch(_) => {
            cannot_open(place, "it was written by another version of biosweep".to_owned(), UPDATE)
        }
        error => cannot_open(place, error.to_string(), CHECK_ADDRESS),
    }
}

/// Whether the operation may succeed later: connections (08), transactions that took too long (25P03), serialization (40), resources such as the disk (53),
/// locks (55), operator intervention (57), system errors (58).
fn is_passing(code: &str) -> bool {
    ["08", "25P03", "40", "53", "55", "57", "58"].iter().any(|class| code.starts_with(class))
}
