//! Records to rows, in the transaction of the caller. Frequent rows are collected and written at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use biosweep_common::results::outcome::{Outcome, TrialStatus};
use biosweep_common::vocabulary::ids::{Attempt, SweepId, TrajectoryIndex, WorkerId};
use biosweep_common::workers::environment::NumericEnvironment;
use biosweep_scheduler::record::{Ending, LeaseRow, Record, ReusedRow, TrialResult};
use sqlx::error::ErrorKind;

use super::super::{curve, diagnostics};
use super::batch::{BatchError, Datum, Rows, STATEMENT_BYTES, Statement};
use super::{Connection, Query, failed, runs};
use crate::StoreError;

static LEASES: Statement<8> =
    Statement::new("INSERT INTO leases (attempt, sweep, first, count, open, worker, trainer, granted_at) ", "");
static CLOSINGS: Statement<5> = Statement::new(
    "UPDATE leases SET open = open - column5 FROM (",
    ") AS ended WHERE attempt = column1 AND sweep = column2 AND first <= column3 AND column4 < first + count",
);
static ATTEMPTS: Statement<7> =
    Statement::new("INSERT INTO attempts (attempt, trajectory, sweep, outcome, cause, ended_at, updates) ", "");
static CURVES: Statement<5> =
    Statement::new("INSERT INTO curves (sweep, trajectory, attempt, points, diagnostics) ", "");
static REFERENCES: Statement<5> = Statement::new(
    "INSERT INTO curves (sweep, trajectory, source_sweep, source_trajectory, attempt, points) \
     SELECT column1, column2, column3, column4, source.attempt, column5 FROM (",
    ") AS reused JOIN curves AS source ON source.sweep = column3 AND source.trajectory = column4 \
     AND (source.source_sweep IS NULL OR (source.source_sweep = source.sweep \
     AND source.source_trajectory = source.trajectory))",
);
static RESULTS: Statement<14> = Statement::new(
    "INSERT INTO results (sweep, trial, status, key, updates, attempts, trainer, seconds, validation_accuracy, \
     test_accuracy, best_update, score_updates, source_sweep, source_trial) ",
    "",
);

/// A late report.
pub(super) struct Late {
    pub(super) trajectory: TrajectoryIndex,
    pub(super) attempt: Attempt,
    pub(super) worker: WorkerId,
    pub(super) outcome: Outcome,
}

/// A cache of row ids of sweeps and trainers, which never change, and of the digests of stored datasets.
#[derive(Debug, Default)]
pub(super) struct IdCache {
    sweeps: BTreeMap<SweepId, i64>,
    trainers: BTreeMap<(String, Option<Arc<NumericEnvironment>>), i64>,
    pub(super) datasets: BTreeSet<String>,
}

impl IdCache {
    /// Adds a sweep that may be deleted.
    pub(super) fn know(&mut self, id: SweepId, number: i64) {
        self.sweeps.insert(id, number);
    }
}

/// Writes the records. After an error the transaction must be rolled back and the cache dropped.
pub(super) async fn records<'a>(
    connection: &'a mut Connection,
    place: &'a str,
    records: &'a [Record],
    ids: &'a mut IdCache,
) -> Result<(), StoreError> {
    let mut writer = Writer::new(connection, place, ids);
    for record in records {
        match record {
            Record::Submitted(submission) => writer.submitted(submission).await?,
            Record::StateChanged { sweep, state, reason, at } => {
                writer.state_changed(*sweep, *state, reason.as_deref(), *at).await?;
            }
            Record::Leased(lease) => writer.leased(lease).await?,
            Record::Ended(ending) => writer.ended(ending).await?,
            Record::Extended { sweep, extension, trials, trajectories } => {
                writer.extended(*sweep, extension, *trials, *trajectories).await?;
            }
            Record::Reused { sweep, trajectories } => writer.reused(*sweep, trajectories).await?,
            Record::Retried { sweep, trajectories } => writer.retried(*sweep, trajectories).await?,
            Record::Noted { sweep, note } => writer.noted(*sweep, note.as_deref()).await?,
            Record::Access(change) => writer.access(change).await?,
            Record::Deleted(sweep) => writer.deleted(*sweep).await?,
            Record::Quarantined(row) => writer.quarantined(row).await?,
            Record::Released(worker) => writer.released(*worker).await?,
            Record::Late { sweep, trajectory, attempt, worker, outcome, curve, at } => {
                let late = Late { trajectory: *trajectory, attempt: *attempt, worker: *worker, outcome: *outcome };
                writer.late_of_lease(*sweep, late, curve, *at).await?;
            }
        }
    }
    writer.flush().await
}

/// Maximum number of result rows collected in memory.
const GATHERED_MAX: usize = 20_000;

pub(super) struct Writer<'a> {
    pub(super) connection: &'a mut Connection,
    pub(super) place: &'a str,
    pub(super) ids: &'a mut IdCache,
    /// The sweeps of this transaction.
    sweeps: BTreeMap<SweepId, Tally>,
    pub(super) leases: Rows<'a, 8>,
    attempts: Rows<'a, 7>,
    curves: Rows<'a, 5>,
    /// Curves that refer to other trajectories.
    references: Rows<'a, 5>,
    results: Rows<'a, 14>,
}

/// A sweep's row id, and what this transaction adds to its counts, which is written once at the end.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) number: i64,
    completed: i64,
    diverged: i64,
    failed: i64,
    reused: i64,
    pub(super) done: BTreeSet<i64>,
    ended: BTreeMap<Attempt, Ended>,
}

/// The trajectories that ended under one attempt.
struct Ended {
    least: i64,
    greatest: i64,
    count: i64,
}

impl<'a> Writer<'a> {
    pub(super) const fn new(connection: &'a mut Connection, place: &'a str, ids: &'a mut IdCache) -> Self {
        Self {
            connection,
            place,
            ids,
            sweeps: BTreeMap::new(),
            leases: Rows::new(&LEASES),
            attempts: Rows::new(&ATTEMPTS),
            curves: Rows::new(&CURVES),
            references: Rows::new(&REFERENCES),
            results: Rows::new(&RESULTS),
        }
    }

    async fn leased(&mut self, lease: &'a LeaseRow) -> Result<(), StoreError> {
        let sweep = self.sweep(lease.sweep).await?.number;
        let trainer = self.trainer(&lease.worker_name, Some(&lease.environment)).await?;
        self.leases.push([
            self.integer(lease.attempt.0)?,
            Datum::number(sweep),
            self.integer(lease.first.0)?,
            self.integer(lease.count)?,
            self.integer(lease.count)?,
            Datum::bytes(lease.worker.0.as_bytes().as_slice()),
            Datum::number(trainer),
            self.integer(lease.at.0)?,
        ]);
        Ok(())
    }

    async fn ended(&mut self, ending: &'a Ending) -> Result<(), StoreError> {
        let &Ending { sweep: id, trajectory, attempt, outcome, at, .. } = ending;
        if outcome == Outcome::Completed && ending.results.is_empty() {
            let what =
                format!("trajectory {trajectory} of sweep {id} under attempt {attempt} completed without results");
            return Err(self.refused(what));
        }
        let done = self.whole(trajectory.0)?;
        let tally = self.sweep(id).await?;
        let sweep = tally.number;
        let ended = tally.ended.entry(attempt).or_insert(Ended { least: done, greatest: done, count: 0 });
        *ended = Ended { least: ended.least.min(done), greatest: ended.greatest.max(done), count: ended.count + 1 };
        self.attempts.push([
            self.integer(attempt.0)?,
            Datum::number(done),
            Datum::number(sweep),
            Datum::text(outcome.name()),
            Datum::Text(ending.cause.as_deref()),
            self.integer(at.0)?,
            self.integer(ending.updates)?,
        ]);
        if let Some(dataset) = &ending.dataset {
            self.dataset(dataset).await?;
        }
        if ending.results.is_empty() {
            return Ok(());
        }
        self.sweep(id).await?.done.insert(done);
        let points = Datum::bytes(curve::encode(&ending.curve));
        let diagnostics = match ending.diagnostics.as_slice() {
            [] => Datum::Bytes(None),
            diagnostics => Datum::bytes(diagnostics::encode(diagnostics)),
        };
        self.curves.push([Datum::number(sweep), Datum::number(done), self.integer(attempt.0)?, points, diagnostics]);
        for result in &ending.results {
            self.result(id, result).await?;
        }
        self.write_if_large().await
    }

    async fn reused(&mut self, id: SweepId, trajectories: &'a [ReusedRow]) -> Result<(), StoreError> {
        for row in trajectories {
            let source = self.sweep(row.source).await?.number;
            let done = self.whole(row.trajectory.0)?;
            let source_trajectory = self.integer(row.source_trajectory.0)?;
            if row.results.is_empty() {
                return Err(self.refused(format!("trajectory {done} of sweep {id} is reused without results")));
            }
            let tally = self.sweep(id).await?;
            if !tally.done.insert(done) {
                return Err(self.refused(format!("trajectory {done} of sweep {id} is reused twice")));
            }
            let (sweep, none) = (Datum::number(tally.number), Datum::bytes([].as_slice()));
            self.references.push([sweep, Datum::number(done), Datum::number(source), source_trajectory, none]);
            for result in &row.results {
                self.result(id, result).await?;
            }
            self.write_if_large().await?;
        }
        Ok(())
    }

    pub(super) async fn result(&mut self, id: SweepId, result: &'a TrialResult) -> Result<(), StoreError> {
        let [source_sweep, source_trial] = match result.reused_from {
            None => [Datum::Integer(None), Datum::Integer(None)],
            Some(from) => [Datum::number(self.sweep(from.sweep).await?.number), self.integer(from.trial.0)?],
        };
        let tally = self.sweep(id).await?;
        let sweep = tally.number;
        tally.reused += i64::from(result.reused_from.is_some());
        match result.status {
            TrialStatus::Completed => tally.completed += 1,
            TrialStatus::Diverged => tally.diverged += 1,
            TrialStatus::Failed => tally.failed += 1,
        }
        let trainer = self.trainer(&result.worker_name, result.environment.as_ref()).await?;
        let [validation_accuracy, test_accuracy, best_update, score_updates] = match result.score {
            None => [Datum::Real(None), Datum::Real(None), Datum::Integer(None), Datum::Integer(None)],
            Some(score) => [
                Datum::Real(Some(score.validation_accuracy)),
                Datum::Real(Some(score.test_accuracy)),
                self.integer(score.best_update)?,
                self.integer(score.updates)?,
            ],
        };
        self.results.push([
            Datum::number(sweep),
            self.integer(result.trial.0)?,
            Datum::text(result.status.name()),
            Datum::bytes(result.key.0.as_slice()),
            self.integer(result.updates)?,
            Datum::number(result.attempts.into()),
            Datum::number(trainer),
            Datum::Real(Some(result.seconds)),
            validation_accuracy,
            test_accuracy,
            best_update,
            score_updates,
            source_sweep,
            source_trial,
        ]);
        Ok(())
    }

    /// Writes the collected rows; first those that others refer to.
    pub(super) async fn flush(&mut self) -> Result<(), StoreError> {
        self.write_rows().await?;
        let place = self.place;
        for (id, tally) in std::mem::take(&mut self.sweeps).into_iter().filter(|(_, tally)| !tally.done.is_empty()) {
            let query = sqlx::query(
                "UPDATE sweeps SET completed = completed + $1, diverged = diverged + $2, failed = failed + $3, \
                 reused = reused + $4 WHERE sweep = $5",
            )
            .bind(tally.completed)
            .bind(tally.diverged)
            .bind(tally.failed)
            .bind(tally.reused)
            .bind(tally.number);
            self.execute(query, || format!("counts of sweep {id}")).await?;
            let added = runs::add(self.connection, tally.number, &tally.done).await;
            added.map_err(|error| failed(place, error))?;
        }
        Ok(())
    }

    /// Writes the collected rows if they are many or large.
    async fn write_if_large(&mut self) -> Result<(), StoreError> {
        if self.results.len() < GATHERED_MAX && self.curves.bytes() < STATEMENT_BYTES {
            return Ok(());
        }
        self.write_rows().await
    }

    /// Writes the collected rows, but not the counts of their sweeps.
    pub(super) async fn write_rows(&mut self) -> Result<(), StoreError> {
        let mut closings = Rows::new(&CLOSINGS);
        let mut ended = Vec::new();
        for tally in self.sweeps.values_mut() {
            ended.extend(
                std::mem::take(&mut tally.ended).into_iter().map(|(attempt, ended)| (tally.number, attempt, ended)),
            );
        }
        for (number, attempt, Ended { least, greatest, count }) in ended {
            let [sweep, least, greatest, count] = [number, least, greatest, count].map(Datum::number);
            closings.push([self.integer(attempt.0)?, sweep, least, greatest, count]);
        }
        let place = self.place;
        let unwritten = |error| match error {
            BatchError::Contradiction(what) => StoreError::Refused { place: place.to_owned(), what },
            BatchError::Failed(error) => failed(place, error),
        };
        self.leases.take().write(self.connection).await.map_err(unwritten)?;
        closings.write(self.connection).await.map_err(unwritten)?;
        self.attempts.take().write(self.connection).await.map_err(unwritten)?;
        self.curves.take().write(self.connection).await.map_err(unwritten)?;
        self.references.take().write(self.connection).await.map_err(unwritten)?;
        self.results.take().write(self.connection).await.map_err(unwritten)
    }

    pub(super) async fn sweep(&mut self, id: SweepId) -> Result<&mut Tally, StoreError> {
        if !self.sweeps.contains_key(&id) {
            let number = match self.ids.sweeps.get(&id) {
                Some(&number) => number,
                None => self.look_up(id).await?,
            };
            self.sweeps.insert(id, Tally { number, ..Tally::default() });
        }
        Ok(self.sweeps.get_mut(&id).expect("it was there or was just added"))
    }

    async fn look_up(&mut self, id: SweepId) -> Result<i64, StoreError> {
        let found: Option<(i64,)> = sqlx::query_as("SELECT sweep FROM sweeps WHERE id = $1 AND state <> 'deleted'")
            .bind(id.0.into_bytes().to_vec())
            .fetch_optional(&mut *self.connection)
            .await
            .map_err(|error| failed(self.place, error))?;
        let (number,) = found.ok_or_else(|| self.refused(format!("sweep {id} does not exist")))?;
        self.ids.sweeps.insert(id, number);
        Ok(number)
    }

    /// Drops a sweep from the cache; nothing more is written of it.
    pub(super) fn forget(&mut self, id: SweepId) {
        self.sweeps.remove(&id);
        self.ids.sweeps.remove(&id);
    }

    /// The row id of a worker's name with its numeric environment.
    pub(super) async fn trainer(
        &mut self,
        name: &str,
        environment: Option<&Arc<NumericEnvironment>>,
    ) -> Result<i64, StoreError> {
        let key = (name.to_owned(), environment.cloned());
        if let Some(&trainer) = self.ids.trainers.get(&key) {
            return Ok(trainer);
        }
        // The update changes nothing, but makes RETURNING answer for an existing row too.
        let found: Result<(i64,), _> = sqlx::query_as(
            "INSERT INTO trainers (name, environment) VALUES ($1, $2) \
             ON CONFLICT (name, environment) DO UPDATE SET name = excluded.name RETURNING trainer",
        )
        .bind(name)
        .bind(environment.map(|environment| environment.to_json()).unwrap_or_default())
        .fetch_one(&mut *self.connection)
        .await;
        let (trainer,) = found.map_err(|error| failed(self.place, error))?;
        self.ids.trainers.insert(key, trainer);
        Ok(trainer)
    }

    /// An error about a constraint means that a record contradicts the stored data.
    pub(super) async fn execute(&mut self, query: Query<'_>, what: impl Fn() -> String) -> Result<(), StoreError> {
        match query.execute(&mut *self.connection).await {
            Ok(_) => Ok(()),
            Err(sqlx::Error::Database(error)) if !matches!(error.kind(), ErrorKind::Other) => {
                Err(self.refused(format!("{}: {error}", what())))
            }
            Err(error) => Err(failed(self.place, error)),
        }
    }

    fn integer(&self, number: u64) -> Result<Datum<'a>, StoreError> {
        self.whole(number).map(Datum::number)
    }

    pub(super) fn whole(&self, number: u64) -> Result<i64, StoreError> {
        i64::try_from(number).map_err(|_| self.refused(format!("{number} is too large for a row")))
    }

    pub(super) fn refused(&self, what: String) -> StoreError {
        StoreError::Refused { place: self.place.to_owned(), what }
    }
}
