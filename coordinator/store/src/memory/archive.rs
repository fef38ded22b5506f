//! What an archive has of a sweep, in the store in memory.

use std::collections::BTreeSet;
use std::sync::Arc;

use biosweep_common::results::outcome::Outcome;
use biosweep_common::vocabulary::ids::{Attempt, SweepId};
use biosweep_scheduler::record::{AttemptRow, CurveRow, LeaseRow, Record};

use super::{EndedAttempt, Lease, State, Sweep};
use crate::archive::{
    ArchivedAttempt, ArchivedCurve, ArchivedLate, ArchivedLease, ArchivedSweep, CurveOrigin, ImportedRow, LateAttempt,
    References, Trainer,
};

impl Sweep {
    pub(super) fn archived(&self) -> ArchivedSweep {
        ArchivedSweep {
            row: self.row.clone(),
            attempts: self.attempts.len() as u64,
            resumed_after: self.resumed_after as u64,
            began_after: self.began_after as u64,
            ended_before: self.ended_before as u64,
        }
    }

    /// Every attempt with its entry, from 1.
    pub(super) fn archived_attempts(&self) -> impl Iterator<Item = (u64, ArchivedAttempt<Attempt>)> {
        (1..).zip(self.attempts.iter().enumerate().map(|(place, EndedAttempt { row, updates, .. })| ArchivedAttempt {
            lease: row.attempt,
            trajectory: row.trajectory,
            outcome: row.outcome,
            cause: row.cause.clone(),
            at: row.at,
            updates: Some(*updates),
            is_forgiven: self.is_forgiven(place, row),
        }))
    }

    fn is_forgiven(&self, place: usize, row: &AttemptRow) -> bool {
        matches!(row.outcome, Outcome::Failed | Outcome::WorkerLost)
            && self.forgiven.get(&row.trajectory).is_some_and(|&until| place < until)
    }

    /// Every late report with its place, from 1.
    pub(super) fn archived_late(&self) -> impl Iterator<Item = (u64, ArchivedLate<Attempt>)> {
        (1..).zip(self.late.values().filter_map(|record| match record {
            Record::Late { trajectory, attempt, worker, outcome, curve, at, .. } => Some(ArchivedLate {
                attempt: *attempt,
                trajectory: *trajectory,
                worker: *worker,
                outcome: *outcome,
                points: curve.clone(),
                at: *at,
            }),
            _ => None,
        }))
    }
}

impl State {
    pub(super) fn archived_leases(&self, id: SweepId) -> impl Iterator<Item = ArchivedLease<Attempt>> {
        let attempts = self.sweep(id).into_iter().flat_map(|sweep| &sweep.attempts);
        let used: BTreeSet<Attempt> = attempts.map(|ended| ended.row.attempt).collect();
        self.leases.values().map(|lease| &lease.row).filter(move |row| used.contains(&row.attempt)).map(|row| {
            ArchivedLease {
                lease: row.attempt,
                first: row.first,
                count: row.count,
                worker: row.worker,
                trainer: Trainer { name: row.worker_name.clone(), environment: Some(Arc::clone(&row.environment)) },
                at: row.at,
            }
        })
    }

    pub(super) fn archived_curve(&self, sweep: &Sweep, row: &CurveRow) -> ArchivedCurve<Attempt> {
        let trajectory = row.trajectory;
        let taken_over = |(name, environment)| CurveOrigin::TakenOver(Trainer { name, environment });
        let origin = match sweep.reused.get(&trajectory) {
            None => {
                let last = sweep.attempts_at(trajectory).next_back();
                CurveOrigin::Attempt(last.expect("a curve that was not taken over has an attempt").attempt)
            }
            Some(&(source, index)) => match self.sweep(source) {
                Some(source) => taken_over(source.trainer(index)),
                None => taken_over(sweep.trainer(trajectory)),
            },
        };
        let (points, diagnostics) = (row.points.clone(), row.diagnostics.clone());
        ArchivedCurve { trajectory, origin, points, diagnostics }
    }

    /// Adds a sweep without its rows.
    pub(super) fn begin_import(&mut self, sweep: &ArchivedSweep, references: &References) -> Result<(), String> {
        let submission = &sweep.row.submission;
        self.deleted.remove(&submission.id);
        self.submitted(submission)?;
        for (source, is_deleted) in &references.sources {
            if *is_deleted && self.sweep(*source).is_none() {
                self.deleted.insert(*source);
            }
        }
        for dataset in &references.datasets {
            self.datasets.entry(dataset.digest.clone()).or_insert(dataset.size);
        }
        let added = self.known(submission.id)?;
        added.row = sweep.row.clone();
        (added.row.completed, added.row.diverged, added.row.failed, added.row.reused) = (0, 0, 0, 0);
        added.resumed_after = sweep.resumed_after as usize;
        added.began_after = sweep.began_after as usize;
        added.ended_before = sweep.ended_before as usize;
        Ok(())
    }

    /// Adds a row to an imported sweep, whose leases have fencing numbers from `first` on.
    pub(super) fn import_row(&mut self, id: SweepId, first: u64, row: ImportedRow) -> Result<(), String> {
        let number = |lease: u64| Attempt(first + lease);
        match row {
            ImportedRow::Lease(lease) => {
                let row = LeaseRow {
                    attempt: number(lease.lease),
                    sweep: id,
                    first: lease.first,
                    count: lease.count,
                    worker: lease.worker,
                    worker_name: lease.trainer.name,
                    environment: lease.trainer.environment.unwrap_or_default(),
                    at: lease.at,
                };
                self.leases.insert(row.attempt, Lease { row, open: BTreeSet::new() });
            }
            ImportedRow::Attempt(attempt) => {
                let attempt_number = number(attempt.lease);
                let lease = self.leases.get(&attempt_number).ok_or_else(|| format!("no lease {attempt_number}"))?;
                let ended = EndedAttempt {
                    environment: Arc::clone(&lease.row.environment),
                    row: AttemptRow {
                        trajectory: attempt.trajectory,
                        attempt: attempt_number,
                        worker_name: lease.row.worker_name.clone(),
                        outcome: attempt.outcome,
                        cause: attempt.cause,
                        at: attempt.at,
                    },
                    worker: lease.row.worker,
                    updates: attempt.updates.unwrap_or_default(),
                };
                let sweep = self.known(id)?;
                sweep.attempts.push(ended);
                if attempt.is_forgiven {
                    sweep.forgiven.insert(attempt.trajectory, sweep.attempts.len());
                }
            }
            ImportedRow::Done(curve, results) => {
                let sweep = self.known(id)?;
                let ArchivedCurve { trajectory, origin, points, diagnostics } = curve;
                if let CurveOrigin::TakenOver(Trainer { name, environment }) = origin {
                    sweep.reused.insert(trajectory, (id, trajectory));
                    sweep.inherited.insert(trajectory, (name, environment));
                }
                sweep.curves.insert(trajectory, CurveRow { trajectory, points, diagnostics });
                for result in results {
                    *sweep.count(result.status) += 1;
                    sweep.row.reused += u64::from(result.reused_from.is_some());
                    if sweep.results.insert(result.trial, result).is_some() {
                        return Err(format!("trajectory {trajectory} of sweep {id} has a second result of one trial"));
                    }
                }
            }
            ImportedRow::Late(late) => {
                let attempt = match late.attempt {
                    LateAttempt::Under(lease) => number(lease),
                    LateAttempt::Unknown(attempt) => attempt,
                };
                let ArchivedLate { trajectory, worker, outcome, points: curve, at, .. } = late;
                let record = Record::Late { sweep: id, trajectory, attempt, worker, outcome, curve, at };
                self.known(id)?.late.entry((attempt, trajectory, worker)).or_insert(record);
            }
        }
        Ok(())
    }
}
