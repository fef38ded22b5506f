//! The operations of the store in memory.

use std::collections::BTreeMap;

use async_trait::async_trait;
use biosweep_common::configuration::TrialKey;
use biosweep_common::results::outcome::Outcome;
use biosweep_common::results::views::{IncompleteCause, SweepView};
use biosweep_common::vocabulary::dataset::DatasetSize;
use biosweep_common::vocabulary::ids::{Attempt, SweepId, TrajectoryIndex, TrialIndex, TrialRef};
use biosweep_scheduler::record::{
    AccessRows, AttemptRow, CurveRow, DatasetRow, OutcomeRow, Record, Restored, RestoredSweep, SourceRow, SweepRow,
    TrialResult,
};
use biosweep_scheduler::status::sweep_view;

use super::{Memory, Sweep};
use crate::archive::{
    ArchivedAttempt, ArchivedCurve, ArchivedLate, ArchivedLease, ArchivedSweep, ImportError, ImportedRows, References,
};
use crate::{Store, StoreError, storable};

#[async_trait]
impl Store for Memory {
    async fn commit(&self, records: &[Record]) -> Result<(), StoreError> {
        let mut state = self.state();
        let mut undo = Vec::new();
        for record in records {
            match storable::check(record).and_then(|()| state.apply(record)) {
                Ok(step) => undo.push(step),
                Err(what) => {
                    undo.into_iter().rev().for_each(|step| state.take_back(step));
                    return Err(StoreError::Refused { place: "in memory".to_owned(), what });
                }
            }
        }
        Ok(())
    }

    async fn restore(&self) -> Result<Restored, StoreError> {
        let state = self.state();
        let running = state.sweeps.iter().filter(|sweep| !sweep.row.state.has_ended());
        Ok(Restored {
            sweeps: running.map(|sweep| state.restored(sweep)).collect(),
            quarantined: state.quarantined.values().cloned().collect(),
            last_attempt: state.leases.last_key_value().map_or(0, |(attempt, _)| attempt.0),
            store: None,
        })
    }

    async fn restore_sweep(&self, id: SweepId) -> Result<Option<RestoredSweep>, StoreError> {
        let state = self.state();
        Ok(state.sweep(id).map(|sweep| state.restored(sweep)))
    }

    async fn failures(&self, id: SweepId) -> Result<Vec<(TrajectoryIndex, u32)>, StoreError> {
        let state = self.state();
        let Some(sweep) = state.sweep(id) else { return Ok(Vec::new()) };
        let counted = |trajectory| (trajectory, sweep.attempts_at(trajectory).count() as u32);
        let failed = |index: &TrajectoryIndex| !sweep.reused.contains_key(index) && sweep.has_failed(*index);
        Ok(sweep.curves.keys().copied().filter(failed).map(counted).collect())
    }

    async fn sweeps(&self) -> Result<Vec<SweepRow>, StoreError> {
        Ok(self.state().sweeps.iter().map(|sweep| sweep.row.clone()).collect())
    }

    async fn summaries(&self) -> Result<Vec<SweepView>, StoreError> {
        Ok(self.state().sweeps.iter().map(|sweep| sweep_view(&sweep.row)).collect())
    }

    async fn is_deleted(&self, id: SweepId) -> Result<bool, StoreError> {
        Ok(self.state().deleted.contains(&id))
    }

    async fn taken_over_from(&self, id: SweepId) -> Result<u64, StoreError> {
        let state = self.state();
        let others = state.sweeps.iter().filter(|sweep| sweep.row.submission.id != id);
        let results = others.flat_map(|sweep| sweep.results.values());
        Ok(results.filter(|result| result.reused_from.is_some_and(|from| from.sweep == id)).count() as u64)
    }

    async fn sweep(&self, id: SweepId) -> Result<Option<SweepRow>, StoreError> {
        Ok(self.state().sweep(id).map(|sweep| sweep.row.clone()))
    }

    async fn datasets(&self) -> Result<Vec<DatasetRow>, StoreError> {
        let row = |(digest, &size): (&String, &DatasetSize)| DatasetRow { digest: digest.clone(), size };
        Ok(self.state().datasets.iter().map(row).collect())
    }

    async fn results(&self, id: SweepId, from: TrialIndex, limit: u32) -> Result<Vec<TrialResult>, StoreError> {
        let state = self.state();
        let Some(sweep) = state.sweep(id) else { return Ok(Vec::new()) };
        Ok(sweep.results.range(from..).take(limit as usize).map(|(_, result)| result.clone()).collect())
    }

    async fn outcomes(&self, id: SweepId, from: TrialIndex, limit: u32) -> Result<Vec<OutcomeRow>, StoreError> {
        Ok(self.results(id, from, limit).await?.iter().map(OutcomeRow::from).collect())
    }

    async fn curves(&self, id: SweepId, from: u64, limit: u32) -> Result<Vec<CurveRow>, StoreError> {
        let state = self.state();
        let Some(sweep) = state.sweep(id) else { return Ok(Vec::new()) };
        let rows = sweep.curves.range(TrajectoryIndex(from)..).take(limit as usize);
        Ok(rows.map(|(_, row)| row.clone()).collect())
    }

    async fn sources(&self, id: SweepId, from: u64, limit: u32) -> Result<Vec<SourceRow>, StoreError> {
        let state = self.state();
        let Some(sweep) = state.sweep(id) else { return Ok(Vec::new()) };
        let source = |row: &CurveRow| {
            let end = sweep.attempts_at(row.trajectory).next_back();
            let is_trained = end.is_some_and(|end| matches!(end.outcome, Outcome::Completed | Outcome::Diverged));
            let is_reused = sweep.reused.contains_key(&row.trajectory);
            let is_source = if is_reused { sweep.inherited.contains_key(&row.trajectory) } else { is_trained };
            let (trajectory, points) = (row.trajectory, row.points.clone());
            is_source.then(|| {
                let (worker_name, environment) = sweep.trainer(trajectory);
                SourceRow { trajectory, worker_name, environment, points }
            })
        };
        let rows = sweep.curves.range(TrajectoryIndex(from)..).filter_map(|(_, row)| source(row));
        Ok(rows.take(limit as usize).collect())
    }

    async fn keyed(
        &self,
        least: TrialKey,
        greatest: TrialKey,
        limit: u32,
    ) -> Result<Vec<(TrialKey, TrialRef)>, StoreError> {
        let state = self.state();
        let mut found = Vec::new();
        for (place, sweep) in state.sweeps.iter().enumerate() {
            let of_range = sweep.results.values().filter(|result| (least..=greatest).contains(&result.key));
            found.extend(of_range.map(|result| {
                let trial = TrialRef { sweep: sweep.row.submission.id, trial: result.trial };
                (result.key, result.reused_from.is_some(), place, trial)
            }));
        }
        found.sort_unstable();
        Ok(found.into_iter().take(limit as usize).map(|(key, _, _, trial)| (key, trial)).collect())
    }

    async fn incomplete_attempts(&self, id: SweepId, limit: u32) -> Result<Vec<AttemptRow>, StoreError> {
        let state = self.state();
        let Some(sweep) = state.sweep(id) else { return Ok(Vec::new()) };
        let attempts = sweep.attempts.iter().rev().map(|ended| &ended.row);
        let incomplete_attempts = attempts.filter(|row| row.outcome != Outcome::Completed);
        Ok(incomplete_attempts.take(limit as usize).cloned().collect())
    }

    async fn incomplete_causes(&self, id: SweepId, limit: u32) -> Result<Vec<IncompleteCause>, StoreError> {
        let state = self.state();
        let Some(sweep) = state.sweep(id) else { return Ok(Vec::new()) };
        let mut groups: BTreeMap<(Outcome, &Option<String>), (usize, IncompleteCause)> = BTreeMap::new();
        let rows = sweep.attempts.iter().map(|ended| &ended.row).enumerate();
        for (entry, row) in rows.filter(|(_, row)| row.outcome != Outcome::Completed) {
            let (outcome, cause, latest) = (row.outcome, row.cause.clone(), row.at);
            let none = || (entry, IncompleteCause { outcome, cause, attempts: 0, latest });
            let (last, group) = groups.entry((row.outcome, &row.cause)).or_insert_with(none);
            (*last, group.latest) = (entry, group.latest.max(row.at));
            group.attempts += 1;
        }
        let mut groups: Vec<_> = groups.into_values().collect();
        groups.sort_by_key(|(last, group)| std::cmp::Reverse((group.attempts, *last)));
        Ok(groups.into_iter().take(limit as usize).map(|(_, group)| group).collect())
    }

    async fn access(&self) -> Result<AccessRows, StoreError> {
        Ok(self.state().access.rows())
    }

    async fn archived(&self, id: SweepId) -> Result<Option<ArchivedSweep>, StoreError> {
        Ok(self.state().sweep(id).map(Sweep::archived))
    }

    async fn archived_leases(
        &self,
        id: SweepId,
        from: Attempt,
        limit: u32,
    ) -> Result<Vec<ArchivedLease<Attempt>>, StoreError> {
        let state = self.state();
        let leases = state.archived_leases(id).filter(|lease| lease.lease >= from);
        Ok(leases.take(limit as usize).collect())
    }

    async fn archived_attempts(
        &self,
        id: SweepId,
        from: u64,
        limit: u32,
    ) -> Result<Vec<(u64, ArchivedAttempt<Attempt>)>, StoreError> {
        let state = self.state();
        let attempts = state.sweep(id).into_iter().flat_map(Sweep::archived_attempts);
        Ok(attempts.filter(|(entry, _)| *entry >= from).take(limit as usize).collect())
    }

    async fn archived_curves(
        &self,
        id: SweepId,
        from: u64,
        limit: u32,
    ) -> Result<Vec<ArchivedCurve<Attempt>>, StoreError> {
        let state = self.state();
        let Some(sweep) = state.sweep(id) else { return Ok(Vec::new()) };
        let rows = sweep.curves.range(TrajectoryIndex(from)..).take(limit as usize);
        Ok(rows.map(|(_, row)| state.archived_curve(sweep, row)).collect())
    }

    async fn archived_late(
        &self,
        id: SweepId,
        from: u64,
        limit: u32,
    ) -> Result<Vec<(u64, ArchivedLate<Attempt>)>, StoreError> {
        let state = self.state();
        let late = state.sweep(id).into_iter().flat_map(Sweep::archived_late);
        Ok(late.filter(|(entry, _)| *entry >= from).take(limit as usize).collect())
    }

    async fn import(
        &self,
        sweep: &ArchivedSweep,
        references: &References,
        rows: ImportedRows<'_>,
    ) -> Result<(), ImportError> {
        let refused = |what| StoreError::Refused { place: "in memory".to_owned(), what };
        let mut state = self.state();
        // Nothing of a failed import is kept.
        let mut imported = state.clone();
        let first = imported.leases.last_key_value().map_or(1, |(attempt, _)| attempt.0 + 1);
        imported.begin_import(sweep, references).map_err(refused)?;
        for part in rows {
            for row in part.map_err(ImportError::Rows)? {
                imported.import_row(sweep.row.submission.id, first, row).map_err(refused)?;
            }
        }
        *state = imported;
        Ok(())
    }
}
