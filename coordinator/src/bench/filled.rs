//! A store that is filled with results of a sweep before a measurement.

use std::path::Path;
use std::sync::Arc;

use biosweep_common::results::curve::{CurvePoint, Score};
use biosweep_common::results::outcome::{Outcome, TrialStatus};
use biosweep_common::spec::{Format, SweepSpec};
use biosweep_common::vocabulary::ids::{Attempt, SweepId, TrajectoryIndex, TrialIndex, WorkerId};
use biosweep_common::vocabulary::time::WallTime;
use biosweep_host::id::new_id;
use biosweep_scheduler::record::{Ending, LeaseRow, Record, Submission, TrialResult};
use biosweep_store::{self, Store, StoreError};

use super::spec_of;

/// Number of points that are recorded in one transaction.
const FILL: u64 = 20_000;

/// What a store is filled with: a sweep of `trials` trials, which is still running, with `completed` results, each with a
/// learning curve of `points` points.
#[derive(Debug, Clone, Copy)]
pub(super) struct Content {
    pub(super) trials: u64,
    pub(super) completed: u64,
    pub(super) points: u64,
}

/// Fills the store of a home with one sweep.
pub(super) async fn fill(home: &Path, content: Content) -> Result<(), StoreError> {
    let Content { trials, completed, points } = content;
    let store = biosweep_store::open(home, None).await?;
    add(store.as_ref(), spec_of(trials), completed, points, 0).await
}

/// Adds a sweep with this spec to a store. `attempts` is the number of attempts in the store.
pub(super) async fn add(
    store: &dyn Store,
    spec: String,
    completed: u64,
    points: u64,
    attempts: u64,
) -> Result<(), StoreError> {
    let (spec, text) = SweepSpec::parse_to_store(spec, Format::Toml, "bench").expect("the spec is valid");
    let key = |index| spec.grid.configuration(TrialIndex(index)).expect("a trial of the sweep").key();
    let (sweep, at) = (new_id::<SweepId>(), WallTime(0));
    let submission = Submission::new(sweep, &spec, text, at);
    store.commit(&[Record::Submitted(submission)]).await?;
    let worker = new_id::<WorkerId>();
    let batch = (FILL / points.max(1)).max(1);
    for (attempt, first) in
        (attempts + 1..).map(Attempt).zip((0..completed).step_by(usize::try_from(batch).unwrap_or(1)))
    {
        let count = batch.min(completed - first);
        let worker_name = "bench".to_owned();
        let lease = LeaseRow {
            attempt,
            sweep,
            first: TrajectoryIndex(first),
            count,
            worker,
            worker_name: worker_name.clone(),
            at,
            environment: Arc::default(),
        };
        let ending = |index: u64| {
            // Values without a pattern that a compressed file could use.
            let drawn =
                |update: u64, many: u64| ((index * 1_000 + update).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16) % many;
            let point = |update| {
                let accuracy = drawn(update, 10_000) as f64 / 1e4;
                let train_loss = drawn(update, 1 << 40) as f64 / 1e12;
                CurvePoint { update, train_loss, validation_accuracy: accuracy, test_accuracy: Some(accuracy) }
            };
            let accuracy = drawn(1, 10_000) as f64 / 1e4;
            let score = Score { validation_accuracy: accuracy, test_accuracy: accuracy, best_update: 1, updates: 1 };
            let result = TrialResult {
                trial: TrialIndex(index),
                key: key(index),
                status: TrialStatus::Completed,
                score: Some(score),
                updates: 1,
                attempts: 1,
                worker_name: worker_name.clone(),
                seconds: 0.0,
                reused_from: None,
                environment: None,
            };
            Record::Ended(Box::new(Ending {
                sweep,
                trajectory: TrajectoryIndex(index),
                attempt,
                outcome: Outcome::Completed,
                cause: None,
                updates: 1,
                at,
                results: vec![result],
                curve: (1..=points).map(point).collect(),
                diagnostics: Vec::new(),
                dataset: None,
            }))
        };
        let records: Vec<Record> =
            std::iter::once(Record::Leased(lease)).chain((first..first + count).map(ending)).collect();
        store.commit(&records).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{BufRead as _, BufReader};
    use std::process::{Command, Stdio};

    use biosweep_tests::program;

    use super::*;

    #[tokio::test]
    async fn the_memory_of_an_export_does_not_grow_with_the_rows() {
        const ROWS: u64 = 150_000;
        const MOST_KIB: u64 = 150 << 10;
        let home = tempfile::tempdir().expect("a folder");
        fill(home.path(), Content { trials: ROWS, completed: ROWS, points: 1 }).await.expect("there is room");
        let mut command = Command::new(program("biosweep"));
        command.args(["results", "bench", "--format", "csv", "--home"]).arg(home.path());
        command.env_remove("BIOSWEEP_COORDINATOR").env_remove("BIOSWEEP_STORE");
        let mut export = command.stdout(Stdio::piped()).spawn().expect("it starts");
        let mut lines = BufReader::new(export.stdout.take().expect("a pipe")).lines();
        // The header and nearly all rows. The rest is more than the pipe holds, so the export waits for its reader.
        assert_eq!(lines.by_ref().take(ROWS as usize - 5_000).filter(Result::is_ok).count(), ROWS as usize - 5_000);
        let status = fs::read_to_string(format!("/proc/{}/status", export.id())).expect("it is still running");
        let most =
            status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        assert_eq!(lines.filter(Result::is_ok).count(), 5_001);
        assert!(export.wait().expect("it ends").success());
        let most: u64 = most.expect("a number");
        assert!(most < MOST_KIB, "{most} KiB");
    }
}
