//! The store in a relational database: SQLite, one file in a home directory, or PostgreSQL.
//!
//! | module | contents |
//! |---|---|
//! | [`sqlite`] | the home: its lock, its file, its form, its errors |
//! | [`postgres`] | the database: its lock, its form, its errors |
//! | `shared/` | everything else, written once: compiled for each database by the room above that names it `Db` |
//! | `shared/store` | the verbs |
//! | `shared/write` | records → rows, in one transaction |
//! | `shared/admin` | the same of what is written as it comes |
//! | `shared/deletion` | a sweep that goes, and what others keep of it |
//! | `shared/batch` | rows gathered and written in admin statements |
//! | `shared/runs` | the trajectories that are done, kept as merged runs |
//! | `shared/read` | rows → records |
//! | `shared/restore` | rows → what the scheduler goes on with |
//! | `shared/cells` | the cells of a row |
//! | `curve`, `diagnostics` | a learning curve, and what was measured along it, as bytes |
//!
//! The statements are those both databases understand, and mean the same in both.

#![allow(clippy::duplicate_mod, reason = "the shared rooms are compiled for each database")]

mod bytes;
mod curve;
mod diagnostics;
pub mod postgres;
pub mod sqlite;

use std::cmp::Ordering;

use sqlx::migrate::Migrator;

use super::StoreError;

/// Declares the shared rooms as rooms of a database; `Db`, `Origin` and the functions they use stand beside them.
macro_rules! shared_rooms {
    () => {
        #[path = "shared/admin.rs"]
        mod admin;
        #[path = "shared/batch.rs"]
        mod batch;
        #[path = "shared/cells.rs"]
        mod cells;
        #[path = "shared/deletion.rs"]
        mod deletion;
        #[path = "shared/read.rs"]
        mod read;
        #[path = "shared/restore.rs"]
        mod restore;
        #[path = "shared/runs.rs"]
        mod runs;
        #[path = "shared/store.rs"]
        mod store;
        #[path = "shared/write.rs"]
        mod write;

        pub use store::Sql;

        type Connection = <Db as sqlx::Database>::Connection;
        type DbRow = <Db as sqlx::Database>::Row;
        type Arguments = <Db as sqlx::Database>::Arguments;
        type Query<'q> = sqlx::query::Query<'q, Db, Arguments>;

        /// What a failure means to the caller: whether the same may go well later.
        fn failed(place: &str, error: sqlx::Error) -> super::StoreError {
            super::failed(place, error, is_passing)
        }
    };
}
use shared_rooms;

/// What a failure means to the caller; `is_passing` knows the database's codes.
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

/// Whether the forms that a store has had, the last of them given, make it one of this version.
fn check_version(place: &str, forms: &Migrator, last: Option<i64>, update: &'static str) -> Result<(), StoreError> {
    let latest = forms.iter().map(|form| form.version).max();
    match last.cmp(&latest) {
        Ordering::Equal => Ok(()),
        Ordering::Less => Err(StoreError::Outdated { place: place.to_owned(), why: "it is only read".to_owned() }),
        Ordering::Greater => {
            Err(cannot_open(place, "it was written by another version of biosweep".to_owned(), update))
        }
    }
}

fn cannot_open(place: &str, why: String, next_step: &'static str) -> StoreError {
    StoreError::Open { place: place.to_owned(), why, next_step }
}
