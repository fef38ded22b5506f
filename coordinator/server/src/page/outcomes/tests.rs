//! Tests of the outcomes in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use biosweep_analysis::replicates::REPLICATES;
use biosweep_analysis::replicates::mean::mean_of;
use biosweep_common::configuration::Point;
use biosweep_common::results::curve::Score;
use biosweep_common::results::outcome::{Outcome as AttemptOutcome, TrialStatus};
use biosweep_common::settings::{Setting, Value};
use biosweep_common::spec::{Format, SweepSpec};
use biosweep_common::vocabulary::ids::{Attempt, SweepId, TrajectoryIndex, TrialIndex};
use biosweep_common::vocabulary::time::WallTime;
use biosweep_host::clock::Clock;
use biosweep_host::id::new_id;
use biosweep_scheduler::event::Now;
use biosweep_scheduler::record::{Ending, LeaseRow, OutcomeRow, Record, Restored, RetriedRow, TrialResult};
use biosweep_scheduler::scheduler::Scheduler;
use biosweep_store::Store as _;
use biosweep_store::memory::Memory;
use tokio_util::task::TaskTracker;

use super::select::{Order, Query, SortBy};
use super::table::Outcomes;
use super::*;
use crate::driver::{self, tests::submitted};
use crate::host::TIMEOUTS;

const HEAD: &str = "name = \"s\"\n[data]\ndataset = \"synthetic-digits\"\n[train]\nmax_updates = 1\n";

/// Specs whose grids are different in kind: one block, zipped axes, several blocks with common configurations, a setting that
/// applies to some rules only, and one trial.
const GRIDS: &[&str] = &[
    "[grid]\nrule = [\"bp\", \"fa\"]\nnetwork = [\"nn\", \"dn\"]\ndepth = [1, 2]\nlearning_rate = [0.1, 0.01]\nfold = [0, 1, 2]\nseed = [0, 1]\n",
    "[grid]\nrule = \"bp\"\nnetwork = \"nn\"\ndepth = [1, 2, 3]\nlearning_rate = [0.3, 0.2, 0.1]\nseed = [5, 6, 7]\nzip = [[\"depth\", \"learning_rate\", \"seed\"]]\n",
    "[grid]\nrule = \"bp\"\nnetwork = \"nn\"\n[[block]]\ndepth = [1, 2]\nseed = [0, 1]\n[[block]]\ndepth = [2, 3]\nseed = [2, 3]\n",
    "[grid]\nnetwork = \"nn\"\ndepth = 2\nfold = [0, 1]\n[[block]]\nrule = \"bp\"\n[[block]]\nrule = \"dtp\"\ntarget_step = [0.1, 0.2]\n",
    "[grid]\nrule = \"bp\"\nnetwork = \"nn\"\ndepth = 1\n",
];

fn spec(grid: &str) -> SweepSpec {
    SweepSpec::parse(&format!("{HEAD}{grid}"), Format::Toml, "s").unwrap_or_else(|error| panic!("{grid}: {error}"))
}

fn outcomes(spec: &SweepSpec) -> Outcomes {
    Outcomes::of(&spec.grid, |_| Some(0.1))
}

fn result(trial: u64, status: TrialStatus, accuracy: f64) -> TrialResult {
    let score = Score { validation_accuracy: accuracy, test_accuracy: accuracy / 2.0, best_update: 1, updates: 1 };
    TrialResult {
        trial: TrialIndex(trial),
        key: biosweep_common::configuration::TrialKey([0; 32]),
        status,
        score: (status == TrialStatus::Completed).then_some(score),
        updates: 1,
        attempts: 1,
        worker_name: "w".to_owned(),
        seconds: 1.0,
        reused_from: None,
        environment: None,
    }
}

fn row(trial: u64, status: TrialStatus, accuracy: f64) -> OutcomeRow {
    OutcomeRow::from(&result(trial, status, accuracy))
}

/// A number without a pattern, below `many`.
fn drawn(index: u64, many: u64) -> u64 {
    (index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 24) % many
}

#[test]
fn a_cell_has_the_trials_that_differ_in_fold_and_seed_only() {
    for grid in GRIDS {
        let spec = spec(grid);
        let outcomes = outcomes(&spec);
        let mut expected: BTreeMap<Vec<(Setting, String)>, BTreeSet<u32>> = BTreeMap::new();
        for trial in 0..spec.grid.trials() {
            let point = spec.grid.point(TrialIndex(trial)).expect("a trial");
            let key = point.iter().filter(|(setting, _)| !REPLICATES.contains(setting));
            let key = key.map(|(&setting, value)| (setting, value.to_string())).collect();
            expected.entry(key).or_default().insert(trial as u32);
        }
        let cells: BTreeSet<BTreeSet<u32>> =
            (0..outcomes.cells()).map(|cell| outcomes.trials_of(cell).iter().copied().collect()).collect();
        assert_eq!(cells, expected.into_values().collect(), "{grid}");
        for cell in 0..outcomes.cells() {
            for &trial in outcomes.trials_of(cell) {
                let point = spec.grid.point(TrialIndex(u64::from(trial))).expect("a trial");
                for (i, axis) in outcomes.axes().enumerate() {
                    assert_eq!(outcomes.value(cell, i), point.get(&axis.setting), "{grid} {trial} {:?}", axis.setting);
                }
                for (setting, value) in REPLICATES.iter().zip(outcomes.replicate(trial)) {
                    assert_eq!(value, point.get(setting), "{grid} {trial}");
                }
            }
        }
    }
}

/// Outcomes of all kinds, drawn for each trial.
fn filled(spec: &SweepSpec) -> Outcomes {
    let mut outcomes = outcomes(spec);
    for trial in 0..spec.grid.trials() {
        let status = match drawn(trial, 5) {
            0 => continue,
            1 => TrialStatus::Diverged,
            2 => TrialStatus::Failed,
            _ => TrialStatus::Completed,
        };
        outcomes.set(&row(trial, status, drawn(trial, 1_000) as f64 / 1e3));
    }
    outcomes
}

#[test]
fn counts_and_means_are_those_of_the_analysis() {
    for grid in GRIDS {
        let spec = spec(grid);
        let outcomes = filled(&spec);
        let rows = outcomes.select(&Query::default()).rows;
        assert_eq!(rows.len(), outcomes.cells() as usize);
        for row in rows {
            let trials = outcomes.trials_of(row.cell);
            let outcomes_ref = &outcomes;
            let of = |status| {
                trials.iter().filter(move |&&trial| outcomes_ref.outcome(trial).is_some_and(|one| one.status == status))
            };
            let counts =
                [TrialStatus::Completed, TrialStatus::Diverged, TrialStatus::Failed].map(|status| of(status).count());
            let summary = row.summary;
            assert_eq!(counts, [summary.completed, summary.diverged, summary.failed].map(|count| count as usize));
            let (validation, test) = outcomes.accuracies(row.cell, trials);
            let near = |mean: Option<f64>, exact: Option<f64>| match (mean, exact) {
                (Some(mean), Some(exact)) => (mean - exact).abs() < 1e-12,
                (mean, exact) => mean.is_none() && exact.is_none(),
            };
            assert!(near(summary.validation, mean_of(validation).map(|mean| mean.mean)), "{grid} {row:?}");
            assert!(near(summary.test, mean_of(test).map(|mean| mean.mean)), "{grid} {row:?}");
        }
    }
}

#[test]
fn a_filter_means_trials_with_these_settings() {
    let spec = spec(GRIDS[0]);
    let outcomes = filled(&spec);
    let all = |settings: &Point, trial: u32| {
        let point = spec.grid.point(TrialIndex(u64::from(trial))).expect("a trial");
        settings.iter().all(|(setting, value)| point.get(setting) == Some(value))
    };
    let filters = [
        vec![(Setting::Rule, Value::Name("fa".into()))],
        vec![(Setting::Rule, Value::Name("fa".into())), (Setting::Depth, Value::Integer(2))],
        vec![(Setting::Fold, Value::Integer(1))],
        vec![(Setting::LearningRate, Value::Real(0.01)), (Setting::Seed, Value::Integer(1))],
        vec![(Setting::Depth, Value::Integer(9))],
    ];
    for filter in filters {
        let settings: Point = filter.into_iter().collect();
        let rows = outcomes.select(&Query { settings: settings.clone(), ..Query::default() }).rows;
        let found: BTreeSet<u32> = rows.iter().flat_map(|row| outcomes.replicates_of(row.cell, &settings)).collect();
        let expected: BTreeSet<u32> = (0..spec.grid.trials() as u32).filter(|&trial| all(&settings, trial)).collect();
        assert_eq!(found, expected, "{settings:?}");
        assert_eq!(rows.iter().map(|row| row.summary.planned).sum::<u32>() as usize, expected.len());
    }
    let diverged = Query { status: Some(TrialStatus::Diverged), ..Query::default() };
    let rows = outcomes.select(&diverged).rows;
    assert!(!rows.is_empty() && rows.iter().all(|row| row.summary.diverged > 0));
}

#[test]
fn pages_have_each_cell_once_in_every_order() {
    let spec = spec(GRIDS[0]);
    let outcomes = filled(&spec);
    for by in [
        SortBy::Trial,
        SortBy::Setting(Setting::Depth),
        SortBy::Validation,
        SortBy::Test,
        SortBy::Ended,
        SortBy::Diverged,
        SortBy::Failed,
    ] {
        for is_descending in [false, true] {
            let order = Order { by, is_descending };
            assert_eq!(order.to_string().parse(), Ok(order));
            let selection = outcomes.select(&Query { order, ..Query::default() });
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let page = selection.page(after, 3);
                let Some(last) = page.last() else { break };
                assert_eq!(selection.place_of(&page[0]), seen.len());
                seen.extend(page.iter().map(|row| row.cell));
                // A cursor travels as text.
                after = Some(last.cursor().to_string().parse().expect("a cursor"));
            }
            assert_eq!(seen, selection.rows.iter().map(|row| row.cell).collect::<Vec<_>>(), "{order}");
            assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), outcomes.cells() as usize, "{order}");
        }
    }
}

#[test]
fn cells_without_a_mean_come_last_in_both_directions() {
    let spec = spec("[grid]\nrule = \"bp\"\nnetwork = \"nn\"\ndepth = [1, 2, 3]\n");
    let mut outcomes = outcomes(&spec);
    outcomes.set(&row(0, TrialStatus::Completed, 0.5));
    outcomes.set(&row(2, TrialStatus::Completed, 0.9));
    let order = |is_descending| {
        let order = Order { by: SortBy::Validation, is_descending };
        outcomes.select(&Query { order, ..Query::default() }).rows.iter().map(|row| row.cell).collect::<Vec<_>>()
    };
    assert_eq!((order(false), order(true)), (vec![0, 2, 1], vec![2, 0, 1]));
}

#[test]
fn a_result_that_comes_in_between_two_pages_moves_no_other_row() {
    let spec = spec("[grid]\nrule = \"bp\"\nnetwork = \"nn\"\ndepth = { from = 1, count = 20 }\n");
    let mut outcomes = outcomes(&spec);
    (0..20).step_by(2).for_each(|trial| outcomes.set(&row(trial, TrialStatus::Completed, trial as f64 / 100.0)));
    let query = Query { order: Order { by: SortBy::Test, is_descending: true }, ..Query::default() };
    let first = outcomes.select(&query);
    let page = first.page(None, 4).to_vec();
    // A better cell than all of the first page, and one that belongs to a later page.
    outcomes.set(&row(1, TrialStatus::Completed, 0.99));
    outcomes.set(&row(3, TrialStatus::Completed, 0.03));
    let second = outcomes.select(&query);
    let rest: Vec<u32> = second.page(page.last().map(Row::cursor), 100).iter().map(|row| row.cell).collect();
    let shown: Vec<u32> = page.iter().map(|row| row.cell).collect();
    assert!(shown.iter().all(|cell| !rest.contains(cell)), "{shown:?} {rest:?}");
    assert_eq!(shown.len() + rest.len(), 19, "only the new best one is on an earlier page");
    assert!(rest.contains(&3));
}

fn ended(sweep: SweepId, results: Vec<TrialResult>) -> Record {
    Record::Ended(Box::new(Ending {
        sweep,
        trajectory: TrajectoryIndex(0),
        attempt: Attempt(1),
        outcome: AttemptOutcome::Completed,
        cause: None,
        updates: 1,
        at: WallTime(0),
        results,
        curve: Vec::new(),
        diagnostics: Vec::new(),
        dataset: None,
    }))
}

#[tokio::test]
async fn outcomes_follow_what_is_committed() {
    let (clock, id) = (Clock::start(), new_id::<SweepId>());
    let now = Now { tick: clock.now(), wall: clock.wall() };
    let scheduler = Scheduler::restore(TIMEOUTS, now, &Restored::default(), Vec::new());
    let (handle, _) = driver::start(scheduler, Arc::new(Memory::default()), clock);
    let mut committed = handle.committed();
    handle.apply(submitted(id)).await.expect("there is room");
    let records = committed.recv().await.expect("the submission was committed");
    assert!(records.iter().any(|record| matches!(record, Record::Submitted(_))), "{records:?}");

    let cache = Cache::new(handle, TaskTracker::new());
    let board = cache.board(id).await.expect("it is read");
    let status = || board.read(|outcomes| [0, 1].map(|trial| outcomes.outcome(trial).map(|one| one.status)));
    assert_eq!(status(), [None, None]);
    let version = board.version();
    cache.apply(&[ended(id, vec![result(1, TrialStatus::Failed, 0.0)])]);
    assert_eq!(status(), [None, Some(TrialStatus::Failed)]);
    assert!(board.version() > version);
    cache.apply(&[ended(new_id(), vec![result(0, TrialStatus::Failed, 0.0)])]);
    assert_eq!(status(), [None, Some(TrialStatus::Failed)], "of another sweep");
    let retried = RetriedRow { trajectory: TrajectoryIndex(1), first_trial: TrialIndex(1), trials: 1 };
    cache.apply(&[Record::Retried { sweep: id, trajectories: vec![retried] }]);
    assert_eq!(status(), [None, None]);
    cache.apply(&[Record::Deleted(id)]);
    let again = cache.board(id).await.expect("the store still has it");
    again.read(|outcomes| assert_eq!(outcomes.cells(), 1));
    assert!(again.version() > board.version(), "no two states have one version");
}

#[tokio::test]
async fn a_change_during_the_first_read_is_newer_than_the_store() {
    let (clock, id) = (Clock::start(), new_id::<SweepId>());
    let now = Now { tick: clock.now(), wall: clock.wall() };
    let scheduler = Scheduler::restore(TIMEOUTS, now, &Restored::default(), Vec::new());
    let store = Arc::new(Memory::default());
    let (handle, _) = driver::start(scheduler, store.clone(), clock);
    handle.apply(submitted(id)).await.expect("there is room");
    let lease = LeaseRow {
        attempt: Attempt(1),
        sweep: id,
        first: TrajectoryIndex(0),
        count: 2,
        worker: new_id(),
        worker_name: "w".to_owned(),
        environment: Arc::default(),
        at: WallTime(0),
    };
    let failed = ended(id, vec![result(0, TrialStatus::Failed, 0.0)]);
    store.commit(&[Record::Leased(lease), failed]).await.expect("a valid batch");

    let cache = Cache::new(handle, TaskTracker::new());
    let board = cache.begin(id).await.expect("it is entered");
    let retried = RetriedRow { trajectory: TrajectoryIndex(0), first_trial: TrialIndex(0), trials: 1 };
    cache.apply(&[Record::Retried { sweep: id, trajectories: vec![retried] }]);
    cache.fill(id, &board).await.expect("it is read");
    let status = |trial| board.read(|outcomes| outcomes.outcome(trial).map(|one| one.status));
    assert_eq!((status(0), status(1)), (None, None));
}

#[tokio::test]
async fn a_sweep_with_too_many_trials_says_so() {
    let text =
        format!("{HEAD}[grid]\nrule = \"bp\"\nnetwork = \"nn\"\ndepth = 1\nseed = {{ from = 0, count = 1_000_001 }}\n");
    let (spec, text) = SweepSpec::parse_to_store(text, Format::Toml, "large").expect("a good spec");
    let (clock, id) = (Clock::start(), new_id::<SweepId>());
    let now = Now { tick: clock.now(), wall: clock.wall() };
    let scheduler = Scheduler::restore(TIMEOUTS, now, &Restored::default(), Vec::new());
    let store = Arc::new(Memory::default());
    let submission = biosweep_scheduler::record::Submission::new(id, &spec, text, WallTime(0));
    store.commit(&[Record::Submitted(submission)]).await.expect("a valid batch");
    let (handle, _) = driver::start(scheduler, store, clock);
    let error = Cache::new(handle, TaskTracker::new()).board(id).await.err().expect("it is too large").to_string();
    assert!(error.contains("1000001 trials") && error.contains("biosweep export"), "{error}");
}
