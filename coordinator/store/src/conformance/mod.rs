//! The test suite that every store must pass.

mod access;
mod archives;
mod histories;
pub(super) mod samples;

use std::sync::Arc;

use biosweep_common::configuration::TrialKey;
use biosweep_common::results::curve::{CurvePoint, Score};
use biosweep_common::results::outcome::{Outcome, SweepState, TrialStatus};
use biosweep_common::results::views::IncompleteCause;
use biosweep_common::spec::{Format, SpecText};
use biosweep_common::vocabulary::dataset::DatasetSize;
use biosweep_common::vocabulary::diagnostics::{DiagnosticPoint, Measure};
use biosweep_common::vocabulary::ids::{Attempt, SweepId, TrajectoryIndex, TrialIndex, TrialRef, WorkerId};
use biosweep_common::vocabulary::time::WallTime;
use biosweep_common::workers::environment::NumericEnvironment;
use biosweep_scheduler::record::{
    AttemptRow, CurveRow, DatasetRow, Ending, Extension, FailureRow, FailureStatus, LeaseRow, OutcomeRow,
    QuarantineRow, Record, Restored, RestoredSweep, RetriedRow, ReusedRow, SourceRow, Submission, TrialResult,
};
use biosweep_tests::postgres::Server;
use uuid::Uuid;

use super::memory::Memory;
use crate::{Store, StoreError, sql};
use access::*;
use archives::*;
use samples::*;

/// Declares each claim as a test for each store.
macro_rules! claims {
    ($($claim:ident)+) => {
        mod in_memory {
            $(#[tokio::test]
            async fn $claim() {
                super::$claim(&super::Memory::default()).await;
            })+
        }
        mod in_sqlite {
            $(#[tokio::test]
            async fn $claim() {
                let home = tempfile::tempdir().expect("a directory");
                super::$claim(&super::sql::sqlite::open(home.path()).await.expect("a store")).await;
            })+
        }
        /// All on one server, each with its own database, because a server takes a second to start.
        #[tokio::test]
        async fn in_postgres() {
            let server = Server::start();
            $({
                println!("{}", stringify!($claim));
                let url = server.database(stringify!($claim));
                $claim(&sql::postgres::open(&url).await.expect("a store")).await;
            })+
        }
    };
}

claims! {
    an_empty_store_has_nothing
    a_sweep_reads_back_with_its_state_and_counts
    results_read_back_in_order_from_an_index_up_to_a_limit
    curves_read_back_in_order_from_an_index_up_to_a_limit
    a_dataset_is_stored_once_with_its_first_counts
    incomplete_attempts_come_latest_first_up_to_a_limit
    causes_of_incomplete_attempts_come_most_frequent_first_up_to_a_limit
    a_lease_stays_open_until_each_of_its_trajectories_has_ended
    attempts_are_counted_until_the_trajectory_is_done
    worker_losses_are_kept_until_a_trajectory_is_done_or_retried
    failures_are_kept_and_counted_since_the_owners_last_action
    ranges_of_done_trajectories_are_merged_in_any_order
    only_running_and_paused_sweeps_are_restored
    every_sweep_can_be_restored_separately
    a_reused_trajectory_has_its_results_and_the_curve_of_its_source
    a_trajectory_is_reused_once_and_refers_to_a_trained_source
    sources_are_trained_trajectories_that_did_not_fail
    results_are_found_by_the_start_of_their_key
    a_sweep_can_be_extended_several_times
    a_note_stays_until_it_is_replaced_or_removed
    a_token_is_used_up_by_enrolments
    a_revoked_token_takes_its_workers_along
    workers_without_a_certificate_are_forgotten_but_for_revoked_ones
    only_failed_trajectories_can_be_retried
    a_deleted_sweep_is_gone_and_results_reused_by_others_stay
    counts_since_the_last_action_are_right_after_a_deletion
    a_worker_is_in_quarantine_until_it_is_released
    a_late_report_changes_no_result
    a_second_result_of_a_trial_is_refused
    a_batch_with_a_contradiction_is_refused_as_a_whole
    numbers_and_texts_that_some_store_cannot_hold_are_refused
    an_imported_sweep_is_the_archived_one
    a_source_that_is_not_here_is_not_a_deleted_one
    a_failed_import_leaves_nothing
}

async fn an_empty_store_has_nothing(store: &dyn Store) {
    let restored = store.restore().await.expect("restores");
    assert_eq!(restored, Restored { store: restored.store, ..Restored::default() });
    assert_eq!(store.sweeps().await.expect("reads"), []);
    assert_eq!(store.sweep(sweep(1)).await.expect("reads"), None);
    assert_eq!(store.results(sweep(1), TrialIndex(0), 9).await.expect("reads"), []);
    assert_eq!(store.curves(sweep(1), 0, 9).await.expect("reads"), []);
    assert_eq!(store.incomplete_attempts(sweep(1), 9).await.expect("reads"), []);
    assert_eq!(store.incomplete_causes(sweep(1), 9).await.expect("reads"), []);
    store.commit(&[]).await.expect("an empty batch is accepted");
}

async fn a_sweep_reads_back_with_its_state_and_counts(store: &dyn Store) {
    let mut younger = submission(1);
    younger.spec.format = Format::Yaml;
    commit(store, &[Record::Submitted(submission(2)), Record::Submitted(younger.clone()), leased(1, 2, 0, 4)]).await;
    commit(store, &[ended(2, 0, 1, Outcome::Completed), ended(2, 1, 1, Outcome::Diverged)]).await;
    commit(store, &[failed_for_good(2, 2, 1), state_changed(2, SweepState::Cancelled)]).await;
    let row = store.sweep(sweep(2)).await.expect("reads").expect("is there");
    assert_eq!(row.submission, submission(2));
    assert_eq!((row.state, row.state_at), (SweepState::Cancelled, WallTime(5)));
    assert_eq!((row.completed, row.diverged, row.failed), (2, 2, 2));
    let rows = store.sweeps().await.expect("reads");
    assert_eq!(rows[0], row, "the oldest submission is first, whatever its id");
    assert_eq!((&rows[1].submission, rows[1].state, rows.len()), (&younger, SweepState::Running, 2));
    assert_eq!(rows[1].state_at, younger.submitted_at, "a new sweep runs since its submission");
    let summaries = store.summaries().await.expect("reads");
    assert_eq!([summaries[0].state_at, summaries[1].state_at], [row.state_at, younger.submitted_at]);
}

async fn results_read_back_in_order_from_an_index_up_to_a_limit(store: &dyn Store) {
    commit(store, &[Record::Submitted(submission(1)), leased(1, 1, 0, 4)]).await;
    for (trajectory, outcome) in [(3, Outcome::Completed), (0, Outcome::Diverged), (2, Outcome::Completed)] {
        commit(store, &[ended(1, trajectory, 1, outcome)]).await;
    }
    let all = store.results(sweep(1), TrialIndex(0), 100).await.expect("reads");
    let expected: Vec<TrialResult> =
        [(0, TrialStatus::Diverged), (2, TrialStatus::Completed), (3, TrialStatus::Completed)]
            .into_iter()
            .flat_map(|(trajectory, status)| results(trajectory, status))
            .collect();
    assert_eq!(all, expected);
    assert_eq!(store.results(sweep(1), TrialIndex(1), 2).await.expect("reads"), all[1..3]);
    assert_eq!(store.results(sweep(1), TrialIndex(u64::MAX), 9).await.expect("reads"), []);
    let outcomes: Vec<OutcomeRow> = all.iter().map(OutcomeRow::from).collect();
    assert_eq!(store.outcomes(sweep(1), TrialIndex(0), 100).await.expect("reads"), outcomes);
    assert_eq!(store.outcomes(sweep(1), TrialIndex(1), 2).await.expect("reads"), outcomes[1..3]);
}

async fn curves_read_back_in_order_from_an_index_up_to_a_limit(store: &dyn Store) {
    commit(store, &[Record::Submitted(submission(1)), leased(1, 1, 0, 4)]).await;
    commit(store, &[ended(1, 3, 1, Outcome::Completed), ended(1, 0, 1, Outcome::Diverged)]).await;
    commit(store, &[ended(1, 1, 1, Outcome::Preempted), ended(1, 2, 1, Outcome::Completed)]).await;
    let row = |trajectory| CurveRow {
        trajectory: TrajectoryIndex(trajectory),
        points: curve(trajectory),
        diagnostics: diagnostics(trajectory),
    };
    assert_eq!(store.curves(sweep(1), 0, 9).await.expect("reads"), [row(0), row(2), row(3)]);
    assert_eq!(store.curves(sweep(1), 1, 1).await.expect("reads"), [row(2)]);
}

async fn a_dataset_is_stored_once_with_its_first_counts(store: &dyn Store) {
    assert_eq!(store.datasets().await.expect("reads"), []);
    commit(store, &[Record::Submitted(submission(1)), leased(1, 1, 0, 4)]).await;
    let completed = |trajectory| ended(1, trajectory, 1, Outcome::Completed);
    commit(store, &[completed(1), completed(0), completed(2)]).await;
    let Record::Ended(mut other) = completed(3) else { unreachable!() };
    other.dataset = Some(DatasetRow { size: dataset(0).size, ..dataset(1) });
    commit(store, &[Record::Ended(other)]).await;
    assert_eq!(store.datasets().await.expect("reads"), [dataset(0), dataset(1)]);
}

async fn incomplete_attempts_come_latest_first_up_to_a_limit(store: &dyn Store) {
    commit(store, &[Record::Submitted(submission(1)), Record::Submitted(submission(2)), leased(1, 1, 0, 3)]).await;
    commit(store, &[ended(1, 2, 1, Outcome::WorkerLost), ended(1, 0, 1, Outcome::Completed)]).await;
    commit(store, &[ended(1, 1, 1, Outcome::Failed)]).await;
    let row = |trajectory, outcome: Outcome| AttemptRow {
        trajectory: TrajectoryIndex(trajectory),
        attempt: Attempt(1),
        worker_name: "worker of attempt 1".to_owned(),
        outcome,
        cause: cause(outcome),
        at: WallTime(1_000 + trajectory),
    };
    let expected = [row(1, Outcome::Failed), row(2, Outcome::WorkerLost)];
    assert_eq!(store.incomplete_attempts(sweep(1), 9).await.expect("reads"), expected);
    assert_eq!(store.incomplete_attempts(sweep(1), 1).await.expect("reads"), expected[..1]);
    assert_eq!(store.incomplete_attempts(sweep(2), 9).await.expect("reads"), []);
}

async fn causes_of_incomplete_attempts_come_most_frequent_first_up_to_a_limit(store: &dyn Store) {
    commit(store, &[Record::Submitted(submission(1)), Record::Submitted(submission(2)), leased(1, 1, 0, 9)]).await;
    let ended = |trajectory: u64, outcome: Outcome, cause: Option<&str>| {
        let Record::Ended(mut ending) = ended(1, trajectory, 1, outcome) else { unreachable!() };
        ending.cause = cause.map(str::to_owned);
        Record::Ended(ending)
    };
    let endings = [
        ended(5, Outcome::Failed, Some("b\n12 bytes")),
        ended(0, Outcome::Failed, Some("a")),
        ended(1, Outcome::Completed, None),
        ended(2, Outcome::WorkerLost, None),
        ended(3, Outcome::Failed, Some("b\n12 bytes")),
        ended(4, Outcome::Failed, Some("b\n13 bytes")),
        ended(6, Outcome::Preempted, None),
        ended(7, Outcome::WorkerLost, Some("a")),
        ended(8, Outcome::Failed, Some("Ä")),
    ];
    commit(store, &endings).await;
    let group = |outcome, cause: Option<&str>, attempts, latest| IncompleteCause {
        outcome,
        cause: cause.map(str::to_owned),
        attempts,
        latest: WallTime(latest),
    };
    let expected = [
        group(Outcome::Failed, Some("b\n12 bytes"), 2, 1_005),
        group(Outcome::Failed, Some("Ä"), 1, 1_008),
        group(Outcome::WorkerLost, Some("a"), 1, 1_007),
        group(Outcome::Preempted, None, 1, 1_006),
        group(Outcome::Failed, Some("b\n13 bytes"), 1, 1_004),
        group(Outcome::WorkerLost, None, 1, 1_002),
        group(Outcome::Failed, Some("a"), 1, 1_000),
    ];
    assert_eq!(store.incomplete_causes(sweep(1), 99).await.expect("reads"), expected);
    assert_eq!(store.incomplete_causes(sweep(1), 3).await.expect("reads"), expected[..3]);
    assert_eq!(store.incomplete_causes(sweep(2), 9).await.expect("reads"), []);
    commit(store, &[state_changed(1, SweepState::Cancelled), Record::Deleted(sweep(1))]).await;
    assert_eq!(store.incomplete_causes(sweep(1), 9).await.expect("reads"), []);
}

async fn a_lease_stays_open_until_each_of_its_trajectories_has_ended(store: &dyn Store) {
    commit(store, &[Record::Submitted(submission(1)), leased(7, 1, 4, 3), leased(5, 1, 0, 1)]).await;
    let open = async || {
        let restored = store.restore().await.expect("restores");
        let open = |(lease, open): &(LeaseRow, Vec<TrajectoryIndex>)| {
            assert_eq!(Record::Leased(lease.clone()), leased(lease.attempt.0, 1, lease.first.0, lease.count));
            (lease.attempt.0, open.iter().map(|trajectory| trajectory.0).collect::<Vec<_>>())
        };
        restored.sweeps[0].open.iter().map(open).collect::<Vec<_>>()
    };
    assert_eq!(open().await, [(5, vec![0]), (7, vec![4, 5, 6])]);
    commit(store, &[ended(1, 5, 7, Outcome::Completed), ended(1, 0, 5, Outcome::WorkerLost)]).await;
    assert_eq!(open().await, [(7, vec![4, 6])]);
    commit(store, &[ended(1, 6, 7, Outcome::Preempted), ended(1, 4, 7, Outcome::Failed)]).await;
    assert_eq!(open().await, []);
    assert_eq!(store.restore().await.expect("restores").last_attempt, 7);
}

async fn attempts_are_counted_until_the_trajectory_is_done(store: &dyn Store) {
    commit(store, &[Record::Submitted(submission(1))]).await;
    for (attempt, outcome) in [(1, Outcome::WorkerLost), (2, Outcome::Failed), (3, Outcome::Failed)] {
        commit(store, &[leased(attempt, 1, 0, 2), ended(1, 1, attempt, outcome)]).await;
    }
    commit(store, &[ended(1, 0, 1, Outcome::Preempted)]).await;
    let attempts = async || store.restore().await.expect("restores").sweeps[0].attempts.clone();
    assert_eq!(attempts().await, [(TrajectoryIndex(0), 1, 0), (TrajectoryIndex(1), 3, 2)]);
    commit(store, &[leased(4, 1, 1, 1), ended(1, 1, 4, Outcome::Completed)]).await;
    assert_eq!(attempts().await, [(TrajectoryIndex(0), 1, 0)]);
}

async fn worker_losses_are_kept_until_a_trajectory_is_done_or_retried(store: &dyn Store) {
    commit(store, &[Record::Submitted(submission(1))]).await;
    for (attempt, trajectory, outcome) in [
        (1, 0, Outcome::WorkerLost),
        (2, 1, Outcome::WorkerLost),
        (3, 0, Outcome::Preempted),
        (4, 0, Outcome::WorkerLost),
    ] {
        commit(store, &[leased(attempt, 1, trajectory, 1), ended(1, trajectory, attempt, outcome)]).await;
    }
    let deaths =
        async || only(store).await.deaths.into_iter().map(|(index, updates)| (index.0, updates)).collect::<Vec<_>>();
    assert_eq!(deaths().await, [(0, 100), (1, 201), (0, 400)]);
    commit(store, &[leased(5, 1, 1, 1), ended(1, 1, 5, Outcome::Completed)]).await;
    assert_eq!(deaths().await, [(0, 100), (0, 400)]);
    commit(store, &[leased(6, 1, 0, 1), failed_for_good(1, 0, 6)]).await;
    assert_eq!(deaths().await, []);
    commit(store, &[retried(1, &[0]), leased(7, 1, 0, 1), ended(1, 0, 7, Outcome::WorkerLost)]).await;
    assert_eq!(deaths().await, [(0, 700)]);
}

async fn failures_are_kept_and_counted_since_the_owners_last_action(store: &dyn Store) {
    commit(store, &[Record::Submitted(submission(1)), leased(1, 1, 0, 9)]).await;
    let failures = async || {
        let restored = only(store).await;
        let row = |row: FailureRow| {
            assert_eq!((row.worker, row.cause.as_str()), (WorkerId(Uuid::from_u128(1)), "why it is failed"));
            (row.trajectory.0, row.status)
        };
        (restored.failures.into_iter().map(row).collect::<Vec<_>>(), restored.ended)
    };
    commit(store, &[ended(1, 4, 1, Outcome::Failed), ended(1, 0, 1, Outcome::Completed), failed_for_good(1, 2, 1)])
        .await;
    let both = vec![(4, FailureStatus::Fresh), (2, FailureStatus::Fresh)];
    assert_eq!(failures().await, (both.clone(), 1), "a final failure is not a success");
    commit(store, &[ended(1, 1, 1, Outcome::Diverged), paused(1)]).await;
    assert_eq!(failures().await, (both, 2), "a pause alone does not reset the count");

    // In one batch with what ended before.
    commit(store, &[ended(1, 3, 1, Outcome::Completed), state_changed(1, SweepState::Running)]).await;
    assert_eq!(failures().await, (vec![(4, FailureStatus::Seen), (2, FailureStatus::Seen)], 0));
    commit(store, &[ended(1, 5, 1, Outcome::Failed), ended(1, 6, 1, Outcome::Completed)]).await;
    let three = vec![(4, FailureStatus::Seen), (2, FailureStatus::Seen), (5, FailureStatus::Fresh)];
    assert_eq!(failures().await, (three, 1));
    commit(store, &[state_changed(1, SweepState::Finished), retried(1, &[2])]).await;
    commit(store, &[state_changed(1, SweepState::Running)]).await;
    let retried = vec![(4, FailureStatus::Seen), (5, FailureStatus::Past)];
    assert_eq!(failures().await, (retried, 0), "failures of retried trajectories are forgiven");
}

async fn only(store: &dyn Store) -> RestoredSweep {
    store.restore().await.expect("restores").sweeps.remove(0)
}

async fn ranges_of_done_trajectories_are_merged_in_any_order(store: &dyn Store) {
    commit(store, &[Record::Submitted(submission(1)), leased(1, 1, 0, 10)]).await;
    let done = async |trajectories: &[u64]| {
        let endings: Vec<_> = trajectories.iter().map(|&index| ended(1, index, 1, Outcome::Completed)).collect();
        commit(store, &endings).await;
        store.restore().await.expect("restores").sweeps[0].done.clone()
    };
    assert_eq!(done(&[3]).await, [(3, 1)]);
    assert_eq!(done(&[5, 1]).await, [(1, 1), (3, 1), (5, 1)]);
    assert_eq!(done(&[2]).await, [(1, 3), (5, 1)], "a gap of one is closed");
    assert_eq!(done(&[0, 9]).await, [(0, 4), (5, 1), (9, 1)]);
    assert_eq!(done(&[8, 6, 7, 4]).await, [(0, 10)]);
}

async fn only_running_and_paused_sweeps_are_restored(store: &dyn Store) {
    commit(store, &(1..=3).map(|id| Record::Submitted(submission(id))).collect::<Vec<_>>()).await;
    commit(store, &[leased(9, 1, 0, 1), state_changed(1, SweepState::Cancelled)]).await;
    commit(store, &[state_changed(3, SweepState::Finished)]).await;
    let restored = store.restore().await.expect("restores");
    assert_eq!(restored.sweeps.iter().map(|sweep| sweep.row.submission.id).collect::<Vec<_>>(), [sweep(2)]);
    commit(store, &[paused(2)]).await;
    let again = store.restore().await.expect("restores").sweeps.remove(0).row;
    assert_eq!((again.state, again.reason.as_deref()), (SweepState::Paused, Some("it was too hot")));
    commit(store, &[state_changed(2, SweepState::Running)]).await;
    assert_eq!(
        store.restore().await.expect("restores").sweeps[0].row.reason,
        None,
        "a reason is removed with its state"
    );
    assert_eq!(restored.last_attempt, 9, "a fencing number is never used twice");
}

async fn every_sweep_can_be_restored_separately(store: &dyn Store) {
    commit(store, &[Record::Submitted(submission(1)), leased(4, 1, 0, 3), ended(1, 1, 4, Outcome::Completed)]).await;
    let alone = store.restore_sweep(sweep(1)).await.expect("restores");
    assert_eq!(alone.as_ref(), store.restore().await.expect("restores").sweeps.first());
    commit(store, &[state_changed(1, SweepState::Finished)]).await;
    let finished = store.restore_sweep(sweep(1)).await.expect("restores").expect("is there");
    assert_eq!((finished.row.state, finished.done), (SweepState::Finished, vec![(1, 1)]));
    assert_eq!(store.restore_sweep(sweep(9)).await.expect("restores"), None);
}

async fn a_reused_trajectory_has_its_results_and_the_curve_of_its_source(store: &dyn Store) {
    commit(store, &[Record::Submitted(submission(1)), leased(1, 1, 0, 9), ended(1, 7, 1, Outcome::Completed)]).await;
    // In the batch of its submission, and in the batch of its source.
    let batch = [Record::Submitted(submission(2)), reused(2, &[(0, 1, 7)])];
    commit(store, &batch).await;
    commit(store, &[ended(1, 4, 1, Outcome::Completed), reused(2, &[(1, 1, 4)]), reused(1, &[(20, 1, 4)])]).await;
    let rows = store.results(sweep(2), TrialIndex(0), 9).await.expect("reads");
    let expected: Vec<TrialResult> =
        [(0, 7), (1, 4)].into_iter().flat_map(|(to, from)| taken_over(to, 1, from)).collect();
    assert_eq!(rows, expected);
    let curve_of = |row: CurveRow| (row.trajectory.0, row.points, row.diagnostics);
    let curves = store.curves(sweep(2), 0, 9).await.expect("reads").into_iter().map(curve_of);
    assert_eq!(curves.collect::<Vec<_>>(), [(0, curve(7), diagnostics(7)), (1, curve(4), diagnostics(4))]);
    let restored = store.restore().await.expect("restores");
    let counts = |place: usize| (restored.sweeps[place].row.completed, restored.sweeps[place].row.reused);
    assert_eq!((counts(0), counts(1)), ((6, 2), (4, 4)));
    assert_eq!((&restored.sweeps[0].done, &restored.sweeps[1].done), (&vec![(4, 1), (7, 1), (20, 1)], &vec![(0, 2)]));
}

async fn a_trajectory_is_reused_once_and_refers_to_a_trained_source(store: &dyn Store) {
    commit(store, &[Record::Submitted(submission(1)), Record::Submitted(submission(2)), leased(1, 1, 0, 9)]).await;
    commit(store, &[ended(1, 3, 1, Outcome::Completed), reused(2, &[(0, 1, 3)])]).await;
    let before = seen(store).await;
    let contradictions = [
        reused(2, &[(0, 1, 3)]),
        reused(2, &[(1, 1, 3), (1, 1, 3)]),
        reused(1, &[(3, 1, 3)]),
        // The source is not done, was reused itself, or belongs to no sweep.
        reused(2, &[(1, 1, 4)]),
        reused(2, &[(1, 2, 0)]),
        reused(2, &[(1, 9, 0)]),
        reused(9, &[(1, 1, 3)]),
        Record::Reused {
            sweep: sweep(2),
            trajectories: Arc::from([ReusedRow { results: Vec::new(), ..reused_row(1, 1, 3) }]),
        },
    ];
    for contradiction in contradictions {
        refuse(store, &[ended(1, 5, 1, Outcome::Completed), reused(2, &[(6, 1, 3)]), contradiction]).await;
        assert_eq!(seen(store).await, before);
    }
    refuse(store, &[leased(2, 2, 0, 1), ended(2, 0, 2, Outcome::Completed)]).await;
    refuse(store, &[retried(2, &[0])]).await;
}

async fn sources_are_trained_trajectories_that_did_not_fail(store: &dyn Store) {
    commit(store, &[Record::Submitted(submission(1)), leased(1, 1, 0, 9), ended(1, 7, 1, Outcome::Completed)]).await;
    commit(store, &[failed_for_good(1, 2, 1), ended(1, 4, 1, Outcome::Diverged), ended(1, 5, 1, Outcome::Preempted)])
        .await;
    commit(store, &[reused(1, &[(20, 1, 7)]), ended(1, 3, 1, Outcome::Failed), leased(2, 1, 3, 1)]).await;
    commit(store, &[ended(1, 3, 2, Outcome::Completed)]).await;
    let source = |trajectory: u64, attempt: u64| SourceRow {
        trajectory: TrajectoryIndex(trajectory),
        worker_name: format!("worker of attempt {attempt}"),
        points: curve(trajectory),
        environment: Some(environment()),
    };
    assert_eq!(store.sources(sweep(1), 0, 9).await.expect("reads"), [source(3, 2), source(4, 1), source(7, 1)]);
    assert_eq!(store.sources(sweep(1), 4, 1).await.expect("reads"), [source(4, 1)]);
    assert_eq!(store.sources(sweep(9), 0, 9).await.expect("reads"), []);
}

async fn results_are_found_by_the_start_of_their_key(store: &dyn Store) {
    commit(store, &[Record::Submitted(submission(1)), Record::Submitted(submission(2)), leased(1, 2, 0, 9)]).await;
    commit(store, &[ended(2, 1, 1, Outcome::Completed), reused(1, &[(1, 2, 1)]), ended(2, 2, 1, Outcome::Diverged)])
        .await;
    let key = |trial: u64| TrialKey([trial as u8; 32]);
    let of = |id, trial: u64| (key(trial), TrialRef { sweep: sweep(id), trial: TrialIndex(trial) });
    let found = async |least, greatest, limit| store.keyed(key(least), key(greatest), limit).await.expect("reads");
    assert_eq!(found(3, 4, 9).await, [of(2, 3), of(1, 3), of(2, 4)], "trained results come before reused ones");
    assert_eq!(found(3, 4, 1).await, [of(2, 3)]);
    assert_eq!(found(7, 9, 9).await, []);
}

async fn a_sweep_can_be_extended_several_times(store: &dyn Store) {
    commit(store, &[Record::Submitted(submission(1)), Record::Submitted(submission(2))]).await;
    let extension = |text: &str, at| Extension { spec: spec_text(text, Format::Yaml), at: WallTime(at) };
    let extended = |id, text: &str, trials| Record::Extended {
        sweep: sweep(id),
        extension: extension(text, trials),
        trials,
        trajectories: trials / 2,
    };
    commit(store, &[extended(1, "one", 10), extended(1, "two", 20)]).await;
    refuse(store, &[extended(2, "one", 10), extended(9, "one", 10)]).await;
    let row = store.sweep(sweep(1)).await.expect("reads").expect("is there");
    assert_eq!((row.submission.trials, row.submission.trajectories), (20, 10));
    assert_eq!(row.extensions, [extension("one", 10), extension("two", 20)]);
    let rows = store.sweeps().await.expect("reads");
    assert_eq!((&rows[0], rows[1].submission.clone(), rows[1].extensions.len()), (&row, submission(2), 0));
    assert_eq!(store.restore().await.expect("restores").sweeps[0].row, row);
}

async fn a_note_stays_until_it_is_replaced_or_removed(store: &dyn Store) {
    commit(store, &[Record::Submitted(submission(1)), Record::Submitted(submission(2)), leased(1, 1, 0, 1)]).await;
    let note = async || {
        let row = store.sweep(sweep(1)).await.expect("reads").expect("is there");
        assert_eq!(store.sweeps().await.expect("reads")[0], row);
        let summaries = store.summaries().await.expect("reads");
        assert_eq!((&summaries[0].note, &summaries[1].note), (&row.note, &None), "only of this sweep");
        assert_eq!(
            store.restore_sweep(sweep(1)).await.expect("reads").map(|sweep| sweep.row.note),
            Some(row.note.clone())
        );
        row.note
    };
    assert_eq!(note().await, None);
    commit(store, &[noted(1, Some("why"))]).await;
    assert_eq!(note().await.as_deref(), Some("why"));
    refuse(store, &[noted(1, Some("other")), noted(9, Some("none"))]).await;
    assert_eq!(note().await.as_deref(), Some("why"), "nothing is kept of a refused batch");

    let extension = Extension { spec: spec_text("more", Format::Toml), at: WallTime(1) };
    commit(store, &[Record::Extended { sweep: sweep(1), extension, trials: 10, trajectories: 5 }, paused(1)]).await;
    commit(store, &[state_changed(1, SweepState::Running), failed_for_good(1, 0, 1), retried(1, &[0])]).await;
    commit(store, &[state_changed(1, SweepState::Finished)]).await;
    assert_eq!(note().await.as_deref(), Some("why"), "other changes keep it");

    commit(store, &[noted(1, Some("שלום\n\tno gain"))]).await;
    assert_eq!(note().await.as_deref(), Some("שלום\n\tno gain"), "an ended sweep can have one");
    commit(store, &[noted(1, None)]).await;
    assert_eq!(note().await, None);
    commit(store, &[noted(1, Some("last")), Record::Deleted(sweep(1))]).await;
    refuse(store, &[noted(1, Some("later"))]).await;
    assert_eq!(store.summaries().await.expect("reads").len(), 1);
}

async fn only_failed_trajectories_can_be_retried(store: &dyn Store) {
    commit(store, &[Record::Submitted(submission(1)), leased(1, 1, 0, 5), ended(1, 0, 1, Outcome::Completed)]).await;
    commit(store, &[ended(1, 2, 1, Outcome::Failed), leased(2, 1, 2, 1), failed_for_good(1, 2, 2)]).await;
    commit(store, &[failed_for_good(1, 3, 1), ended(1, 1, 1, Outcome::Diverged)]).await;
    let failed = [(TrajectoryIndex(2), 2), (TrajectoryIndex(3), 1)];
    assert_eq!(store.failures(sweep(1)).await.expect("reads"), failed);
    let before = seen(store).await;
    for not_failed in [0, 1, 4, 7] {
        refuse(store, &[retried(1, &[2, not_failed])]).await;
    }
    refuse(store, &[retried(9, &[2])]).await;
    assert_eq!(seen(store).await, before);

    // In one batch with the following records: granted, and failed finally once more.
    commit(store, &[retried(1, &[2, 3]), leased(3, 1, 3, 1), failed_for_good(1, 3, 3)]).await;
    let restored = store.restore().await.expect("restores").sweeps.remove(0);
    assert_eq!(restored.done, [(0, 2), (3, 1)]);
    assert_eq!(
        restored.attempts,
        [(TrajectoryIndex(2), 2, 0)],
        "all attempts are counted, but none against the retries"
    );
    assert_eq!((restored.row.completed, restored.row.diverged, restored.row.failed), (2, 2, 2));
    assert_eq!(store.failures(sweep(1)).await.expect("reads"), [(TrajectoryIndex(3), 2)]);
    assert_eq!(store.results(sweep(1), TrialIndex(4), 9).await.expect("reads").len(), 2, "only those of trajectory 3");
    assert_eq!(store.incomplete_attempts(sweep(1), 99).await.expect("reads").len(), 5, "the history stays");
    commit(store, &[leased(4, 1, 2, 1), ended(1, 2, 4, Outcome::Completed)]).await;
    assert_eq!(store.restore().await.expect("restores").sweeps[0].done, [(0, 4)]);
}

async fn a_deleted_sweep_is_gone_and_results_reused_by_others_stay(store: &dyn Store) {
    let origin = [Record::Submitted(submission(1)), Record::Submitted(submission(2)), Record::Submitted(submission(3))];
    commit(store, &origin).await;
    commit(store, &[leased(1, 1, 0, 4), ended(1, 0, 1, Outcome::Completed), ended(1, 1, 1, Outcome::Completed)]).await;
    commit(store, &[ended(1, 2, 1, Outcome::Completed), failed_for_good(1, 3, 1), late(1, 3, 1)]).await;
    commit(store, &[reused(1, &[(9, 1, 0)]), reused(2, &[(5, 1, 0), (6, 1, 1)]), reused(3, &[(2, 1, 0)])]).await;
    refuse(store, &[Record::Deleted(sweep(1))]).await;
    refuse(store, &[Record::Deleted(sweep(9))]).await;
    commit(store, &[state_changed(1, SweepState::Cancelled)]).await;
    assert_eq!(store.taken_over_from(sweep(1)).await.expect("reads"), 6);
    assert!(!store.is_deleted(sweep(1)).await.expect("reads"));
    let kept = async || {
        let mut kept = String::new();
        for id in [2, 3].map(sweep) {
            let results = store.results(id, TrialIndex(0), 99).await.expect("reads");
            let curves = store.curves(id, 0, 99).await.expect("reads");
            let summary = store.sweep(id).await.expect("reads").expect("is there");
            kept += &format!("{results:#?}\n{curves:#?}\n{summary:#?}\n");
        }
        kept
    };
    let before = kept().await;

    commit(store, &[Record::Deleted(sweep(1))]).await;
    assert_eq!(kept().await, before, "results, curves and counts of other sweeps are unchanged");
    assert!(store.is_deleted(sweep(1)).await.expect("reads") && !store.is_deleted(sweep(9)).await.expect("reads"));
    assert_eq!(store.sweep(sweep(1)).await.expect("reads"), None);
    assert_eq!(store.restore_sweep(sweep(1)).await.expect("reads"), None);
    assert_eq!(store.sweeps().await.expect("reads").len(), 2);
    assert_eq!(store.summaries().await.expect("reads").len(), 2);
    assert_eq!(store.results(sweep(1), TrialIndex(0), 9).await.expect("reads"), []);
    assert_eq!(store.curves(sweep(1), 0, 9).await.expect("reads"), []);
    assert_eq!(store.incomplete_attempts(sweep(1), 9).await.expect("reads"), []);
    // The first sweep that reused a curve keeps it, and others may reuse it from there.
    let sources = store.sources(sweep(2), 0, 9).await.expect("reads");
    let of = |row: &SourceRow| {
        assert_eq!(row.environment, Some(environment()));
        (row.trajectory.0, row.worker_name.clone(), row.points.clone())
    };
    let name = "worker of attempt 1".to_owned();
    assert_eq!(sources.iter().map(of).collect::<Vec<_>>(), [(5, name.clone(), curve(0)), (6, name, curve(1))]);
    assert_eq!(store.sources(sweep(3), 0, 9).await.expect("reads"), []);
    commit(store, &[reused(3, &[(7, 2, 5)])]).await;
    refuse(store, &[reused(3, &[(8, 3, 2)])]).await;
    // The deleted sweep cannot be used again, and later records of it are refused.
    refuse(store, &[Record::Submitted(submission(1))]).await;
    refuse(store, &[Record::Deleted(sweep(1))]).await;
    refuse(store, &[reused(3, &[(8, 1, 0)])]).await;
    let before = seen(store).await;
    commit(store, &[late(1, 3, 1)]).await;
    assert_eq!(seen(store).await, before);

    // The same when the new owner of the curve is deleted.
    commit(store, &[state_changed(2, SweepState::Finished), Record::Deleted(sweep(2))]).await;
    let row = |trajectory| CurveRow {
        trajectory: TrajectoryIndex(trajectory),
        points: curve(0),
        diagnostics: diagnostics(0),
    };
    assert_eq!(store.curves(sweep(3), 0, 9).await.expect("reads"), [row(2), row(7)]);
    let sources = store.sources(sweep(3), 0, 9).await.expect("reads");
    assert_eq!(sources.iter().map(|row| row.trajectory.0).collect::<Vec<_>>(), [2]);
    commit(store, &[state_changed(3, SweepState::Finished), Record::Deleted(sweep(3))]).await;
    assert_eq!(store.summaries().await.expect("reads"), []);
    // Attempts are numbered as if nothing had been deleted.
    assert_eq!(store.restore().await.expect("restores").last_attempt, 1);
}

async fn counts_since_the_last_action_are_right_after_a_deletion(store: &dyn Store) {
    commit(store, &[Record::Submitted(submission(1)), Record::Submitted(submission(2)), leased(1, 1, 0, 2)]).await;
    commit(store, &[leased(2, 2, 0, 4), ended(2, 0, 2, Outcome::Failed), leased(3, 1, 4, 1)]).await;
    commit(store, &[ended(1, 0, 1, Outcome::Failed), ended(1, 1, 1, Outcome::Failed), ended(1, 4, 3, Outcome::Failed)])
        .await;
    commit(store, &[paused(2), state_changed(2, SweepState::Running), state_changed(1, SweepState::Cancelled)]).await;
    commit(store, &[Record::Deleted(sweep(1)), ended(2, 1, 2, Outcome::Failed)]).await;
    let failures = only(store).await.failures;
    let status = failures.iter().map(|failure| (failure.trajectory.0, failure.status));
    assert_eq!(status.collect::<Vec<_>>(), [(0, FailureStatus::Seen), (1, FailureStatus::Fresh)]);
    assert_eq!(store.restore().await.expect("restores").last_attempt, 3);
}

async fn a_worker_is_in_quarantine_until_it_is_released(store: &dyn Store) {
    let row = |number: u128, reason: &str| QuarantineRow {
        worker: WorkerId(Uuid::from_u128(number)),
        worker_name: "host/7".to_owned(),
        reason: reason.to_owned(),
        at: WallTime(8),
    };
    let (one, two) = (row(1, "it fails"), row(2, "it fails too"));
    commit(store, &[Record::Quarantined(two.clone()), Record::Quarantined(one.clone())]).await;
    commit(store, &[Record::Quarantined(row(1, "once more"))]).await;
    assert_eq!(store.restore().await.expect("restores").quarantined, [one.clone(), two.clone()]);
    commit(store, &[Record::Released(one.worker), Record::Released(WorkerId(Uuid::from_u128(5)))]).await;
    assert_eq!(store.restore().await.expect("restores").quarantined, [two]);
}

async fn a_late_report_changes_no_result(store: &dyn Store) {
    commit(store, &[Record::Submitted(submission(1)), leased(1, 1, 0, 1)]).await;
    let before = seen(store).await;
    commit(store, &[late(1, 0, 1), late(1, 0, 1), late(1, 5, 77), late(9, 0, 1)]).await;
    assert_eq!(seen(store).await, before);
}

async fn a_second_result_of_a_trial_is_refused(store: &dyn Store) {
    commit(store, &[Record::Submitted(submission(1)), leased(1, 1, 0, 3), leased(2, 1, 0, 3)]).await;
    commit(store, &[ended(1, 0, 1, Outcome::Completed)]).await;
    let before = seen(store).await;
    // Under another attempt, under the same, and by another trajectory with the same trial.
    refuse(store, &[ended(1, 0, 2, Outcome::Completed)]).await;
    refuse(store, &[ended(1, 0, 1, Outcome::Completed)]).await;
    refuse(store, &[ended_with(1, 1, 1, Outcome::Completed, results(0, TrialStatus::Completed))]).await;
    // Within one batch, and within one ending.
    refuse(store, &[ended(1, 1, 1, Outcome::Completed), ended(1, 1, 2, Outcome::Completed)]).await;
    let twice = [results(1, TrialStatus::Completed), results(1, TrialStatus::Completed)].concat();
    refuse(store, &[ended_with(1, 1, 1, Outcome::Completed, twice)]).await;
    assert_eq!(seen(store).await, before);
}

async fn a_batch_with_a_contradiction_is_refused_as_a_whole(store: &dyn Store) {
    commit(store, &[Record::Submitted(submission(1)), Record::Submitted(submission(2)), leased(1, 1, 0, 3)]).await;
    commit(store, &[ended(1, 1, 1, Outcome::Failed)]).await;
    let before = seen(store).await;
    let contradictions = [
        Record::Submitted(submission(1)),
        state_changed(9, SweepState::Finished),
        leased(3, 9, 0, 1),
        leased(1, 1, 5, 1),
        leased(3, 1, 5, 0),
        ended(9, 0, 1, Outcome::Completed),
        ended(2, 0, 1, Outcome::Completed),
        ended(1, 0, 8, Outcome::Completed),
        ended(1, 3, 1, Outcome::Completed),
        ended(1, 1, 1, Outcome::Completed),
        ended_with(1, 0, 1, Outcome::Completed, Vec::new()),
        retried(1, &[0]),
    ];
    for contradiction in contradictions {
        let batch = [
            Record::Submitted(submission(3)),
            leased(2, 1, 4, 2),
            ended(1, 4, 2, Outcome::Completed),
            ended(1, 2, 1, Outcome::WorkerLost),
            state_changed(2, SweepState::Finished),
            late(1, 0, 1),
            contradiction,
        ];
        refuse(store, &batch).await;
        assert_eq!(seen(store).await, before, "no part is kept of a batch with {:?}", batch[6]);
    }
    commit(store, &[leased(2, 1, 4, 2), ended(1, 4, 2, Outcome::Completed)]).await;
}

async fn numbers_and_texts_that_some_store_cannot_hold_are_refused(store: &dyn Store) {
    commit(store, &[Record::Submitted(submission(1)), leased(1, 1, 0, 3)]).await;
    let before = seen(store).await;
    let (large, nul) = (1 << 63, "a\0b".to_owned());
    let ended = |change: fn(&mut Ending, u64)| {
        let Record::Ended(mut ending) = ended(1, 0, 1, Outcome::Completed) else { unreachable!() };
        change(&mut ending, large);
        Record::Ended(ending)
    };
    let quarantined = |worker_name: &str, reason: &str| {
        let (worker_name, reason) = (worker_name.to_owned(), reason.to_owned());
        Record::Quarantined(QuarantineRow {
            worker: WorkerId(Uuid::from_u128(9)),
            worker_name,
            reason,
            at: WallTime(1),
        })
    };
    let extended = |text: &str, trials| Record::Extended {
        sweep: sweep(1),
        extension: Extension { spec: spec_text(text, Format::Toml), at: WallTime(1) },
        trials,
        trajectories: 1,
    };
    let named = |name: &str, attempt| {
        let Record::Leased(lease) = leased(2, 1, 5, 1) else { unreachable!() };
        Record::Leased(LeaseRow { worker_name: name.to_owned(), attempt: Attempt(attempt), ..lease })
    };
    let unstorable = [
        Record::Submitted(Submission { trials: large, ..submission(2) }),
        Record::Submitted(Submission { name: nul.clone(), ..submission(2) }),
        Record::Submitted(Submission { spec: spec_text(&nul, Format::Toml), ..submission(2) }),
        Record::StateChanged { sweep: sweep(1), state: SweepState::Paused, reason: Some(nul.clone()), at: WallTime(1) },
        named("w", large),
        leased(2, 1, large - 1, 1),
        named(&nul, 2),
        ended(|ending, _| ending.cause = Some("a\0b".to_owned())),
        ended(|ending, large| ending.updates = large),
        ended(|ending, large| ending.results[0].updates = large),
        ended(|ending, large| ending.results[0].trial = TrialIndex(large)),
        ended(|ending, large| ending.results[0].score.as_mut().expect("a score").best_update = large),
        ended(|ending, _| ending.results[0].worker_name = "a\0b".to_owned()),
        extended(&nul, 1),
        extended("name = \"more\"", large),
        noted(1, Some(&nul)),
        quarantined(&nul, "it fails"),
        quarantined("w", &nul),
        late(1, large, 1),
        late(1, 0, large),
        // Also for a sweep that does not exist.
        late(9, 0, large),
    ];
    for record in unstorable {
        refuse(store, &[late(1, 0, 1), record.clone()]).await;
        assert_eq!(seen(store).await, before, "no part is kept of a batch with {record:?}");
    }
    let greatest = large - 1;
    commit(store, &[named("w", greatest), late(1, greatest, greatest)]).await;
    assert_eq!(store.restore().await.expect("restores").last_attempt, greatest);
}

/// Everything that a store with the sweeps 1 to 3 can answer.
async fn seen(store: &dyn Store) -> String {
    // The store's own id always differs.
    let restored = Restored { store: None, ..store.restore().await.expect("restores") };
    let (sweeps, datasets) = (store.sweeps().await.expect("reads"), store.datasets().await.expect("reads"));
    let mut seen = format!("{restored:#?}\n{sweeps:#?}\n{datasets:#?}");
    for id in (1..=3).map(sweep) {
        let results = store.results(id, TrialIndex(0), 1_000).await.expect("reads");
        let curves = store.curves(id, 0, 1_000).await.expect("reads");
        let incomplete_attempts = store.incomplete_attempts(id, 1_000).await.expect("reads");
        let causes = store.incomplete_causes(id, 1_000).await.expect("reads");
        let failures = store.failures(id).await.expect("reads");
        let sources = store.sources(id, 0, 1_000).await.expect("reads");
        seen +=
            &format!("{results:#?}\n{curves:#?}\n{incomplete_attempts:#?}\n{causes:#?}\n{failures:?}\n{sources:?}\n");
    }
    seen
}

async fn commit(store: &dyn Store, records: &[Record]) {
    store.commit(records).await.expect("a valid batch");
}

async fn refuse(store: &dyn Store, records: &[Record]) {
    let error = store.commit(records).await.expect_err("a contradiction");
    assert!(matches!(error, StoreError::Refused { .. }), "{error}");
}
