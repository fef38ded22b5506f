//! The store in SQLite: one file in a home directory, one process at a time.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, Sqlite as Db, Transaction};

use super::{cannot_open, shared_rooms};
use crate::store::StoreError;

shared_rooms!();

#[cfg(test)]
mod tests;

/// Every form the store has had, in order; a file of an older form is brought up to the last when it is opened.
static FORMS: Migrator = sqlx::migrate!("migrations/sqlite");

const FILE: &str = "biosweep.sqlite";
/// What SQLite has committed and not taken into the file yet.
const LOG: &str = "biosweep.sqlite-wal";
const LOCK: &str = "biosweep.lock";
/// Readers at once: a page for each of a few people looking, while one export streams.
const READERS: u32 = 4;
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

const USE_ANOTHER_HOME: &str = "check that the directory exists and can be written to, or choose another with --home";
const STOP_THE_OTHER: &str = "stop that process, or choose another directory with --home";
const UPDATE: &str = "use the biosweep that wrote it or a newer one, or choose another directory with --home";
const PUT_BACK: &str = "put back a copy of the file, or move it away to begin anew";

/// Where connections to write come from.
#[derive(Debug)]
struct Origin {
    options: SqliteConnectOptions,
    /// Held for life; no other process opens the same home meanwhile.
    _lock: File,
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
pub(crate) async fn open(home: &Path) -> Result<Sql, StoreError> {
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
    let options = SqliteConnectOptions::new().filename(&file).foreign_keys(true).busy_timeout(BUSY_TIMEOUT);
    let writing = options
        .clone()
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let mut writer = writing.connect().await.map_err(|error| refused_by_sqlite(&place, &error))?;
    FORMS.run(&mut writer).await.map_err(|error| not_of_a_known_form(&place, &error))?;
    // Kept for life: each holds its prepared statements and its cache.
    let readers = SqlitePoolOptions::new()
        .max_connections(READERS)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_with(options.pragma("query_only", "ON"))
        .await
        .map_err(|error| refused_by_sqlite(&place, &error))?;
    Sql::new(Origin { options: writing, _lock: lock }, writer, readers, place).await
}

/// Whether there is one in the home, be it sound or not.
pub(crate) fn is_in(home: &Path) -> bool {
    home.join(FILE).exists() || (home.exists() && !home.is_dir())
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

fn not_of_a_known_form(place: &str, error: &MigrateError) -> StoreError {
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
