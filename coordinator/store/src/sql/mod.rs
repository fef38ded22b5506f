//! The store in a relational database: SQLite, one file in a home directory, or PostgreSQL.
//!
//! | module | contents |
//! |---|---|
//! | [`sqlite`] | the home: its lock, its file, its version, its errors |
//! | [`postgres`] | the database: its lock, its version, its errors |
//! | `shared/` | the common code, written once and compiled for each database with its type `Db` |
//! | `shared/store` | the operations |
//! | `shared/write` | records to rows, in one transaction |
//! | `shared/admin` | the same for records that are written at once |
//! | `shared/access` | tokens and enrolled workers |
//! | `shared/archive` | rows to what an archive has of a sweep |
//! | `shared/import` | the rows of an archive to rows of this store |
//! | `shared/deletion` | the deletion of a sweep, and what other sweeps keep of it |
//! | `shared/batch` | rows that are collected and written in few statements |
//! | `shared/runs` | the trajectories that are done, as merged ranges |
//! | `shared/read` | rows to records |
//! | `shared/restore` | rows to the state that the scheduler continues from |
//! | `shared/cells` | the cells of a row |
//! | [`curve`], [`diagnostics`] | a learning curve and its diagnostics, as bytes |
//!
//! Both databases understand all statements and give them the same meaning.

#![allow(clippy::duplicate_mod, reason = "the shared modules are compiled for each database")]

mod bytes;
pub mod curve;
pub mod diagnostics;
pub mod postgres;
pub mod sqlite;

use std::cmp::Ordering;

use sqlx::SqlSafeStr as _;
use sqlx::migrate::{Migration, MigrationType, Migrator};

use super::StoreError;

/// Declares the shared modules in the module of a database; `Db`, `Connector` and the functions they use are defined
/// beside them.
macro_rules! shared_modules {
    () => {
        #[path = "../shared/access.rs"]
        mod access;
        #[path = "../shared/admin.rs"]
        mod admin;
        #[path = "../shared/archive.rs"]
        mod archive;
        #[path = "../shared/batch.rs"]
        mod batch;
        #[path = "../shared/cells.rs"]
        mod cells;
        #[path = "../shared/deletion.rs"]
        mod deletion;
        #[path = "../shared/import.rs"]
        mod import;
        #[path = "../shared/read.rs"]
        mod read;
        #[path = "../shared/restore.rs"]
        mod restore;
        #[path = "../shared/runs.rs"]
        mod runs;
        #[path = "../shared/store.rs"]
        mod store;
        #[path = "../shared/write.rs"]
        mod write;

        pub use store::Sql;

        type Connection = <Db as sqlx::Database>::Connection;
        type DbRow = <Db as sqlx::Database>::Row;
        type Arguments = <Db as sqlx::Database>::Arguments;
        type Query<'q> = sqlx::query::Query<'q, Db, Arguments>;

        /// Converts an error and decides whether the operation may succeed later.
        fn failed(place: &str, error: sqlx::Error) -> super::StoreError {
            super::failed(place, error, is_passing)
        }
    };
}
use shared_modules;

/// Converts an error; `is_passing` knows the error codes of the database.
fn failed(place: &str, error: sqlx::Error, is_passing: impl Fn(&str) -> bool) -> StoreError {
    let passing = match &error {
        sqlx::Error::Database(error) => error.code().is_some_and(|code| is_passing(&code)),
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        _ => false,
    };
    let (place, source) = (place.to_owned(), Box::new(error));
    if passing { StoreError::Unavailable { place, source } } else { StoreError::Failed { place, source } }
}

/// A migration of a database: its version, its name and its text.
type MigrationText = (i64, &'static str, &'static str);

fn migrator(texts: &[MigrationText]) -> Migrator {
    let migration = |&(version, name, text): &MigrationText| {
        Migration::new(version, name.into(), MigrationType::Simple, text.into_sql_str(), false)
    };
    Migrator::with_migrations(texts.iter().map(migration).collect())
}

/// Checks that the last migration of a store is the latest one of this version.
fn check_version(
    place: &str,
    migrations: &Migrator,
    last: Option<i64>,
    update: &'static str,
) -> Result<(), StoreError> {
    let latest = migrations.iter().map(|migration| migration.version).max();
    match last.cmp(&latest) {
        Ordering::Equal => Ok(()),
        Ordering::Less => {
            Err(StoreError::Outdated { place: place.to_owned(), why: "it is open for reading only".to_owned() })
        }
        Ordering::Greater => {
            Err(cannot_open(place, "it was written by another version of biosweep".to_owned(), update))
        }
    }
}

fn cannot_open(place: &str, why: String, next_step: &'static str) -> StoreError {
    StoreError::Open { place: place.to_owned(), why, next_step }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::Path;

    use sqlx::migrate::Migration;

    use super::*;

    #[test]
    fn every_migration_file_is_listed() {
        for (folder, listed) in [("sqlite", &sqlite::MIGRATIONS), ("postgres", &postgres::MIGRATIONS)] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(folder);
            let named = |file: std::io::Result<fs::DirEntry>| {
                let path = file.expect("a file").path();
                let name = path.file_name().expect("a name").to_string_lossy().into_owned();
                (name, fs::read_to_string(path).expect("a text"))
            };
            let files: BTreeMap<_, _> = fs::read_dir(folder).expect("a folder").map(named).collect();
            let named = |migration: &Migration| {
                let name = format!("{:04}_{}.sql", migration.version, migration.description);
                (name, migration.sql.as_str().to_owned())
            };
            assert_eq!(listed.iter().map(named).collect::<Vec<_>>(), files.into_iter().collect::<Vec<_>>());
        }
    }
}
