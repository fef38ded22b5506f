//! The store in SQLite: one file in a home directory, one process at a time.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use biosweep_host::limits;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, Sqlite as Db, Transaction};

use super::{cannot_open, check_version, shared_rooms};
use crate::StoreError;

shared_rooms!();

#[cfg(test)]
mod tests;

/// Every form the store has had, in order; a file of an older form is brought up to the last when it is opened.
static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

const FILE: &str = "biosweep.sqlite";
/// What SQLite has committed and not taken into the file yet.
const LOG: &str = "biosweep.sqlite-wal";
const LOCK: &str = "biosweep.lock";
/// Readers at once: a page for each of a few people looking, while one export streams.
const READERS: u32 = 4;
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

const USE_ANOTHER_HOME: &str =
    "check that the directory exists, can be written to and has room, or choose another with --home";
const STOP_THE_OTHER: &str = "stop that process, or choose another directory with --home";
const UPDATE: &str = "use the biosweep that wrote it or a newer one, or choose another directory with --home";
const ASK_AGAIN: &str = "give the command again";
const TRY_AGAIN: &str = "then try again";
const COPY_BOTH: &str = "copy the two to a folder of yours, and name that with --home";
const PUT_BACK: &str = "put back a copy of the file, or move it away to begin anew";

/// Where connections to write come from.
#[derive(Debug)]
struct Origin {
    options: SqliteConnectOptions,
    hold: Hold,
}

/// How a process has the store.
#[derive(Debug)]
enum Hold {
    /// To write it: the lock is held for life; no other process opens the same home to write meanwhile.
    Locked { _lock: File },
    /// To read it beside whoever writes it.
    Shared,
    /// To read it where nothing can be written, not even what readers and a writer share: as it was when it was opened.
    Frozen { file: PathBuf, was: Stamp },
}

/// What shows that somebody wrote to a file.
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

impl Origin {
    async fn connect(&self, place: &str) -> Result<Connection, StoreError> {
        self.options.connect().await.map_err(|error| failed(place, error))
    }

    /// Gives a connection up; the store stays held.
    async fn release(&self, connection: Connection) -> Result<(), sqlx::Error> {
        connection.close().await
    }

    /// Begins to write at once, rather than when something is first written.
    async fn begin<'c>(&self, connection: &'c mut Connection) -> Result<Transaction<'c, Db>, sqlx::Error> {
        connection.begin_with("BEGIN IMMEDIATE").await
    }

    const fn is_only_read(&self) -> bool {
        !matches!(self.hold, Hold::Locked { .. })
    }

    /// Whether what was read so far is what was in the file.
    fn is_sound(&self, place: &str) -> Result<(), StoreError> {
        match &self.hold {
            Hold::Frozen { file, was } if Stamp::of(file) != *was => {
                Err(cannot_open(place, "it was written while it was read".to_owned(), ASK_AGAIN))
            }
            _ => Ok(()),
        }
    }

    /// Something else wrote to the file in spite of the lock.
    fn taken(&self, place: &str) -> StoreError {
        let holder = "another program that wrote to it in spite of its lock".to_owned();
        StoreError::Locked { place: place.to_owned(), holder, next_step: STOP_THE_OTHER }
    }
}

/// Opens the store in the home directory `home`, making both where they are missing.
///
/// # Errors
/// Another process that has it open; a file that is damaged, no database, or written by a newer biosweep; a directory
/// that cannot be written to.
pub async fn open(home: &Path) -> Result<Sql, StoreError> {
    let at =
        |path: &Path, error: &io::Error| cannot_open(&path.display().to_string(), error.to_string(), USE_ANOTHER_HOME);
    fs::create_dir_all(home).map_err(|error| at(home, &error))?;
    let file = home.join(FILE);
    let place = file.display().to_string();
    let lock = lock(&home.join(LOCK), &place)?;
    let log = home.join(LOG);
    let len = |path: &Path| path.metadata().map_or(0, |found| found.len());
    if len(&file) == 0 && len(&log) > 0 {
        // SQLite would throw away what is in there.
        let why = format!("it is empty, while {} holds what was committed last", log.display());
        return Err(cannot_open(&place, why, PUT_BACK));
    }
    can_connect(&place, READERS + 1)?;
    let options = SqliteConnectOptions::new().filename(&file).foreign_keys(true).busy_timeout(BUSY_TIMEOUT);
    let writing = options
        .clone()
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let mut writer = writing.connect().await.map_err(|error| refused_by_sqlite(&place, &error))?;
    MIGRATIONS.run(&mut writer).await.map_err(|error| not_a_known_version(&place, &error))?;
    // Kept for life: each holds its prepared statements and its cache.
    let readers = SqlitePoolOptions::new()
        .max_connections(READERS)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_with(options.pragma("query_only", "ON"))
        .await
        .map_err(|error| refused_by_sqlite(&place, &error))?;
    Sql::new(Origin { options: writing, hold: Hold::Locked { _lock: lock } }, writer, readers, place).await
}

/// Opens the store in a home to be read: no lock is taken, and nothing in it changes.
///
/// SQLite's readers and its writer share a file beside the store, which is made where it is missing: where that cannot be,
/// or would be another's than the store's owner's, the store is read as a file that nobody writes. That holds while what
/// was committed last is in the file itself; whether it held is looked at after every answer.
///
/// # Errors
/// A file that is damaged, no database, or written by another version; one that cannot be read where it is; a system that
/// gives too few threads.
pub async fn open_to_read(home: &Path) -> Result<Sql, StoreError> {
    let (file, log) = (home.join(FILE), home.join(LOG));
    let place = file.display().to_string();
    can_connect(&place, READERS)?;
    let was = Stamp::of(&file);
    // `/proc/self` belongs to whom this process acts for.
    let owner = |path: &Path| path.metadata().map(|found| found.uid());
    let acts_for = owner(Path::new("/proc/self")).unwrap_or_default();
    let is_in_file = Stamp::of(&log).len == 0;
    let is_ours = acts_for == 0 || owner(&file).is_ok_and(|owner| owner == acts_for);
    let options = SqliteConnectOptions::new().filename(&file).read_only(true).busy_timeout(BUSY_TIMEOUT);
    let shared = if is_ours || !is_in_file {
        let hold = Hold::Shared;
        Some(open_with(Origin { options: options.clone(), hold }, &place).await)
    } else {
        None
    };
    match shared {
        Some(Err(Unread::Open(error))) if !is_in_file && !is_damage(&error) => Err(cannot_open(
            &place,
            format!(
                "{error}; what was committed last is in {}, which cannot be read where nothing can be written",
                log.display()
            ),
            COPY_BOTH,
        )),
        Some(Err(Unread::Open(error))) if is_damage(&error) => Err(refused_by_sqlite(&place, &error)),
        None | Some(Err(Unread::Open(_))) => {
            let hold = Hold::Frozen { file, was };
            open_with(Origin { options: options.immutable(true), hold }, &place).await.map_err(|error| match error {
                Unread::Open(error) => refused_by_sqlite(&place, &error),
                Unread::Form(error) => error,
            })
        }
        Some(Err(Unread::Form(error))) => Err(error),
        Some(Ok(store)) => Ok(store),
    }
}

/// Whether there can be so many connections: each has a thread.
fn can_connect(place: &str, connections: u32) -> Result<(), StoreError> {
    limits::can_start_threads(connections as usize).map_err(|error| cannot_open(place, error.to_string(), TRY_AGAIN))
}

/// Why a store was not opened to be read.
enum Unread {
    Open(sqlx::Error),
    Form(StoreError),
}

async fn open_with(origin: Origin, place: &str) -> Result<Sql, Unread> {
    let readers = SqlitePoolOptions::new()
        .max_connections(READERS)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_with(origin.options.clone())
        .await
        .map_err(Unread::Open)?;
    // The first look into the file: what is wrong with it shows now.
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
    Ok(Sql::to_read(origin, readers, place.to_owned()))
}

/// Whether there is one in the home, be it sound or not. A home that cannot be looked into is no empty one: opening it says why.
pub fn is_in(home: &Path) -> bool {
    home.join(FILE).try_exists().unwrap_or(true)
}

/// Whether somebody holds the lock of the home, as far as can be told: who may not look at it takes others at their word.
pub fn is_held(home: &Path) -> bool {
    match File::open(home.join(LOCK)) {
        // Shared with others who look, and held for no longer than it takes: whoever wants it for good tries again.
        Ok(lock) => lock.try_lock_shared().is_err(),
        // Nobody holds what is not there, as in a copy of a home.
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

/// Takes the home for this process and writes its id into the lock file, for the error another process shows.
fn lock(path: &Path, store: &str) -> Result<File, StoreError> {
    let unusable = |error: io::Error| cannot_open(&path.display().to_string(), error.to_string(), USE_ANOTHER_HOME);
    let mut file = File::options().read(true).write(true).create(true).truncate(false).open(path).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => {
            file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(unusable)?;
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            let mut process = String::new();
            // Who holds it is a courtesy: that it is held is what matters.
            let known = file.read_to_string(&mut process).is_ok() && !process.trim().is_empty();
            let holder =
                if known { format!("biosweep process {}", process.trim()) } else { "another biosweep".to_owned() };
            Err(StoreError::Locked { place: store.to_owned(), holder, next_step: STOP_THE_OTHER })
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

/// Whether SQLite says that the file is malformed or no database at all (SQLITE_CORRUPT, SQLITE_NOTADB).
fn is_damage(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code()?.parse::<u32>().ok());
    // The low byte of an extended result code is the primary one.
    code.is_some_and(|code| matches!(code & 0xff, 11 | 26))
}

/// Whether the same may go well later: the file is busy (5), cannot be read or written (10), its disk is full (13), or it
/// cannot be opened (14).
fn is_passing(code: &str) -> bool {
    // The low byte of an extended result code is the primary one.
    code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 10 | 13 | 14))
}
