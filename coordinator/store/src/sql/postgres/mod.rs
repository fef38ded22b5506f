//! The store in PostgreSQL: a schema in a database, with one coordinator at a time.

use std::str::FromStr as _;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use biosweep_host::limits;
use biosweep_host::name::host_name;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _, Pool, Postgres as Db, Transaction};

use super::{cannot_open, check_version, migrator, shared_modules};
use crate::StoreError;

shared_modules!();

#[cfg(test)]
mod tests;

/// All migrations, in order. A database with an old version is migrated when it is opened.
pub(super) static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    migrator(&[
        (1, "store", include_str!("../../../migrations/postgres/0001_store.sql")),
        (2, "datasets", include_str!("../../../migrations/postgres/0002_datasets.sql")),
        (3, "notes", include_str!("../../../migrations/postgres/0003_notes.sql")),
        (4, "access", include_str!("../../../migrations/postgres/0004_access.sql")),
    ])
});

/// Asks for the name and the version of the database.
const ENGINE: &str = "SELECT 'PostgreSQL ' || current_setting('server_version')";
/// The schema with the tables.
const SCHEMA: &str = "biosweep";
/// The number of the advisory lock that a coordinator holds; no other program has a reason to use it.
const LOCK: i64 = 0x0062_696f_7377_6565;
const READERS: u32 = 4;
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

const CHECK_ADDRESS: &str = "check the address given with --store, and that the database is running";
const STOP_THE_OTHER: &str = "stop that coordinator, or use another database with --store";
const STILL_HELD: &str = "the server has not noticed yet that its connection was lost";
const UPDATE: &str = "use the biosweep that wrote it or a newer one, or use another database with --store";

/// Opens connections for writing.
#[derive(Debug)]
struct Connector {
    options: PgConnectOptions,
    /// Whether the store is open for reading only.
    only_reads: bool,
    /// The server process of the last connection that held the store.
    backend: AtomicI32,
}

impl Connector {
    /// A connection that holds the store. The lock ends with the connection, so after a reconnection another
    /// coordinator may hold the store.
    async fn connect(&self, place: &str) -> Result<Connection, StoreError> {
        let mut connection = self.options.connect().await.map_err(|error| failed(place, error))?;
        let asked = sqlx::query_as("SELECT pg_try_advisory_lock($1), pg_backend_pid()").bind(LOCK);
        let (held, backend) = asked.fetch_one(&mut connection).await.map_err(|error| failed(place, error))?;
        if held {
            self.backend.store(backend, Ordering::Relaxed);
            return Ok(connection);
        }
        // The name of the holder is only a help; the lock itself decides.
        let holder = holder(&mut connection).await.unwrap_or_default();
        if holder.as_ref().is_some_and(|holder| holder.backend == self.backend.load(Ordering::Relaxed)) {
            return Err(StoreError::Unavailable { place: place.to_owned(), source: STILL_HELD.into() });
        }
        let holder = holder.map_or_else(|| "another biosweep".to_owned(), |holder| holder.name);
        Err(StoreError::Locked { place: place.to_owned(), holder, next_step: STOP_THE_OTHER })
    }

    /// Closes a connection and releases the store. The server may notice the end of a connection late, and until then
    /// the next one, which may be ours, would find the store held.
    async fn release(&self, mut connection: Connection) -> Result<(), sqlx::Error> {
        sqlx::query("SELECT pg_advisory_unlock($1)").bind(LOCK).execute(&mut connection).await?;
        connection.close().await
    }

    const fn is_only_read(&self) -> bool {
        self.only_reads
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

    /// Another coordinator held the store between two of our connections.
    fn taken(&self, place: &str) -> StoreError {
        let holder = "another coordinator, which has written to it since".to_owned();
        StoreError::Locked { place: place.to_owned(), holder, next_step: STOP_THE_OTHER }
    }
}

/// Opens the store at an address such as `postgres://user@host/database`, and creates its tables if they are missing.
///
/// # Errors
/// A database that cannot be reached; another coordinator that holds the store; tables of a newer version.
pub async fn open(url: &str) -> Result<Sql, StoreError> {
    let (options, place) = options(url)?;
    let refused = |error: &sqlx::Error| cannot_open(&place, error.to_string(), CHECK_ADDRESS);
    let connector = Connector { options: options.clone(), only_reads: false, backend: AtomicI32::default() };
    let mut writer = connector.connect(&place).await.map_err(|error| match error {
        StoreError::Failed { source, .. } | StoreError::Unavailable { source, .. } => {
            cannot_open(&place, source.to_string(), CHECK_ADDRESS)
        }
        other => other,
    })?;
    let schema = sqlx::query("CREATE SCHEMA IF NOT EXISTS biosweep");
    schema.execute(&mut writer).await.map_err(|error| refused(&error))?;
    MIGRATIONS.run(&mut writer).await.map_err(|error| not_a_known_version(&place, &error))?;
    let readers = readers(options, &place).await?;
    Sql::new(connector, writer, readers, place).await
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
    Ok(Sql::to_read(Connector { options, only_reads: true, backend: AtomicI32::default() }, readers, place))
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
    let name = format!("biosweep {}/{}", host(), std::process::id());
    let options = given.application_name(&name).options([
        ("search_path", SCHEMA),
        ("synchronous_commit", "on"),
        // A coordinator on a machine that was lost must not hold the store for hours.
        ("tcp_keepalives_idle", "5"),
        ("tcp_keepalives_interval", "5"),
        ("tcp_keepalives_count", "3"),
        ("tcp_user_timeout", "20000"),
    ]);
    Ok((options, place))
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

fn host() -> String {
    host_name().unwrap_or_else(|| "?".to_owned())
}

/// The holder of the store.
struct Holder {
    /// The server process of its connection.
    backend: i32,
    /// Its application name and address.
    name: String,
}

async fn holder(connection: &mut Connection) -> Result<Option<Holder>, sqlx::Error> {
    let found: Option<(i32, String, Option<String>)> = sqlx::query_as(
        "SELECT pid, application_name, host(client_addr) FROM pg_stat_activity JOIN pg_locks USING (pid) \
         WHERE locktype = 'advisory' AND granted AND (classid::bigint << 32 | objid::bigint) = $1 \
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    )
    .bind(LOCK)
    .fetch_optional(connection)
    .await?;
    Ok(found.map(|(backend, name, address)| match address {
        Some(address) => Holder { backend, name: format!("{name} at {address}") },
        None => Holder { backend, name },
    }))
}

fn not_a_known_version(place: &str, error: &MigrateError) -> StoreError {
    match error {
        MigrateError::VersionMissing(_) | MigrateError::VersionMismatch(_) => {
            cannot_open(place, "it was written by another version of biosweep".to_owned(), UPDATE)
        }
        error => cannot_open(place, error.to_string(), CHECK_ADDRESS),
    }
}

/// Whether the operation may succeed later: connections (08), serialization (40), resources such as the disk (53),
/// operator intervention (57), system errors (58).
fn is_passing(code: &str) -> bool {
    ["08", "40", "53", "57", "58"].iter().any(|class| code.starts_with(class))
}
