//! Opens the home of a SQLite store: its lock, its file, its form.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use super::Sql;
use crate::store::StoreError;

/// Every form the store has had, in order; a file of an older form is brought up to the last when it is opened.
static FORMS: Migrator = sqlx::migrate!();

const FILE: &str = "biosweep.sqlite";
const LOCK: &str = "biosweep.lock";
/// Readers at once: a page for each of a few people looking, while one export streams.
const READERS: u32 = 4;
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

const USE_ANOTHER_HOME: &str = "check that the directory exists and can be written to, or choose another with --home";
const STOP_THE_OTHER: &str = "stop that process, or choose another directory with --home";
const UPDATE: &str = "use the biosweep that wrote it or a newer one, or choose another directory with --home";
const PUT_BACK: &str = "put back a copy of the file, or move it away to begin anew";

pub(super) async fn open(home: &Path) -> Result<Sql, StoreError> {
    fs::create_dir_all(home).map_err(|error| cannot_open(home, error.to_string(), USE_ANOTHER_HOME))?;
    let file = home.join(FILE);
    let lock = lock(&home.join(LOCK), &file)?;
    let options = SqliteConnectOptions::new().filename(&file).foreign_keys(true).busy_timeout(BUSY_TIMEOUT);
    let writing = options
        .clone()
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let writer = lasting(1).connect_with(writing).await.map_err(|error| refused_by_sqlite(&file, &error))?;
    FORMS.run(&writer).await.map_err(|error| not_of_a_known_form(&file, &error))?;
    let readers = lasting(READERS)
        .connect_with(options.pragma("query_only", "ON"))
        .await
        .map_err(|error| refused_by_sqlite(&file, &error))?;
    Ok(Sql { writer, readers, place: file.display().to_string(), _lock: lock })
}

/// A pool whose connections are kept: each holds its prepared statements and its cache.
fn lasting(connections_max: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections_max)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
}

/// Takes the home for this process and writes its id into the lock file, for the error another process shows.
fn lock(path: &Path, store: &Path) -> Result<File, StoreError> {
    let unusable = |error: io::Error| cannot_open(path, error.to_string(), USE_ANOTHER_HOME);
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
            Err(StoreError::Locked { place: store.display().to_string(), holder, next_step: STOP_THE_OTHER })
        }
        Err(TryLockError::Error(error)) => Err(unusable(error)),
    }
}

fn refused_by_sqlite(file: &Path, error: &sqlx::Error) -> StoreError {
    let next_step = if is_damage(error) { PUT_BACK } else { USE_ANOTHER_HOME };
    cannot_open(file, error.to_string(), next_step)
}

fn not_of_a_known_form(file: &Path, error: &MigrateError) -> StoreError {
    match error {
        MigrateError::VersionMissing(_) | MigrateError::VersionMismatch(_) => {
            cannot_open(file, "it was written by another version of biosweep".to_owned(), UPDATE)
        }
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => refused_by_sqlite(file, error),
        error => cannot_open(file, error.to_string(), PUT_BACK),
    }
}

/// Whether SQLite says that the file is malformed or no database at all (SQLITE_CORRUPT, SQLITE_NOTADB).
fn is_damage(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code()?.parse::<u32>().ok());
    // The low byte of an extended result code is the primary one.
    code.is_some_and(|code| matches!(code & 0xff, 11 | 26))
}

fn cannot_open(place: &Path, why: String, next_step: &'static str) -> StoreError {
    StoreError::Open { place: place.display().to_string(), why, next_step }
}
