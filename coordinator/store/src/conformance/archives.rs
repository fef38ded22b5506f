//! Archives and imports: a sweep that goes from one store to another, or back after its deletion.

use super::*;
use crate::archive::{
    ArchivedAttempt, ArchivedCurve, ArchivedLate, ArchivedLease, ArchivedSweep, CurveOrigin, ImportError, ImportedRow,
    LateAttempt, References, RowsError,
};

/// Everything that an archive of a sweep has.
#[derive(Debug, Clone, PartialEq)]
struct Everything {
    sweep: ArchivedSweep,
    rows: Vec<ImportedRow>,
}

impl Everything {
    async fn of(store: &dyn Store, id: SweepId) -> Self {
        let sweep = store.archived(id).await.expect("reads").expect("is there");
        let leases = store.archived_leases(id, Attempt(0), 99).await.expect("reads");
        let numbers: Vec<Attempt> = leases.iter().map(|lease| lease.lease).collect();
        let place = |attempt: Attempt| numbers.binary_search(&attempt).map(|place| place as u64);
        let lease = |row: ArchivedLease<Attempt>| {
            let ArchivedLease { lease, first, count, worker, trainer, at } = row;
            let lease = place(lease).expect("a lease");
            ImportedRow::Lease(ArchivedLease { lease, first, count, worker, trainer, at })
        };
        let mut rows: Vec<ImportedRow> = leases.into_iter().map(lease).collect();
        for (_, row) in store.archived_attempts(id, 0, 99).await.expect("reads") {
            let ArchivedAttempt { lease, trajectory, outcome, cause, at, updates, is_forgiven } = row;
            let lease = place(lease).expect("a lease");
            rows.push(ImportedRow::Attempt(ArchivedAttempt {
                lease,
                trajectory,
                outcome,
                cause,
                at,
                updates,
                is_forgiven,
            }));
        }
        for ArchivedCurve { trajectory, origin, points, diagnostics } in
            store.archived_curves(id, 0, 99).await.expect("reads")
        {
            let origin = match origin {
                CurveOrigin::Attempt(attempt) => CurveOrigin::Attempt(place(attempt).expect("a lease")),
                CurveOrigin::TakenOver(trainer) => CurveOrigin::TakenOver(trainer),
            };
            let mut results = store.results(id, TrialIndex(2 * trajectory.0), 2).await.expect("reads");
            results.retain(|result| result.trial.0 / 2 == trajectory.0);
            rows.push(ImportedRow::Done(ArchivedCurve { trajectory, origin, points, diagnostics }, results));
        }
        for (_, late) in store.archived_late(id, 0, 99).await.expect("reads") {
            let ArchivedLate { attempt, trajectory, worker, outcome, points, at } = late;
            let attempt = place(attempt).map_or(LateAttempt::Unknown(attempt), LateAttempt::Under);
            rows.push(ImportedRow::Late(ArchivedLate { attempt, trajectory, worker, outcome, points, at }));
        }
        Self { sweep, rows }
    }

    /// Imports it, three rows at a time.
    async fn import(&self, store: &dyn Store, references: &References) -> Result<(), ImportError> {
        let parts = self.rows.chunks(3).map(|part| Ok::<_, RowsError>(part.to_vec()));
        store.import(&self.sweep, references, &mut parts.collect::<Vec<_>>().into_iter()).await
    }
}

/// What users and schedulers see of a sweep, without fencing numbers, which are the store's own.
async fn shown(store: &dyn Store, id: SweepId) -> String {
    let restored = store.restore_sweep(id).await.expect("reads").expect("is there");
    let results = store.results(id, TrialIndex(0), 1_000).await.expect("reads");
    let curves = store.curves(id, 0, 1_000).await.expect("reads");
    let mut incomplete_attempts = store.incomplete_attempts(id, 1_000).await.expect("reads");
    incomplete_attempts.iter_mut().for_each(|row| row.attempt = Attempt(0));
    let causes = store.incomplete_causes(id, 1_000).await.expect("reads");
    let failures = store.failures(id).await.expect("reads");
    format!("{restored:#?}\n{results:#?}\n{curves:#?}\n{incomplete_attempts:#?}\n{causes:#?}\n{failures:?}")
}

/// A store with an ended sweep 2 that has every kind of row: results of a deleted sweep and of its own, failures before and after a
/// retry, lost workers, late reports, an extension and a note.
async fn with_an_ended_sweep(store: &dyn Store) -> References {
    commit(store, &(1..=3).map(|id| Record::Submitted(submission(id))).collect::<Vec<_>>()).await;
    commit(store, &[leased(1, 1, 0, 4), ended(1, 0, 1, Outcome::Completed), ended(1, 3, 1, Outcome::Diverged)]).await;
    commit(store, &[leased(2, 3, 0, 9), leased(3, 2, 0, 4), leased(5, 2, 4, 3)]).await;
    commit(store, &[ended(2, 4, 5, Outcome::Failed), ended(3, 0, 2, Outcome::Completed), paused(2)]).await;
    commit(store, &[state_changed(2, SweepState::Running), ended(2, 0, 3, Outcome::Completed)]).await;
    commit(store, &[ended(2, 1, 3, Outcome::WorkerLost), failed_for_good(2, 2, 3), ended(2, 3, 3, Outcome::Diverged)])
        .await;
    commit(store, &[ended(3, 1, 2, Outcome::Failed), reused(2, &[(8, 1, 3), (9, 1, 0), (10, 2, 0)])]).await;
    commit(
        store,
        &[retried(2, &[2]), leased(6, 2, 1, 2), failed_for_good(2, 2, 6), ended(2, 1, 6, Outcome::Preempted)],
    )
    .await;
    let extension = Extension { spec: spec_text("name = \"more\"\n", Format::Yaml), at: WallTime(77) };
    commit(store, &[Record::Extended { sweep: sweep(2), extension, trials: 1 << 41, trajectories: 1 << 40 }]).await;
    commit(store, &[state_changed(2, SweepState::Running), ended(2, 5, 5, Outcome::Cancelled)]).await;
    commit(store, &[ended(2, 6, 5, Outcome::Failed), late(2, 1, 3), late(2, 1, 999), noted(2, Some("nöte"))]).await;
    let reason = Some("enough".to_owned());
    commit(store, &[Record::StateChanged { sweep: sweep(2), state: SweepState::Cancelled, reason, at: WallTime(9) }])
        .await;
    commit(store, &[state_changed(1, SweepState::Cancelled), Record::Deleted(sweep(1))]).await;
    References { sources: vec![(sweep(1), true)], datasets: vec![dataset(0), dataset(1)] }
}

pub(super) async fn an_imported_sweep_is_the_archived_one(store: &dyn Store) {
    let references = with_an_ended_sweep(store).await;
    let (archived, before) = (Everything::of(store, sweep(2)).await, shown(store, sweep(2)).await);
    assert_eq!(archived.rows.len(), 3 + 9 + 6 + 1, "{:#?}", archived.rows);

    // To an empty store, and from there to one that has used fencing numbers.
    let (empty, used) = (Memory::default(), Memory::default());
    archived.import(&empty, &references).await.expect("an import");
    assert_eq!(Everything::of(&empty, sweep(2)).await, archived);
    assert_eq!(shown(&empty, sweep(2)).await, before);
    assert!(empty.is_deleted(sweep(1)).await.expect("reads"), "a source stays a deleted one");
    commit(&used, &[Record::Submitted(submission(3)), leased(40, 3, 0, 4), ended(3, 0, 40, Outcome::Failed)]).await;
    archived.import(&used, &references).await.expect("an import");
    assert_eq!(Everything::of(&used, sweep(2)).await, archived);
    assert_eq!(used.restore().await.expect("restores").last_attempt, 43);

    // Back to the first store, after the deletion there.
    let others = shown(store, sweep(3)).await;
    commit(store, &[Record::Deleted(sweep(2))]).await;
    Everything::of(&used, sweep(2)).await.import(store, &references).await.expect("an import");
    assert_eq!(Everything::of(store, sweep(2)).await, archived);
    assert_eq!(shown(store, sweep(2)).await, before);
    assert_eq!(shown(store, sweep(3)).await, others);
    assert!(!store.is_deleted(sweep(2)).await.expect("reads"));
    // It can be deleted and imported once more, and goes on like any other.
    commit(store, &[Record::Deleted(sweep(2))]).await;
    archived.import(store, &references).await.expect("an import");
    assert_eq!(shown(store, sweep(2)).await, before);
    let next = store.restore().await.expect("restores").last_attempt + 1;
    commit(store, &[retried(2, &[2]), state_changed(2, SweepState::Running), leased(next, 2, 2, 1)]).await;
    commit(store, &[ended(2, 2, next, Outcome::Completed), reused(3, &[(7, 2, 9)])]).await;
}

pub(super) async fn a_source_that_is_not_here_is_not_a_deleted_one(store: &dyn Store) {
    let origin = Memory::default();
    let _references = with_an_ended_sweep(&origin).await;
    let archived = Everything::of(&origin, sweep(2)).await;
    let references = References { sources: vec![(sweep(1), false)], datasets: Vec::new() };
    archived.import(store, &references).await.expect("an import");
    assert!(!store.is_deleted(sweep(1)).await.expect("reads"));
    assert_eq!(store.sweeps().await.expect("reads").len(), 1, "it is no sweep of this store");
    assert_eq!(shown(store, sweep(2)).await, shown(&origin, sweep(2)).await);
    let sources = store.sources(sweep(2), 0, 99).await.expect("reads");
    let trained = sources.iter().map(|row| (row.trajectory.0, row.worker_name.as_str())).collect::<Vec<_>>();
    let of = |attempt| if attempt == 1 { "worker of attempt 1" } else { "worker of attempt 3" };
    assert_eq!(trained, [(0, of(3)), (3, of(3)), (8, of(1)), (9, of(1)), (10, of(3))]);
    // The source itself may be imported later.
    commit(&origin, &[Record::Submitted(submission(7)), state_changed(7, SweepState::Cancelled)]).await;
    let mut source = Everything::of(&origin, sweep(7)).await;
    source.sweep.row.submission = submission(1);
    source.import(store, &References::default()).await.expect("an import");
    assert_eq!(store.sweeps().await.expect("reads").len(), 2);
}

pub(super) async fn a_failed_import_leaves_nothing(store: &dyn Store) {
    let origin = Memory::default();
    let references = with_an_ended_sweep(&origin).await;
    let archived = Everything::of(&origin, sweep(2)).await;
    commit(store, &[Record::Submitted(submission(1)), leased(1, 1, 0, 4), ended(1, 0, 1, Outcome::Failed)]).await;
    let before = seen(store).await;

    let mut unreadable = vec![Ok(archived.rows.clone()), Err(RowsError::from("the file changed"))].into_iter();
    let failed = store.import(&archived.sweep, &references, &mut unreadable).await.expect_err("it cannot be read");
    assert!(matches!(failed, ImportError::Rows(_)) && failed.to_string() == "the file changed", "{failed}");
    assert_eq!(seen(store).await, before);
    let mut twice = archived.clone();
    twice.rows.extend(archived.rows.iter().filter(|row| matches!(row, ImportedRow::Done(..))).cloned());
    let failed = twice.import(store, &references).await.expect_err("two results of a trial");
    assert!(matches!(failed, ImportError::Store(StoreError::Refused { .. })), "{failed}");
    assert_eq!(seen(store).await, before);

    archived.import(store, &references).await.expect("an import");
    let before = seen(store).await;
    let failed = archived.import(store, &references).await.expect_err("it is there");
    assert!(failed.to_string().contains("already exists"), "{failed}");
    assert_eq!(seen(store).await, before);
    commit(store, &[ended(1, 1, 1, Outcome::Completed)]).await;
}
