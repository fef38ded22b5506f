//! A coordinator with results, whose page the tests open.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use biosweep_common::configuration::TrialKey;
use biosweep_common::results::curve::{CurvePoint, Score};
use biosweep_common::results::outcome::{Outcome, TrialStatus};
use biosweep_common::spec::{Format, SweepSpec};
use biosweep_common::vocabulary::ids::{Attempt, SweepId, TrajectoryIndex, TrialIndex, WorkerId};
use biosweep_common::vocabulary::time::WallTime;
use biosweep_host::id::new_id;
use biosweep_scheduler::record::{Ending, LeaseRow, Record, Submission, TrialResult};
use biosweep_tests::browser::{Browser, Programs};
use biosweep_tests::cluster::Cluster;
use serde_json::json;
use tokio::runtime::Runtime;

/// 72 configurations with two seeds each, so that the table has two pages.
pub(crate) const SPEC: &str = r#"
name = "small"
[data]
dataset = "synthetic-digits"
[train]
optimizer = "adam"
max_updates = 400
eval_every = 100
[grid]
rule = ["bp", "fa", "dfa"]
network = "dn"
depth = [2, 3, 4]
learning_rate = [1e-4, 2e-4, 3e-4, 4e-4, 5e-4, 6e-4, 7e-4, 8e-4]
seed = [0, 1]
"#;
/// Number of trials of [`SPEC`].
pub(crate) const TRIALS: u64 = 144;
/// Number of its trials that have ended: the last configuration waits.
pub(crate) const ENDED: u64 = 142;
/// The trials that have failed and diverged.
pub(crate) const FAILED: u64 = 5;
pub(crate) const DIVERGED: u64 = 9;
/// The time of submission: in 2026.
const AT: WallTime = WallTime(1_780_000_000_000);

/// A coordinator with a sweep.
pub(crate) struct Site {
    pub(crate) cluster: Cluster,
    pub(crate) sweep: SweepId,
}

impl Site {
    /// A coordinator with the results of [`SPEC`].
    pub(crate) fn start() -> Self {
        Self::named("small", "worker-1")
    }

    /// The same with other names of the sweep and of the worker that has trained.
    pub(crate) fn named(name: &str, worker: &str) -> Self {
        let mut cluster = Cluster::new(None);
        let text = SPEC.replacen("\"small\"", &json!(name).to_string(), 1);
        let runtime = Runtime::new().expect("a runtime");
        let sweep = runtime.block_on(fill(cluster.home().path(), text, worker));
        cluster.serve();
        let _sweeps = cluster.json(&["list"]);
        Self { cluster, sweep }
    }

    /// The address of a page; `""` is that of the first one.
    pub(crate) fn url(&self, page: &str) -> String {
        format!("{}{page}", self.cluster.url())
    }

    /// The address of a page of the sweep.
    pub(crate) fn of_sweep(&self, page: &str) -> String {
        format!("{}/sweeps/{}{page}", self.cluster.url(), self.sweep)
    }
}

/// A browser, unless it is not installed.
pub(crate) fn browser() -> Option<Browser> {
    Some(Browser::start(&Programs::find()?))
}

/// The folder into which pictures of the pages are written: the value of `BIOSWEEP_PICTURES`, if it is set.
pub(crate) fn pictures() -> Option<PathBuf> {
    std::env::var_os("BIOSWEEP_PICTURES").map(PathBuf::from)
}

/// The key of a trial of [`SPEC`].
pub(crate) fn key(trial: u64) -> TrialKey {
    let spec = SweepSpec::parse(SPEC, Format::Toml, "spec").expect("the spec is valid");
    spec.grid.configuration(TrialIndex(trial)).expect("a trial").key()
}

/// Fills the store of a home with a running sweep and its results.
async fn fill(home: &Path, text: String, worker_name: &str) -> SweepId {
    let store = biosweep_store::open(home, None).await.expect("a store");
    let (spec, text) = SweepSpec::parse_to_store(text, Format::Toml, "spec").expect("the spec is valid");
    assert_eq!(spec.grid.trials(), TRIALS);
    let (sweep, worker) = (new_id::<SweepId>(), new_id::<WorkerId>());
    let lease = LeaseRow {
        attempt: Attempt(1),
        sweep,
        first: TrajectoryIndex(0),
        count: ENDED,
        worker,
        worker_name: worker_name.to_owned(),
        at: AT,
        environment: Arc::default(),
    };
    let mut records = vec![Record::Submitted(Submission::new(sweep, &spec, text, AT)), Record::Leased(lease)];
    records.extend((0..ENDED).map(|trial| Record::Ended(Box::new(ending(sweep, trial, worker_name)))));
    store.commit(&records).await.expect("there is room");
    sweep
}

/// The end of a trial: the accuracy is higher, the shallower the network.
fn ending(sweep: SweepId, trial: u64, worker_name: &str) -> Ending {
    let drawn = (trial.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % 1_000;
    let best = 0.9 - 0.1 * (trial / 16 % 3) as f64 - drawn as f64 / 1e4;
    let (outcome, status) = match trial {
        FAILED => (Outcome::Failed, TrialStatus::Failed),
        DIVERGED => (Outcome::Diverged, TrialStatus::Diverged),
        _ => (Outcome::Completed, TrialStatus::Completed),
    };
    let point = |update: u64| {
        let accuracy = best * (1.0 - 0.5_f64.powf(update as f64 / 50.0)) / (1.0 - 0.5_f64.powf(8.0));
        CurvePoint { update, train_loss: 1.0 - accuracy, validation_accuracy: accuracy, test_accuracy: Some(accuracy) }
    };
    let is_complete = status == TrialStatus::Completed;
    let score = Score { validation_accuracy: best, test_accuracy: best, best_update: 400, updates: 400 };
    let cause = (outcome == Outcome::Failed).then(|| "no space left on the device".to_owned());
    Ending {
        sweep,
        trajectory: TrajectoryIndex(trial),
        attempt: Attempt(1),
        outcome,
        cause,
        updates: 400,
        at: AT,
        results: vec![TrialResult {
            trial: TrialIndex(trial),
            key: key(trial),
            status,
            score: is_complete.then_some(score),
            updates: 400,
            attempts: 1,
            worker_name: worker_name.to_owned(),
            seconds: 12.5,
            reused_from: None,
            environment: None,
        }],
        curve: if is_complete { (1..=4).map(|step| point(100 * step)).collect() } else { Vec::new() },
        diagnostics: Vec::new(),
        dataset: None,
    }
}
