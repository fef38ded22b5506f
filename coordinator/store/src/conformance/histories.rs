//! Random histories on which all stores must agree.

use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::*;

#[test]
fn after_every_prefix_of_a_history_the_databases_equal_the_store_in_memory() {
    let server = Server::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let config = ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() };
    let choices = prop::collection::vec((any::<u8>(), any::<u8>()), 0..60);
    let mut runner = TestRunner::new(config);
    // A new database for every case, including those of shrinking.
    let databases = std::cell::Cell::new(0);
    let agree = |(choices, batch_len): (Vec<(u8, u8)>, usize)| {
        databases.set(databases.get() + 1);
        let url = server.database(&format!("case{}", databases.get()));
        runtime.block_on(compare(&history(&choices), batch_len, &url));
        Ok(())
    };
    runner.run(&(choices, 1..5_usize), agree).unwrap_or_else(|failure| panic!("{failure}"));
}

async fn compare(history: &[Record], batch_len: usize, url: &str) {
    let home = tempfile::tempdir().expect("a directory");
    let mut file = sql::sqlite::open(home.path()).await.expect("a store");
    let server = sql::postgres::open(url).await.expect("a store");
    let replayed = Memory::default();
    for (i, batch) in history.chunks(batch_len).enumerate() {
        for store in [&file as &dyn Store, &server, &replayed] {
            commit(store, batch).await;
        }
        if i % 8 == 7 {
            drop(file);
            file = reopened(home.path()).await;
        }
        let (expected, until) = (seen(&replayed).await, batch_len * (i + 1));
        assert_eq!(seen(&file).await, expected, "in SQLite, after {:?}", &history[..until.min(history.len())]);
        assert_eq!(seen(&server).await, expected, "in PostgreSQL, after {:?}", &history[..until.min(history.len())]);
    }
}

/// Reopens a store. A process started by another test may hold its files for a moment.
async fn reopened(home: &Path) -> sql::sqlite::Sql {
    for _ in 0..100 {
        match sql::sqlite::open(home).await {
            Err(StoreError::Locked { .. }) => tokio::time::sleep(Duration::from_millis(20)).await,
            opened => return opened.expect("a store opened again"),
        }
    }
    panic!("the store stays locked");
}

/// A history that a coordinator could write: three sweeps of twelve trajectories, leased in ranges. The choices decide
/// the order and the outcomes.
fn history(choices: &[(u8, u8)]) -> Vec<Record> {
    const OUTCOMES: [Outcome; 5] =
        [Outcome::Completed, Outcome::Diverged, Outcome::Preempted, Outcome::WorkerLost, Outcome::Failed];
    let mut records: Vec<Record> = (1..=3).map(|id| Record::Submitted(submission(id))).collect();
    let mut pending: Vec<(u128, u64)> = (1..=3).flat_map(|id| (0..12).map(move |index| (id, index))).collect();
    let mut open: Vec<(u128, u64, u64)> = Vec::new();
    let mut failed: Vec<(u128, u64)> = Vec::new();
    let mut trained: Vec<(u128, u64)> = Vec::new();
    let mut deleted: Vec<u128> = Vec::new();
    let mut attempt = 0;
    for &(verb, object) in choices {
        let object = usize::from(object);
        match verb % 8 {
            0..3 if !pending.is_empty() => {
                attempt += 1;
                let (id, first) = pending.remove(object % pending.len());
                let mut count = 1;
                while let Some(next) = pending.iter().position(|&next| count < 4 && next == (id, first + count)) {
                    pending.remove(next);
                    count += 1;
                }
                open.extend((first..first + count).map(|index| (id, index, attempt)));
                records.push(leased(attempt, id, first, count));
            }
            3..7 if !open.is_empty() => {
                let (id, index, attempt) = open.remove(object % open.len());
                let outcome = OUTCOMES[usize::from(verb / 8) % OUTCOMES.len()];
                let done = matches!(outcome, Outcome::Completed | Outcome::Diverged);
                let gives_up = outcome == Outcome::Failed && object.is_multiple_of(2);
                records.push(if gives_up {
                    failed.push((id, index));
                    failed_for_good(id, index, attempt)
                } else {
                    ended(id, index, attempt, outcome)
                });
                if done {
                    trained.push((id, index));
                } else if !gives_up {
                    pending.push((id, index));
                }
            }
            7 if verb % 3 == 0 && !trained.is_empty() && !pending.is_empty() => {
                let (source, from) = trained[object % trained.len()];
                let (id, index) = pending.remove(object % pending.len());
                records.push(reused(id, &[(index, source, from)]));
            }
            7 if verb > 128 && !failed.is_empty() => {
                let (id, index) = failed.remove(object % failed.len());
                pending.push((id, index));
                records.push(retried(id, &[index]));
            }
            7 if (64..96).contains(&verb) && !deleted.contains(&(1 + object as u128 % 3)) => {
                let text = format!("note {object}");
                records.push(noted(1 + object as u128 % 3, (!object.is_multiple_of(5)).then_some(&*text)));
            }
            7 if verb < 64 && !deleted.contains(&(1 + object as u128 % 3)) => {
                let state = if object.is_multiple_of(2) { SweepState::Paused } else { SweepState::Running };
                records.push(state_changed(1 + object as u128 % 3, state));
            }
            7 if verb > 240 && !deleted.contains(&(1 + object as u128 % 3)) => {
                let id = 1 + object as u128 % 3;
                records.push(state_changed(id, SweepState::Cancelled));
                if object.is_multiple_of(2) {
                    records.push(Record::Deleted(sweep(id)));
                    deleted.push(id);
                    pending.retain(|of| of.0 != id);
                    open.retain(|of| of.0 != id);
                    failed.retain(|of| of.0 != id);
                    trained.retain(|of| of.0 != id);
                }
            }
            _ => records.push(late(1 + object as u128 % 3, 3, 1 + object as u64 % 20)),
        }
    }
    records
}
