//! The rows of an archive to rows of this store, in the transaction of the caller.
//!
//! Reused curves are stored with their points: the sweep that trained them may not be here. Such a trajectory is its own source, as
//! after the deletion of that sweep, and refers to a lease without attempts that has the worker.

use std::collections::BTreeMap;

use biosweep_common::vocabulary::ids::{Attempt, SweepId, TrajectoryIndex};
use biosweep_host::id::new_id;
use biosweep_scheduler::record::TrialResult;
use sqlx::error::ErrorKind;

use super::super::{curve, diagnostics};
use super::batch::{BatchError, Datum, Rows, Statement};
use super::write::{IdCache, Late, Writer};
use super::{Connection, Query, failed};
use crate::StoreError;
use crate::archive::{
    ArchivedAttempt, ArchivedCurve, ArchivedLate, ArchivedLease, ArchivedSweep, CurveOrigin, ImportedRow, ImportedRows,
    LateAttempt, References, RowsError, Trainer,
};

static LEASES: Statement<8> =
    Statement::new("INSERT INTO leases (attempt, sweep, first, count, open, worker, trainer, granted_at) ", "");
static ATTEMPTS: Statement<8> = Statement::new(
    "INSERT INTO attempts (attempt, trajectory, sweep, outcome, cause, ended_at, updates, forgiven) ",
    "",
);
static CURVES: Statement<7> = Statement::new(
    "INSERT INTO curves (sweep, trajectory, attempt, points, diagnostics, source_sweep, source_trajectory) ",
    "",
);

/// The greatest fencing number that an import may give. The coordinators of this store go on from there.
const ATTEMPT_MAX: i64 = 1 << 62;

/// The reason in the row of a sweep that is not here although results refer to it. A deleted sweep has no reason.
const NOT_HERE: &str = "not in this store";

/// Writes a sweep with all its rows. After an error the transaction must be rolled back; the inner error is that of the rows.
pub(super) async fn sweep(
    connection: &mut Connection,
    place: &str,
    sweep: &ArchivedSweep,
    references: &References,
    rows: ImportedRows<'_>,
) -> Result<Result<(), RowsError>, StoreError> {
    let mut import = Import::begin(connection, place, sweep, references).await?;
    for part in rows {
        match part {
            Ok(part) => import.rows(&part).await?,
            Err(error) => return Ok(Err(error)),
        }
    }
    import.end().await.map(Ok)
}

/// A sweep in the course of its import.
struct Import<'a> {
    connection: &'a mut Connection,
    place: &'a str,
    /// Row ids for this transaction only: those of deleted sweeps are among them.
    ids: IdCache,
    sweep: &'a ArchivedSweep,
    number: i64,
    /// The fencing number of the first lease.
    first_attempt: i64,
    /// The number after those of all leases so far.
    next_attempt: i64,
    /// The leases that have the workers of curves that were taken over.
    trainers: BTreeMap<Trainer, i64>,
}

impl<'a> Import<'a> {
    /// Writes the sweep without its rows.
    async fn begin(
        connection: &'a mut Connection,
        place: &'a str,
        sweep: &'a ArchivedSweep,
        references: &'a References,
    ) -> Result<Self, StoreError> {
        let last = sqlx::query_scalar("SELECT coalesce(max(attempt), 0) FROM leases").fetch_one(&mut *connection);
        let last: i64 = last.await.map_err(|error| failed(place, error))?;
        let (ids, trainers, next) = (IdCache::default(), BTreeMap::new(), last + 1);
        let mut import =
            Self { connection, place, ids, sweep, number: 0, first_attempt: next, next_attempt: next, trainers };
        import.number = import.row().await?;
        import.ids.know(sweep.row.submission.id, import.number);
        for (source, is_deleted) in &references.sources {
            import.source(*source, *is_deleted).await?;
        }
        let mut writer = Writer::new(&mut *import.connection, place, &mut import.ids);
        for extension in &sweep.row.extensions {
            writer.extension(sweep.row.submission.id, extension).await?;
        }
        for dataset in &references.datasets {
            writer.dataset(dataset).await?;
        }
        Ok(import)
    }

    /// Writes the row of the sweep: a new one, or that of the deleted sweep with this id.
    async fn row(&mut self) -> Result<i64, StoreError> {
        let (row, submission) = (&self.sweep.row, &self.sweep.row.submission);
        let id = submission.id;
        let found = self.number_of(id).await?;
        if let Some((number, _)) = found.as_ref().filter(|(_, state)| state == "deleted") {
            self.set_leftovers_aside(*number).await?;
        }
        let text = match found {
            None => {
                "INSERT INTO sweeps (id, name, spec_text, spec_format, spec_resolved, digest, trials, trajectories, submitted_at, \
                 state, state_at, reason, note, ended_before) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"
            }
            Some((_, state)) if state == "deleted" => {
                "UPDATE sweeps SET name = $2, spec_text = $3, spec_format = $4, spec_resolved = $5, digest = $6, trials = $7, \
                 trajectories = $8, submitted_at = $9, state = $10, state_at = $11, reason = $12, note = $13, \
                 ended_before = $14 WHERE id = $1"
            }
            Some(_) => return Err(self.refused(format!("sweep {id} already exists"))),
        };
        let query = sqlx::query(text)
            .bind(id.0.into_bytes().to_vec())
            .bind(&submission.name)
            .bind(&submission.spec.text)
            .bind(submission.spec.format.name())
            .bind(&submission.spec.resolved)
            .bind(&submission.digest)
            .bind(self.whole(submission.trials)?)
            .bind(self.whole(submission.trajectories)?)
            .bind(self.whole(submission.submitted_at.0)?)
            .bind(row.state.name())
            .bind(self.whole(row.state_at.0)?)
            .bind(&row.reason)
            .bind(&row.note)
            .bind(self.whole(self.sweep.ended_before)?);
        self.execute(query, || format!("sweep {id}")).await?;
        let number = self.number_of(id).await?.map(|(number, _)| number);
        number.ok_or_else(|| self.refused(format!("sweep {id} does not exist")))
    }

    /// Gives what a deletion left of a sweep to a deleted sweep of its own, because it is no part of the imported one: the last
    /// entry and the last attempt, and leases with the workers of curves that others keep.
    async fn set_leftovers_aside(&mut self, number: i64) -> Result<(), StoreError> {
        let aside = new_id::<SweepId>();
        self.deleted_sweep(aside, None).await?;
        let to = self.number_of(aside).await?.map(|(number, _)| number);
        for text in ["UPDATE leases SET sweep = $2 WHERE sweep = $1", "UPDATE attempts SET sweep = $2 WHERE sweep = $1"]
        {
            self.execute(sqlx::query(text).bind(number).bind(to), || "leftovers of a deletion".to_owned()).await?;
        }
        Ok(())
    }

    /// Writes the row of a sweep of which the store has nothing else.
    async fn deleted_sweep(&mut self, id: SweepId, reason: Option<&str>) -> Result<(), StoreError> {
        let query = sqlx::query(
            "INSERT INTO sweeps (id, name, spec_text, spec_format, spec_resolved, digest, trials, trajectories, submitted_at, \
             state, state_at, reason) VALUES ($1, '', '', 'toml', '', '', 0, 0, 0, 'deleted', 0, $2)",
        )
        .bind(id.0.into_bytes().to_vec())
        .bind(reason);
        self.execute(query, || format!("sweep {id}")).await
    }

    /// Makes sure that results can refer to a sweep.
    async fn source(&mut self, id: SweepId, is_deleted: bool) -> Result<(), StoreError> {
        if self.number_of(id).await?.is_none() {
            self.deleted_sweep(id, (!is_deleted).then_some(NOT_HERE)).await?;
        }
        if let Some((number, _)) = self.number_of(id).await? {
            self.ids.know(id, number);
        }
        Ok(())
    }

    /// Writes some rows.
    async fn rows(&mut self, rows: &[ImportedRow]) -> Result<(), StoreError> {
        let id = self.sweep.row.submission.id;
        let (mut leases, mut attempts, mut curves) = (Rows::new(&LEASES), Rows::new(&ATTEMPTS), Rows::new(&CURVES));
        for row in rows {
            match row {
                ImportedRow::Lease(lease) => leases.push(self.lease(lease).await?),
                ImportedRow::Attempt(attempt) => attempts.push(self.attempt(attempt)?),
                ImportedRow::Done(curve, _) => curves.push(self.curve(curve).await?),
                ImportedRow::Late(late) => self.late(late).await?,
            }
        }
        let place = self.place;
        let unwritten = |error| match error {
            BatchError::Contradiction(what) => StoreError::Refused { place: place.to_owned(), what },
            BatchError::Failed(error) => failed(place, error),
        };
        leases.write(self.connection).await.map_err(unwritten)?;
        attempts.write(self.connection).await.map_err(unwritten)?;
        curves.write(self.connection).await.map_err(unwritten)?;
        let done = rows.iter().filter_map(|row| match row {
            ImportedRow::Done(curve, results) => Some((curve.trajectory, results.as_slice())),
            _ => None,
        });
        let mut writer = Writer::new(&mut *self.connection, place, &mut self.ids);
        for (trajectory, results) in done {
            writer.results_of(id, trajectory, results).await?;
        }
        writer.flush().await
    }

    async fn lease<'r>(&mut self, lease: &'r ArchivedLease<u64>) -> Result<[Datum<'r>; 8], StoreError> {
        let (attempt, trainer) = (self.attempt_number(lease.lease)?, self.trainer(&lease.trainer).await?);
        self.next_attempt = self.next_attempt.max(attempt + 1);
        Ok([
            Datum::number(attempt),
            Datum::number(self.number),
            Datum::number(self.whole(lease.first.0)?),
            Datum::number(self.whole(lease.count)?),
            Datum::number(0),
            Datum::bytes(lease.worker.0.as_bytes().as_slice()),
            Datum::number(trainer),
            Datum::number(self.whole(lease.at.0)?),
        ])
    }

    fn attempt<'r>(&self, attempt: &'r ArchivedAttempt<u64>) -> Result<[Datum<'r>; 8], StoreError> {
        Ok([
            Datum::number(self.attempt_number(attempt.lease)?),
            Datum::number(self.whole(attempt.trajectory.0)?),
            Datum::number(self.number),
            Datum::text(attempt.outcome.name()),
            Datum::Text(attempt.cause.as_deref()),
            Datum::number(self.whole(attempt.at.0)?),
            Datum::Integer(attempt.updates.map(|updates| self.whole(updates)).transpose()?),
            Datum::number(attempt.is_forgiven.into()),
        ])
    }

    async fn curve<'r>(&mut self, row: &'r ArchivedCurve<u64>) -> Result<[Datum<'r>; 7], StoreError> {
        let trajectory = self.whole(row.trajectory.0)?;
        let (attempt, source) = match &row.origin {
            CurveOrigin::Attempt(lease) => (self.attempt_number(*lease)?, None),
            CurveOrigin::TakenOver(trainer) => (self.lease_of(trainer).await?, Some((self.number, trajectory))),
        };
        let points = Datum::bytes(curve::encode(&row.points));
        let diagnostics = match row.diagnostics.as_slice() {
            [] => Datum::Bytes(None),
            diagnostics => Datum::bytes(diagnostics::encode(diagnostics)),
        };
        Ok([
            Datum::number(self.number),
            Datum::number(trajectory),
            Datum::number(attempt),
            points,
            diagnostics,
            Datum::Integer(source.map(|(sweep, _)| sweep)),
            Datum::Integer(source.map(|(_, trajectory)| trajectory)),
        ])
    }

    /// The lease without attempts that has this worker.
    async fn lease_of(&mut self, trainer: &Trainer) -> Result<i64, StoreError> {
        if let Some(&attempt) = self.trainers.get(trainer) {
            return Ok(attempt);
        }
        let attempt = self.next_attempt;
        if attempt >= ATTEMPT_MAX {
            return Err(self.refused("no fencing number is left".to_owned()));
        }
        let row = self.trainer(trainer).await?;
        let query = sqlx::query(
            "INSERT INTO leases (attempt, sweep, first, count, open, worker, trainer, granted_at) \
             VALUES ($1, $2, 0, 1, 0, $3, $4, 0)",
        )
        .bind(attempt)
        .bind(self.number)
        .bind(vec![0_u8; 16])
        .bind(row);
        self.execute(query, || format!("lease {attempt}")).await?;
        self.next_attempt += 1;
        self.trainers.insert(trainer.clone(), attempt);
        Ok(attempt)
    }

    async fn late(&mut self, late: &ArchivedLate<LateAttempt>) -> Result<(), StoreError> {
        let attempt = match late.attempt {
            LateAttempt::Under(lease) => Attempt(self.attempt_number(lease)?.unsigned_abs()),
            LateAttempt::Unknown(attempt) => attempt,
        };
        let &ArchivedLate { trajectory, worker, outcome, ref points, at, .. } = late;
        let mut writer = Writer::new(&mut *self.connection, self.place, &mut self.ids);
        writer.late(self.sweep.row.submission.id, Late { trajectory, attempt, worker, outcome }, points, at).await
    }

    /// Writes what the sweep says of the order of its attempts, which have their entries now.
    async fn end(mut self) -> Result<(), StoreError> {
        let resumed_after = self.entry(self.sweep.resumed_after).await?;
        let began_after = self.entry(self.sweep.began_after).await?;
        let query = sqlx::query("UPDATE sweeps SET resumed_after = $2, began_after = $3 WHERE sweep = $1");
        let query = query.bind(self.number).bind(resumed_after).bind(began_after);
        self.execute(query, || "the order of attempts".to_owned()).await
    }

    /// The entry of the last of so many attempts; 0 for none.
    async fn entry(&mut self, attempts: u64) -> Result<i64, StoreError> {
        let Some(before) = attempts.checked_sub(1) else { return Ok(0) };
        let query = sqlx::query_scalar("SELECT entry FROM attempts WHERE sweep = $1 ORDER BY entry LIMIT 1 OFFSET $2");
        let query = query.bind(self.number).bind(self.whole(before)?);
        let entry = query.fetch_optional(&mut *self.connection).await.map_err(|error| failed(self.place, error))?;
        entry.ok_or_else(|| self.refused(format!("there are not {attempts} attempts")))
    }

    fn attempt_number(&self, lease: u64) -> Result<i64, StoreError> {
        let number = self.whole(lease)?.saturating_add(self.first_attempt);
        if number < ATTEMPT_MAX {
            Ok(number)
        } else {
            Err(self.refused(format!("lease {lease} has no fencing number")))
        }
    }

    async fn trainer(&mut self, trainer: &Trainer) -> Result<i64, StoreError> {
        let mut writer = Writer::new(&mut *self.connection, self.place, &mut self.ids);
        writer.trainer(&trainer.name, trainer.environment.as_ref()).await
    }

    /// The row id and the state of a sweep, deleted or not.
    async fn number_of(&mut self, id: SweepId) -> Result<Option<(i64, String)>, StoreError> {
        let found = sqlx::query_as("SELECT sweep, state FROM sweeps WHERE id = $1").bind(id.0.into_bytes().to_vec());
        found.fetch_optional(&mut *self.connection).await.map_err(|error| failed(self.place, error))
    }

    async fn execute(&mut self, query: Query<'_>, what: impl Fn() -> String) -> Result<(), StoreError> {
        match query.execute(&mut *self.connection).await {
            Ok(_) => Ok(()),
            Err(sqlx::Error::Database(error)) if !matches!(error.kind(), ErrorKind::Other) => {
                Err(self.refused(format!("{}: {error}", what())))
            }
            Err(error) => Err(failed(self.place, error)),
        }
    }

    fn whole(&self, number: u64) -> Result<i64, StoreError> {
        i64::try_from(number).map_err(|_| self.refused(format!("{number} is too large for a row")))
    }

    fn refused(&self, what: String) -> StoreError {
        StoreError::Refused { place: self.place.to_owned(), what }
    }
}

impl<'a> Writer<'a> {
    /// Writes the results of a trajectory whose curve is there.
    async fn results_of(
        &mut self,
        id: SweepId,
        trajectory: TrajectoryIndex,
        results: &'a [TrialResult],
    ) -> Result<(), StoreError> {
        let done = self.whole(trajectory.0)?;
        self.sweep(id).await?.done.insert(done);
        for result in results {
            self.result(id, result).await?;
        }
        Ok(())
    }
}
