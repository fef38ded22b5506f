//! Tests for a store in a file only: reopening, two owners, damage, a full disk.

use std::fs;
use std::path::Path;

use biosweep_common::results::outcome::Outcome;
use biosweep_common::vocabulary::ids::{TrialIndex, WorkerId};
use biosweep_scheduler::record::Record;
use sqlx::migrate::Migrator;
use sqlx::{ConnectOptions as _, Connection as _};

use super::open;
use crate::conformance::samples::{ended, leased, noted, submission, sweep};
use crate::{Store, StoreError};

fn home() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

async fn refusal(home: &Path) -> String {
    match open(home).await {
        Err(error @ (StoreError::Open { .. } | StoreError::Locked { .. })) => error.to_string(),
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn a_reopened_store_has_all_commits() {
    let home = home();
    let nested = home.path().join("made/on/the/way");
    let store = open(&nested).await.expect("a store");
    let history = [Record::Submitted(submission(1)), leased(1, 1, 0, 2), ended(1, 1, 1, Outcome::Completed)];
    store.commit(&history).await.expect("a valid batch");
    let before = store.restore().await.expect("restores");
    drop(store);
    let store = open(&nested).await.expect("the same store");
    assert_eq!(store.restore().await.expect("restores"), before);
    assert_eq!(store.results(sweep(1), TrialIndex(0), 9).await.expect("reads").len(), 2);
}

#[tokio::test]
async fn a_closed_store_is_completely_in_its_file() {
    let home = home();
    let store = open(home.path()).await.expect("a store");
    let history = [Record::Submitted(submission(1)), leased(1, 1, 0, 2), ended(1, 1, 1, Outcome::Completed)];
    store.commit(&history).await.expect("a valid batch");
    store.close().await;
    drop(store);
    let copy = self::home();
    fs::copy(home.path().join(super::FILE), copy.path().join(super::FILE)).expect("a copy");
    assert!(!home.path().join(super::LOG).exists());
    let store = open(copy.path()).await.expect("the copy");
    assert_eq!(store.results(sweep(1), TrialIndex(0), 9).await.expect("reads").len(), 2);
}

#[tokio::test]
async fn an_emptied_file_is_refused_and_its_log_is_kept() {
    let home = home();
    let store = open(home.path()).await.expect("a store");
    store.commit(&[Record::Submitted(submission(1))]).await.expect("a valid batch");
    let [file, log, kept] = [super::FILE, super::LOG, "kept"].map(|name| home.path().join(name));
    fs::copy(&log, &kept).expect("a copy");
    store.close().await;
    drop(store);
    fs::write(&file, "").expect("truncated");
    fs::rename(&kept, &log).expect("the log is back");
    let error = refusal(home.path()).await;
    assert!(error.contains("it is empty, but") && error.contains("restore a copy"), "{error}");
    assert!(log.metadata().expect("it is there").len() > 0);
}

#[tokio::test]
async fn a_second_owner_is_refused_with_the_name_of_the_first() {
    let home = home();
    let first = open(home.path()).await.expect("a store");
    let error = refusal(home.path()).await;
    assert!(error.contains(&format!("in use by biosweep process {}; ", std::process::id())), "{error}");
    assert!(error.ends_with("stop that process, or choose another directory with --home"), "{error}");
    drop(first);
    open(home.path()).await.expect("free again");
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused() {
    let home = home();
    let store = open(home.path()).await.expect("a store");
    store.meddle("INSERT INTO _sqlx_migrations VALUES (9999, 'later', '2030-01-01', TRUE, x'00', 0)").await;
    drop(store);
    let error = refusal(home.path()).await;
    assert!(error.contains("written by another version of biosweep; use the biosweep that wrote it"), "{error}");
}

#[tokio::test]
async fn a_store_of_the_second_version_opens_and_has_no_notes() {
    let home = home();
    let file = home.path().join(super::FILE);
    let mut old =
        super::SqliteConnectOptions::new().filename(&file).create_if_missing(true).connect().await.expect("a file");
    let second = Migrator::with_migrations(super::MIGRATIONS.iter().filter(|one| one.version <= 2).cloned().collect());
    second.run(&mut old).await.expect("the migrations of that version");
    let id = sweep(1).0.into_bytes().to_vec();
    let insert = sqlx::query(
        "INSERT INTO sweeps (id, name, spec_text, spec_format, spec_resolved, digest, trials, trajectories, submitted_at, \
         state, state_at, completed) VALUES ($1, 'old', '', 'toml', '', '', 4, 2, 5, 'finished', 7, 3)",
    );
    insert.bind(id).execute(&mut old).await.expect("a sweep of that version");
    old.close().await.expect("closed");

    let store = open(home.path()).await.expect("migrated");
    let row = store.sweep(sweep(1)).await.expect("reads").expect("is there");
    assert_eq!((row.submission.name.as_str(), row.completed, &row.note), ("old", 3, &None));
    store.commit(&[noted(1, Some("seen"))]).await.expect("a valid batch");
    assert_eq!(store.summaries().await.expect("reads")[0].note.as_deref(), Some("seen"));
}

#[tokio::test]
async fn an_error_about_an_old_file_that_cannot_be_written_says_to_copy_it() {
    let home = home();
    let store = open(home.path()).await.expect("a store");
    store.meddle("DELETE FROM _sqlx_migrations WHERE version = (SELECT max(version) FROM _sqlx_migrations)").await;
    store.close().await;
    drop(store);
    let lock = home.path().join(super::LOCK);
    fs::remove_file(&lock).expect("it was made");
    // Nobody, including root, can write a file in the place of a folder.
    fs::create_dir(&lock).expect("a folder");
    let Err(error) = crate::open_to_read(home.path(), None).await else { panic!("not refused") };
    let error = error.to_string();
    assert!(error.contains("was written by an earlier version of biosweep and cannot be migrated"), "{error}");
    assert!(error.ends_with("; copy it to a place where it can be written, and use the copy"), "{error}");
    assert_eq!(error.matches("; ").count(), 1, "it names one next step: {error}");
}

#[tokio::test]
async fn a_file_that_is_not_a_database_is_refused_and_unchanged() {
    let home = home();
    let file = home.path().join("biosweep.sqlite");
    let text = "no database at all, but long enough to be looked at as one: ".repeat(40);
    fs::write(&file, &text).expect("a file");
    let error = refusal(home.path()).await;
    assert!(error.contains("restore a copy of the file, or move it away"), "{error}");
    assert_eq!(fs::read_to_string(&file).expect("still there"), text);
}

#[tokio::test]
async fn a_home_that_is_a_file_is_refused() {
    let home = home();
    let file = home.path().join("file");
    fs::write(&file, "").expect("a file");
    assert!(refusal(&file).await.contains("choose another with --home"));
}

#[tokio::test]
async fn after_a_full_disk_nothing_is_half_written_and_the_store_is_usable() {
    let home = home();
    let store = open(home.path()).await.expect("a store");
    store.commit(&[Record::Submitted(submission(1)), leased(1, 1, 0, 5_000)]).await.expect("a valid batch");
    let before = store.restore().await.expect("restores");
    store.meddle("PRAGMA max_page_count = 40").await;
    let endings: Vec<Record> = (0..5_000).map(|index| ended(1, index, 1, Outcome::Completed)).collect();
    let error = store.commit(&endings).await.expect_err("no room");
    assert!(matches!(&error, StoreError::Unavailable { .. }), "{error}");
    assert!(error.to_string().contains("full"), "{error}");
    assert_eq!(store.restore().await.expect("restores"), before);
    assert_eq!(store.results(sweep(1), TrialIndex(0), 9).await.expect("reads"), []);
    store.commit(&endings).await.expect("the new connection has no limit");
    assert_eq!(store.restore().await.expect("restores").sweeps[0].done, [(0, 5_000)]);
}

#[tokio::test]
async fn commits_are_durable_before_they_return() {
    let home = home();
    let store = open(home.path()).await.expect("a store");
    let setting = async |pragma: &'static str| store.number(pragma).await;
    assert_eq!(setting("PRAGMA synchronous").await, 2, "full");
    assert_eq!(setting("PRAGMA foreign_keys").await, 1);
    let (mode,): (String,) = sqlx::query_as("PRAGMA journal_mode").fetch_one(&store.readers).await.expect("a pragma");
    assert_eq!(mode, "wal");
}

#[tokio::test]
async fn late_reports_are_kept_as_evidence() {
    let home = home();
    let store = open(home.path()).await.expect("a store");
    let late = crate::conformance::samples::late;
    let Record::Late { sweep, trajectory, attempt, outcome, curve, at, .. } = late(1, 3, 77) else { unreachable!() };
    let worker = WorkerId(uuid::Uuid::from_u128(99));
    let of_another = Record::Late { sweep, trajectory, attempt, worker, outcome, curve, at };
    store
        .commit(&[Record::Submitted(submission(1)), leased(77, 1, 3, 1), late(1, 3, 77)])
        .await
        .expect("a valid batch");
    // Repeated, of another worker, of another trajectory, sweep or attempt.
    let others = [late(1, 3, 77), of_another, late(1, 4, 77), late(2, 3, 77), late(1, 3, 78)];
    store.commit(&others).await.expect("a valid batch");
    let kept: Vec<(i64, i64, String)> = sqlx::query_as("SELECT trajectory, attempt, outcome FROM late_reports")
        .fetch_all(&store.readers)
        .await
        .expect("rows");
    assert_eq!(
        kept,
        [(3, 77, "completed".to_owned())],
        "stored once, and only that of the worker to which the attempt was granted"
    );
}

#[tokio::test]
async fn an_error_names_a_row_that_cannot_be_read() {
    let home = home();
    let store = open(home.path()).await.expect("a store");
    let history = [Record::Submitted(submission(1)), leased(1, 1, 0, 1), ended(1, 0, 1, Outcome::Completed)];
    store.commit(&history).await.expect("a valid batch");
    store.meddle("UPDATE curves SET points = x'02'").await;
    let error = store.curves(sweep(1), 0, 9).await.expect_err("unreadable").to_string();
    assert!(error.contains("points: it has an unknown version"), "{error}");
    store.meddle("UPDATE sweeps SET state = 'asleep'").await;
    let error = store.sweeps().await.expect_err("unreadable").to_string();
    assert!(error.contains("state: unknown name `asleep`"), "{error}");
}

#[tokio::test]
async fn the_error_of_a_refused_batch_names_the_row() {
    let home = home();
    let store = open(home.path()).await.expect("a store");
    let before = [Record::Submitted(submission(1)), leased(1, 1, 0, 900), leased(2, 1, 0, 900)];
    store.commit(&before).await.expect("a valid batch");
    store.commit(&[ended(1, 437, 1, Outcome::Completed)]).await.expect("a valid batch");
    let endings: Vec<Record> = (0..900).map(|index| ended(1, index, 2, Outcome::Completed)).collect();
    let error = store.commit(&endings).await.expect_err("437 is done");
    assert!(matches!(error, StoreError::Refused { .. }), "{error}");
    assert!(error.to_string().contains("row [Integer(Some(1)), Integer(Some(437))"), "{error}");
    assert_eq!(store.restore().await.expect("restores").sweeps[0].done, [(437, 1)]);
}

#[tokio::test]
async fn a_commit_with_a_lost_answer_is_not_written_twice() {
    let home = home();
    let store = open(home.path()).await.expect("a store");
    let batch = [Record::Submitted(submission(1)), leased(1, 1, 0, 2)];
    store.commit(&batch).await.expect("a valid batch");
    // As if the connection had been lost after the commit and before its answer.
    drop(store.lose_the_connection().await);
    store.forget_the_last_answer().await;
    store.commit(&batch).await.expect("accepted as already written");
    store.commit(&[ended(1, 0, 1, Outcome::Completed)]).await.expect("the next commit follows");
    assert_eq!(store.restore().await.expect("restores").sweeps[0].done, [(0, 1)]);
}

#[tokio::test]
async fn a_file_changed_by_another_program_is_not_overwritten() {
    let home = home();
    let store = open(home.path()).await.expect("a store");
    store.meddle("UPDATE commits SET last = 7").await;
    let error = store.commit(&[Record::Submitted(submission(1))]).await.expect_err("no longer ours");
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    assert_eq!(store.sweeps().await.expect("reads"), []);
}
