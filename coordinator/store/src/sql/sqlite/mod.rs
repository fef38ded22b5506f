//! The store in SQLite: one file in a home, with one process at a time.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use biosweep_host::private;
use biosweep_host::resources::limits;
use nix::fcntl::OFlag;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, Sqlite as Db, Transaction};

use super::{cannot_open, check_version, migrator, shared_modules};
use crate::StoreError;

shared_modules!();

#[cfg(test)]
mod tests;

/// All migrations, in order. A file with an old version is migrated when it is opened.
pub(super) static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    migrator(&[
        (1, "store", include_str!("../../../migrations/sqlite/0001_store.sql")),
        (2, "datasets", include_str!("../../../migrations/sqlite/0002_datasets.sql")),
        (3, "notes", include_str!("../../../migrations/sqlite/0003_notes.sql")),
        (4, "access", include_str!("../../../migrations/sqlite/0004_access.sql")),
    ])
});

const FILE: &str = "biosweep.sqlite";
/// Asks for the name and the version of the database.
const ENGINE: &str = "SELECT 'SQLite ' || sqlite_version()";
/// The write-ahead log: commits that are not in the file yet.
const LOG: &str = "biosweep.sqlite-wal";
const LOCK: &str = "biosweep.lock";
/// Maximum number of readers at the same time: a few users, and one streaming export.
const READERS: u32 = 4;
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

const USE_ANOTHER_HOME: &str =
    "check that the directory exists, is writable and has free space, or choose another with --home";
const STOP_THE_OTHER: &str = "stop that process, or choose another directory with --home";
const UPDATE: &str = "use the biosweep that wrote it or a newer one, or choose another directory with --home";
const ASK_AGAIN: &str = "run the command again";
const TRY_AGAIN: &str = "then try again";
const COPY_BOTH: &str = "copy both files to another folder, and give it with --home";
const PUT_BACK: &str = "restore a copy of the file, or move it away to start with an empty store";

/// Opens connections for writing.
#[derive(Debug)]
struct Connector {
    options: SqliteConnectOptions,
    hold: Hold,
}

/// How a process holds the store.
#[derive(Debug)]
enum Hold {
    /// For writing. The lock is held until the end; no other process opens the same home for writing.
    Locked { _lock: File },
    /// For reading, beside a writer.
    Shared,
    /// For reading where nothing can be written, not even the file shared by readers and writer. The store is read as
    /// it was when it was opened.
    Frozen { file: PathBuf, was: Stamp },
}

/// Shows whether a file was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    len: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    fn of(file: &Path) -> Self {
        let found = file.metadata().ok();
        Self {
            len: found.as_ref().map_or(0, fs::Metadata::len),
            modified: found.and_then(|found| found.modified().ok()),
        }
    }
}

impl Connector {
    async fn connect(&self, place: &str) -> Result<Connection, StoreError> {
        self.options.connect().await.map_err(|error| failed(place, error))
    }

    /// Closes a connection; the store stays held.
    async fn release(&self, connection: Connection) -> Result<(), sqlx::Error> {
        connection.close().await
    }

    /// Starts a transaction for writing at once, not at the first write.
    async fn begin<'c>(&self, connection: &'c mut Connection) -> Result<Transaction<'c, Db>, sqlx::Error> {
        connection.begin_with("BEGIN IMMEDIATE").await
    }

    const fn is_only_read(&self) -> bool {
        !matches!(self.hold, Hold::Locked { .. })
    }

    /// Whether the data read so far is that of the file.
    fn is_sound(&self, place: &str) -> Result<(), StoreError> {
        match &self.hold {
            Hold::Frozen { file, was } if Stamp::of(file) != *was => {
                Err(cannot_open(place, "it changed while it was read".to_owned(), ASK_AGAIN))
            }
            _ => Ok(()),
        }
    }

    /// The store stays held until the end of this value.
    async fn give_up(&self) -> Result<(), sqlx::Error> {
        Ok(())
    }

    /// Counts a transaction; `false` if the last one has another number.
    async fn count(&self, transaction: &mut Connection, last: i64) -> Result<bool, sqlx::Error> {
        let counted = sqlx::query("UPDATE commits SET last = $1 + 1 WHERE last = $1").bind(last);
        Ok(counted.execute(transaction).await?.rows_affected() == 1)
    }

    /// The number of the last transaction.
    async fn counted(&self, transaction: &mut Connection) -> Result<Option<i64>, sqlx::Error> {
        sqlx::query_scalar("SELECT last FROM commits").fetch_optional(transaction).await
    }

    /// The result of a transaction. The lock of the home is held all the time.
    async fn while_leading<T>(
        &self,
        _place: &str,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        work.await
    }

    /// Coordinators that follow each other are not told apart, because no two run at a time.
    const fn epoch(&self) -> u64 {
        0
    }

    /// The home has its own file for this.
    const fn announce(&self, _address: &str) {}

    /// The lock ends with this process.
    async fn succeeded(&self, _place: &str) -> StoreError {
        std::future::pending().await
    }

    /// Another program wrote to the file in spite of the lock.
    async fn taken(&self, place: &str) -> StoreError {
        let holder = "another program that ignored its lock".to_owned();
        StoreError::Locked { place: place.to_owned(), holder, address: None, next_step: STOP_THE_OTHER }
    }
}

/// Opens the store in the directory `home`, and creates both if they are missing.
///
/// # Errors
/// Another process that holds it; a file that is damaged, not a database, or of a newer version; a directory that
/// cannot be written.
pub async fn open(home: &Path) -> Result<Sql, StoreError> {
    let at =
        |path: &Path, error: &io::Error| cannot_open(&path.display().to_string(), error.to_string(), USE_ANOTHER_HOME);
    // Results are private until their owner shares them.
    private::create_folder(home).map_err(|error| at(home, &error))?;
    let file = home.join(FILE);
    let place = file.display().to_string();
    let lock = lock(&home.join(LOCK), &place)?;
    let log = home.join(LOG);
    let len = |path: &Path| path.metadata().map_or(0, |found| found.len());
    if len(&file) == 0 && len(&log) > 0 {
        // SQLite would delete the content of the log.
        let why = format!("it is empty, but {} has the last commits", log.display());
        return Err(cannot_open(&place, why, PUT_BACK));
    }
    can_connect(&place, READERS + 1)?;
    // SQLite gives its other files the mode of this one.
    File::options().append(true).create(true).mode(0o600).open(&file).map_err(|error| at(&file, &error))?;
    let options = SqliteConnectOptions::new().filename(&file).foreign_keys(true).busy_timeout(BUSY_TIMEOUT);
    let writing = options.clone().journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
    let mut writer = writing.connect().await.map_err(|error| refused_by_sqlite(&place, &error))?;
    MIGRATIONS.run(&mut writer).await.map_err(|error| not_a_known_version(&place, &error))?;
    // The connections are never closed, because each has prepared statements and a cache.
    let readers = SqlitePoolOptions::new()
        .max_connections(READERS)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_with(options.pragma("query_only", "ON"))
        .await
        .map_err(|error| refused_by_sqlite(&place, &error))?;
    Sql::new(Connector { options: writing, hold: Hold::Locked { _lock: lock } }, writer, readers, place).await
}

/// Opens the store in a home for reading: no lock is taken, and nothing changes.
///
/// SQLite's readers and writer share a file beside the store, which is created if missing. If that is not possible, or
/// if it would belong to another user than the store, the store is opened as an immutable file. This is only correct if
/// all commits are in the file itself and nobody writes; both are checked, the second after every answer.
///
/// # Errors
/// A file that is damaged, not a database, or of another version; one that cannot be read in its place; a system that
/// allows too few threads.
pub async fn open_to_read(home: &Path) -> Result<Sql, StoreError> {
    let (file, log) = (home.join(FILE), home.join(LOG));
    let place = file.display().to_string();
    can_connect(&place, READERS)?;
    let was = Stamp::of(&file);
    // `/proc/self` has the effective user of this process as its owner.
    let owner = |path: &Path| path.metadata().map(|found| found.uid());
    let acts_for = owner(Path::new("/proc/self")).unwrap_or_default();
    let is_in_file = Stamp::of(&log).len == 0;
    let is_ours = acts_for == 0 || owner(&file).is_ok_and(|owner| owner == acts_for);
    let options = SqliteConnectOptions::new().filename(&file).read_only(true).busy_timeout(BUSY_TIMEOUT);
    let shared = if is_ours || !is_in_file {
        let hold = Hold::Shared;
        Some(open_with(Connector { options: options.clone(), hold }, &place).await)
    } else {
        None
    };
    match shared {
        Some(Err(Unread::Open(error))) if !is_in_file && !is_damage(&error) => Err(cannot_open(
            &place,
            format!(
                "{error}; the last commits are in {}, which can be read only where files can be written",
                log.display()
            ),
            COPY_BOTH,
        )),
        Some(Err(Unread::Open(error))) if is_damage(&error) => Err(refused_by_sqlite(&place, &error)),
        None | Some(Err(Unread::Open(_))) => {
            let hold = Hold::Frozen { file, was };
            open_with(Connector { options: options.immutable(true), hold }, &place).await.map_err(|error| match error {
                Unread::Open(error) => refused_by_sqlite(&place, &error),
                Unread::Form(error) => error,
            })
        }
        Some(Err(Unread::Form(error))) => Err(error),
        Some(Ok(store)) => Ok(store),
    }
}

/// Checks that the threads of these connections can be started.
fn can_connect(place: &str, connections: u32) -> Result<(), StoreError> {
    limits::can_start_threads(connections as usize).map_err(|error| cannot_open(place, error.to_string(), TRY_AGAIN))
}

/// Why a store could not be opened for reading.
enum Unread {
    Open(sqlx::Error),
    Form(StoreError),
}

async fn open_with(connector: Connector, place: &str) -> Result<Sql, Unread> {
    let readers = SqlitePoolOptions::new()
        .max_connections(READERS)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_with(connector.options.clone())
        .await
        .map_err(Unread::Open)?;
    // The first access to the file, where faults of the file show.
    let tables = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM sqlite_schema WHERE name = '_sqlx_migrations'");
    let tables = tables.fetch_one(&readers).await.map_err(Unread::Open)?;
    let last = match tables {
        0 => None,
        _ => {
            let last = sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations");
            last.fetch_one(&readers).await.map_err(Unread::Open)?
        }
    };
    check_version(place, &MIGRATIONS, last, UPDATE).map_err(Unread::Form)?;
    Ok(Sql::to_read(connector, readers, place.to_owned()))
}

/// Whether the home has a store, valid or not. For a home that cannot be read the answer is yes, so that opening it
/// reports the error.
pub fn is_in(home: &Path) -> bool {
    home.join(FILE).try_exists().unwrap_or(true)
}

/// Whether another process holds the lock of the home. If the lock file cannot be read, the answer is yes.
pub fn is_held(home: &Path) -> bool {
    match File::open(home.join(LOCK)) {
        // The shared lock is compatible with that of other checks and held for a moment only. A process that wants the
        // lock for writing tries again.
        Ok(lock) => lock.try_lock_shared().is_err(),
        // A lock file that does not exist is not held, as in a copy of a home.
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

/// Takes the home for this process and writes the process id into the lock file, for the error of other processes.
fn lock(path: &Path, store: &str) -> Result<File, StoreError> {
    let unusable = |error: io::Error| cannot_open(&path.display().to_string(), error.to_string(), USE_ANOTHER_HOME);
    // Nobody else can lock it, and it is no link to the file of another program.
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(OFlag::O_NOFOLLOW.bits());
    let mut file = options.open(path).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => {
            file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(unusable)?;
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            let mut process = String::new();
            // The process id of the holder is only a help; the lock itself decides.
            let known = file.read_to_string(&mut process).is_ok() && !process.trim().is_empty();
            let holder =
                if known { format!("biosweep process {}", process.trim()) } else { "another biosweep".to_owned() };
            Err(StoreError::Locked { place: store.to_owned(), holder, address: None, next_step: STOP_THE_OTHER })
        }
        Err(TryLockError::Error(error)) => Err(unusable(error)),
    }
}

fn refused_by_sqlite(place: &str, error: &sqlx::Error) -> StoreError {
    let next_step = if is_damage(error) { PUT_BACK } else { USE_ANOTHER_HOME };
    cannot_open(place, error.to_string(), next_step)
}

fn not_a_known_version(place: &str, error: &MigrateError) -> StoreError {
    match error {
        MigrateError::VersionMissing(_) | MigrateError::VersionMismatch(_) => {
            cannot_open(place, "it was written by another version of biosweep".to_owned(), UPDATE)
        }
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => refused_by_sqlite(place, error),
        error => cannot_open(place, error.to_string(), PUT_BACK),
    }
}

/// Whether SQLite says that the file is malformed or not a database (SQLITE_CORRUPT, SQLITE_NOTADB).
fn is_damage(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code()?.parse::<u32>().ok());
    // The low byte of an extended result code is the primary one.
    code.is_some_and(|code| matches!(code & 0xff, 11 | 26))
}

/// Whether the operation may succeed later: the file is busy (5), cannot be read or written (10), its disk is full
/// (13), or it cannot be opened (14).
fn is_passing(code: &str) -> bool {
    // The low byte of an extended result code is the primary one.
    code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 10 | 13 | 14))
}
