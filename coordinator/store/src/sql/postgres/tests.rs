//! Tests for a store on a server only: two coordinators, a server that dies, a database of another version.

use std::time::Duration;

use biosweep_common::results::outcome::Outcome;
use biosweep_scheduler::record::Record;
use biosweep_tests::postgres::Server;

use super::{Sql, open};
use crate::conformance::samples::{ended, leased, noted, submission, sweep};
use crate::{Store, StoreError};

impl Sql {
    /// Ends the renewals, as if the process was stopped.
    fn stop_renewals(&self) {
        self.connector.leadership().stop_renewals();
    }

    fn resume_renewals(&self) {
        self.connector.leadership().resume_renewals();
    }
}

async fn refusal(url: &str) -> String {
    match open(url).await {
        Err(error @ (StoreError::Open { .. } | StoreError::Locked { .. })) => error.to_string(),
        other => panic!("not refused: {other:?}"),
    }
}

async fn begun(url: &str) -> Sql {
    let store = open(url).await.expect("a store");
    store.commit(&[Record::Submitted(submission(1)), leased(1, 1, 0, 3)]).await.expect("a valid batch");
    store
}

#[tokio::test]
async fn a_second_coordinator_is_refused_with_the_name_of_the_first() {
    let server = Server::start();
    let url = server.database("one");
    let first = begun(&url).await;
    let error = refusal(&url).await;
    assert!(error.contains(&format!("/{}; stop that coordinator", std::process::id())), "{error}");
    assert!(error.contains("/one is in use by biosweep "), "{error}");
    let other = open(&server.database("other")).await;
    assert!(other.is_ok(), "another database is another store");
    first.close().await;
    assert!(open(&url).await.is_ok(), "free after it was closed");
}

#[tokio::test]
async fn a_lost_connection_is_opened_again() {
    let server = Server::start();
    let store = begun(&server.database("one")).await;
    // The server may not have noticed: for it the connection is open.
    let _broken = store.lose_the_connection().await;
    store.commit(&[ended(1, 0, 1, Outcome::Completed)]).await.expect("by another connection");
    store.meddle("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()").await;
    assert_eq!(store.restore().await.expect("restores").sweeps[0].done, [(0, 1)]);
    tokio::time::sleep(Duration::from_secs(4)).await;
    store.commit(&[ended(1, 1, 1, Outcome::Completed)]).await.expect("the leadership is renewed by another connection");
}

#[tokio::test]
async fn a_commit_waits_for_a_server_that_died_and_keeps_all_earlier_commits() {
    let mut server = Server::start();
    let url = server.database("one");
    let store = begun(&url).await;
    server.kill();
    let next = [ended(1, 0, 1, Outcome::Completed), ended(1, 1, 1, Outcome::Preempted)];
    for _ in 0..2 {
        let error = store.commit(&next).await.expect_err("no server");
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    }
    server.resume();
    store.commit(&next).await.expect("the server is back");
    assert_eq!(store.restore().await.expect("restores").sweeps[0].done, [(0, 1)]);
    assert_eq!(store.incomplete_attempts(sweep(1), 9).await.expect("reads").len(), 1);
}

/// Opens the store as soon as it is free.
async fn successor(url: &str) -> Sql {
    for _ in 0..100 {
        match open(url).await {
            Err(StoreError::Locked { .. }) => tokio::time::sleep(Duration::from_millis(100)).await,
            opened => return opened.expect("a store"),
        }
    }
    panic!("the store stays held");
}

#[tokio::test]
async fn a_coordinator_that_does_not_renew_is_followed_and_writes_no_more() {
    let server = Server::start();
    let url = server.database("one");
    let first = begun(&url).await;
    first.announce("http://127.0.0.1:7");
    first.stop_renewals();
    let early = first.commit(&[ended(1, 0, 1, Outcome::Completed)]).await;
    early.expect("it still leads");
    let refused = open(&url).await.expect_err("it still leads");
    assert!(matches!(refused, StoreError::Locked { address: None, .. }), "no renewal has said how: {refused}");
    tokio::time::sleep(Duration::from_millis(3_100)).await;
    let unknown = first.commit(&[ended(1, 1, 1, Outcome::Completed)]).await.expect_err("it does not know");
    assert!(matches!(unknown, StoreError::Unavailable { .. }), "{unknown}");
    let second = successor(&url).await;
    assert!(second.epoch() > first.epoch());
    second.commit(&[ended(1, 1, 1, Outcome::Completed)]).await.expect("a valid batch");
    assert_eq!(second.restore().await.expect("restores").sweeps[0].done, [(0, 2)]);

    // It is as if the first one was stopped, and runs on as if no time had passed.
    first.resume_renewals();
    let error = first.commit(&[ended(1, 2, 1, Outcome::Completed)]).await.expect_err("no longer its own");
    assert!(matches!(error, StoreError::Locked { .. } | StoreError::Unavailable { .. }), "{error}");
    let error = first.succeeded().await;
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    let error = first.commit(&[ended(1, 2, 1, Outcome::Completed)]).await.expect_err("no longer its own");
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    assert_eq!(second.restore().await.expect("restores").sweeps[0].done, [(0, 2)]);
}

#[tokio::test]
async fn a_coordinator_that_stops_inside_a_transaction_is_followed_and_its_transaction_is_not_committed() {
    let server = Server::start();
    let url = server.database("one");
    let first = begun(&url).await;
    first.meddle("BEGIN").await;
    first
        .meddle("WITH leads AS (SELECT FROM leader FOR KEY SHARE) UPDATE commits SET last = last + 1 FROM leads")
        .await;
    first.stop_renewals();
    let second = successor(&url).await;
    second.commit(&[ended(1, 0, 1, Outcome::Completed)]).await.expect("a valid batch");
    let late = first.try_to_meddle("COMMIT").await;
    assert!(late.is_err(), "the server has ended the transaction");
}

#[tokio::test]
async fn a_leader_goes_on_after_a_restart_of_the_server_and_a_closed_one_is_followed_at_once() {
    let mut server = Server::start();
    let url = server.database("one");
    let store = begun(&url).await;
    store.announce("http://127.0.0.1:7");
    server.kill();
    tokio::time::sleep(Duration::from_millis(3_100)).await;
    let unknown = store.commit(&[ended(1, 0, 1, Outcome::Completed)]).await.expect_err("no server");
    assert!(matches!(unknown, StoreError::Unavailable { .. }), "{unknown}");
    server.resume();
    let mut tries = 0;
    while let Err(error) = store.commit(&[ended(1, 0, 1, Outcome::Completed)]).await {
        assert!(matches!(error, StoreError::Unavailable { .. }) && tries < 100, "{error}");
        tries += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let refused = open(&url).await.expect_err("it leads again");
    assert!(
        matches!(&refused, StoreError::Locked { address: Some(at), .. } if at == "http://127.0.0.1:7"),
        "{refused}"
    );
    store.close().await;
    assert!(open(&url).await.is_ok(), "at once");
}

#[tokio::test]
async fn an_error_about_an_unreachable_address_hides_the_password() {
    let error = refusal("postgres://me:secret@127.0.0.1:1/db").await;
    assert!(error.contains("postgres://127.0.0.1:1/db") && error.contains("--store"), "{error}");
    assert!(!error.contains("secret"), "{error}");
    assert!(refusal("postgres://127.0.0.1:port/db").await.contains("--store"));
}

#[tokio::test]
async fn a_database_of_the_second_version_opens_and_has_no_notes() {
    let server = Server::start();
    let url = server.database("one");
    let store = begun(&url).await;
    // What later migrations added is taken away again.
    store.meddle("DROP TABLE leader").await;
    store.meddle("DROP TABLE enrolled_workers").await;
    store.meddle("DROP TABLE tokens").await;
    store.meddle("ALTER TABLE sweeps DROP COLUMN note").await;
    store.meddle("DELETE FROM _sqlx_migrations WHERE version > 2").await;
    store.close().await;
    drop(store);
    let store = open(&url).await.expect("migrated");
    assert_eq!(store.summaries().await.expect("reads")[0].note, None);
    store.commit(&[noted(1, Some("seen"))]).await.expect("a valid batch");
    let row = store.sweep(sweep(1)).await.expect("reads").expect("is there");
    assert_eq!((row.note.as_deref(), row.submission), (Some("seen"), submission(1)));
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused() {
    let server = Server::start();
    let url = server.database("one");
    let store = begun(&url).await;
    store.meddle("INSERT INTO _sqlx_migrations VALUES (9999, 'later', now(), TRUE, '', 0)").await;
    store.close().await;
    let error = refusal(&url).await;
    assert!(error.contains("written by another version of biosweep; use the biosweep that wrote it"), "{error}");
}

#[tokio::test]
async fn a_commit_with_a_lost_answer_is_not_written_twice() {
    let server = Server::start();
    let store = begun(&server.database("one")).await;
    let next = [ended(1, 0, 1, Outcome::Completed)];
    store.commit(&next).await.expect("a valid batch");
    store.forget_the_last_answer().await;
    store.commit(&next).await.expect("accepted as already written");
    assert_eq!(store.restore().await.expect("restores").sweeps[0].done, [(0, 1)]);
    assert_eq!(store.number("SELECT count(*) FROM biosweep.results").await, 2);
}
