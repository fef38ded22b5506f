//! Records → rows, in the transaction of the caller.
//!
//! Sweeps and late reports, which are few, are written as they come; what comes by the thousand is gathered and written
//! at the end.

use std::collections::{BTreeMap, BTreeSet};

use biosweep_common::clock::WallTime;
use biosweep_common::curve::CurvePoint;
use biosweep_common::ids::{Attempt, SweepId, TrajectoryIndex, WorkerId};
use biosweep_common::outcome::{Outcome, SweepState, TrialStatus};
use sqlx::SqliteConnection;
use sqlx::error::ErrorKind;
use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments};

use super::batch::{BatchError, Datum, Rows};
use super::{curve, failed, health, runs};
use crate::store::StoreError;
use crate::store::record::{Ending, LeaseRow, Record, Submission, TrialResult};

/// Writes the records. After an error the transaction must be rolled back.
pub(super) async fn records<'a>(
    connection: &'a mut SqliteConnection,
    place: &'a str,
    records: &'a [Record],
) -> Result<(), StoreError> {
    let mut writer = Writer {
        connection,
        place,
        sweeps: BTreeMap::new(),
        names: BTreeMap::new(),
        leases: Rows::new("INSERT INTO leases (attempt, sweep, first, count, open, worker, name, granted_at) ", ""),
        attempts: Rows::new("INSERT INTO attempts (attempt, trajectory, sweep, outcome, cause, ended_at) ", ""),
        curves: Rows::new("INSERT INTO curves (sweep, trajectory, attempt, points, health) ", ""),
        results: Rows::new(
            "INSERT INTO results (sweep, trial, status, key, updates, attempts, name, seconds, validation_accuracy, \
             test_accuracy, best_update, score_updates) ",
            "",
        ),
    };
    for record in records {
        match record {
            Record::Submitted(submission) => writer.submitted(submission).await?,
            Record::StateChanged { sweep, state, at } => writer.state_changed(*sweep, *state, *at).await?,
            Record::Leased(lease) => writer.leased(lease).await?,
            Record::Ended(ending) => writer.ended(ending).await?,
            Record::Late { sweep, trajectory, attempt, worker, outcome, curve, at } => {
                let late = Late { trajectory: *trajectory, attempt: *attempt, worker: *worker, outcome: *outcome };
                writer.late(*sweep, late, curve, *at).await?;
            }
        }
    }
    writer.finish().await
}

struct Writer<'a> {
    connection: &'a mut SqliteConnection,
    place: &'a str,
    /// The sweeps met in this transaction.
    sweeps: BTreeMap<SweepId, Tally>,
    /// The names met in this transaction.
    names: BTreeMap<&'a str, i64>,
    leases: Rows<'a, 8>,
    attempts: Rows<'a, 6>,
    curves: Rows<'a, 5>,
    results: Rows<'a, 12>,
}

/// A sweep's number, and what this transaction adds to its counts: written once, at the end.
#[derive(Default)]
struct Tally {
    number: i64,
    completed: i64,
    diverged: i64,
    failed: i64,
    done: BTreeSet<i64>,
    ended: BTreeMap<Attempt, Ended>,
}

/// The trajectories that ended under one attempt.
struct Ended {
    least: i64,
    greatest: i64,
    count: i64,
}

/// Whose late report it is.
struct Late {
    trajectory: TrajectoryIndex,
    attempt: Attempt,
    worker: WorkerId,
    outcome: Outcome,
}

impl<'a> Writer<'a> {
    async fn submitted(&mut self, submission: &Submission) -> Result<(), StoreError> {
        let query = sqlx::query(
            "INSERT INTO sweeps (id, name, spec_text, spec_format, digest, trials, trajectories, submitted_at, state, \
             state_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?8)",
        )
        .bind(submission.id.0.into_bytes().to_vec())
        .bind(&submission.name)
        .bind(&submission.spec_text)
        .bind(submission.spec_format.name())
        .bind(&submission.digest)
        .bind(self.whole(submission.trials)?)
        .bind(self.whole(submission.trajectories)?)
        .bind(self.whole(submission.submitted_at.0)?)
        .bind(SweepState::Running.name());
        self.execute(query, || format!("submission of sweep {}", submission.id)).await
    }

    async fn state_changed(&mut self, id: SweepId, state: SweepState, at: WallTime) -> Result<(), StoreError> {
        let sweep = self.sweep(id).await?.number;
        let query = sqlx::query("UPDATE sweeps SET state = ?, state_at = ? WHERE sweep = ?")
            .bind(state.name())
            .bind(self.whole(at.0)?)
            .bind(sweep);
        self.execute(query, || format!("state of sweep {id}")).await
    }

    async fn leased(&mut self, lease: &'a LeaseRow) -> Result<(), StoreError> {
        let sweep = self.sweep(lease.sweep).await?.number;
        let name = self.name(&lease.worker_name).await?;
        self.leases.push([
            self.integer(lease.attempt.0)?,
            Datum::Integer(sweep),
            self.integer(lease.first.0)?,
            self.integer(lease.count)?,
            self.integer(lease.count)?,
            Datum::Bytes(lease.worker.0.as_bytes().into()),
            Datum::Integer(name),
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
            Datum::Integer(done),
            Datum::Integer(sweep),
            Datum::Text(outcome.name()),
            ending.cause.as_deref().map_or(Datum::Null, Datum::Text),
            self.integer(at.0)?,
        ]);
        if ending.results.is_empty() {
            return Ok(());
        }
        self.sweep(id).await?.done.insert(done);
        let points = Datum::Bytes(curve::encode(&ending.curve).into());
        let health = match ending.health.as_slice() {
            [] => Datum::Null,
            health => Datum::Bytes(health::encode(health).into()),
        };
        self.curves.push([Datum::Integer(sweep), Datum::Integer(done), self.integer(attempt.0)?, points, health]);
        for result in &ending.results {
            self.result(id, result).await?;
        }
        Ok(())
    }

    async fn result(&mut self, id: SweepId, result: &'a TrialResult) -> Result<(), StoreError> {
        let tally = self.sweep(id).await?;
        let sweep = tally.number;
        match result.status {
            TrialStatus::Completed => tally.completed += 1,
            TrialStatus::Diverged => tally.diverged += 1,
            TrialStatus::Failed => tally.failed += 1,
        }
        let name = self.name(&result.worker_name).await?;
        let [validation_accuracy, test_accuracy, best_update, score_updates] = match result.score {
            None => [Datum::Null, Datum::Null, Datum::Null, Datum::Null],
            Some(score) => [
                Datum::Real(score.validation_accuracy),
                Datum::Real(score.test_accuracy),
                self.integer(score.best_update)?,
                self.integer(score.updates)?,
            ],
        };
        self.results.push([
            Datum::Integer(sweep),
            self.integer(result.trial.0)?,
            Datum::Text(result.status.name()),
            Datum::Bytes((&result.key.0).into()),
            self.integer(result.updates)?,
            Datum::Integer(result.attempts.into()),
            Datum::Integer(name),
            Datum::Real(result.seconds),
            validation_accuracy,
            test_accuracy,
            best_update,
            score_updates,
        ]);
        Ok(())
    }

    async fn late(&mut self, id: SweepId, late: Late, points: &[CurvePoint], at: WallTime) -> Result<(), StoreError> {
        let sweep = self.sweep(id).await?.number;
        let query = sqlx::query(
            "INSERT INTO late_reports (sweep, trajectory, attempt, worker, outcome, points, came_at) \
             VALUES (?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(sweep)
        .bind(self.whole(late.trajectory.0)?)
        .bind(self.whole(late.attempt.0)?)
        .bind(late.worker.0.into_bytes().to_vec())
        .bind(late.outcome.name())
        .bind(curve::encode(points))
        .bind(self.whole(at.0)?);
        self.execute(query, || format!("late report of trajectory {} of sweep {id}", late.trajectory)).await
    }

    /// Writes what was gathered: first what other rows refer to.
    async fn finish(mut self) -> Result<(), StoreError> {
        let mut closings = Rows::new(
            "UPDATE leases SET open = open - column5 FROM (",
            ") WHERE attempt = column1 AND sweep = column2 AND first <= column3 AND column4 < first + count",
        );
        let sweeps = std::mem::take(&mut self.sweeps);
        for tally in sweeps.values() {
            for (attempt, &Ended { least, greatest, count }) in &tally.ended {
                let [sweep, least, greatest, count] = [tally.number, least, greatest, count].map(Datum::Integer);
                closings.push([self.integer(attempt.0)?, sweep, least, greatest, count]);
            }
        }
        let place = self.place;
        let unwritten = |error| match error {
            BatchError::Contradiction(what) => StoreError::Refused { place: place.to_owned(), what },
            BatchError::Failed(error) => failed(place, error),
        };
        self.leases.write(self.connection).await.map_err(unwritten)?;
        closings.write(self.connection).await.map_err(unwritten)?;
        self.attempts.write(self.connection).await.map_err(unwritten)?;
        self.curves.write(self.connection).await.map_err(unwritten)?;
        self.results.write(self.connection).await.map_err(unwritten)?;
        for (id, tally) in sweeps.into_iter().filter(|(_, tally)| !tally.done.is_empty()) {
            let query = sqlx::query(
                "UPDATE sweeps SET completed = completed + ?, diverged = diverged + ?, failed = failed + ? \
                 WHERE sweep = ?",
            )
            .bind(tally.completed)
            .bind(tally.diverged)
            .bind(tally.failed)
            .bind(tally.number);
            self.execute(query, || format!("counts of sweep {id}")).await?;
            let added = runs::add(self.connection, tally.number, &tally.done).await;
            added.map_err(|error| failed(place, error))?;
        }
        Ok(())
    }

    async fn sweep(&mut self, id: SweepId) -> Result<&mut Tally, StoreError> {
        if !self.sweeps.contains_key(&id) {
            let found: Option<(i64,)> = sqlx::query_as("SELECT sweep FROM sweeps WHERE id = ?")
                .bind(id.0.into_bytes().to_vec())
                .fetch_optional(&mut *self.connection)
                .await
                .map_err(|error| failed(self.place, error))?;
            let (number,) = found.ok_or_else(|| self.refused(format!("sweep {id} is not there")))?;
            self.sweeps.insert(id, Tally { number, ..Tally::default() });
        }
        Ok(self.sweeps.get_mut(&id).expect("was there or has just been put there"))
    }

    async fn name(&mut self, text: &'a str) -> Result<i64, StoreError> {
        if let Some(&name) = self.names.get(text) {
            return Ok(name);
        }
        // The change that changes nothing makes RETURNING answer for a name that was there, too.
        let found: Result<(i64,), _> = sqlx::query_as(
            "INSERT INTO names (text) VALUES (?) ON CONFLICT (text) DO UPDATE SET text = text RETURNING name",
        )
        .bind(text)
        .fetch_one(&mut *self.connection)
        .await;
        let (name,) = found.map_err(|error| failed(self.place, error))?;
        self.names.insert(text, name);
        Ok(name)
    }

    /// A broken constraint is a record that contradicts what is stored.
    async fn execute(
        &mut self,
        query: Query<'_, Sqlite, SqliteArguments>,
        what: impl Fn() -> String,
    ) -> Result<(), StoreError> {
        match query.execute(&mut *self.connection).await {
            Ok(_) => Ok(()),
            Err(sqlx::Error::Database(error)) if !matches!(error.kind(), ErrorKind::Other) => {
                Err(self.refused(format!("{}: {error}", what())))
            }
            Err(error) => Err(failed(self.place, error)),
        }
    }

    fn integer(&self, number: u64) -> Result<Datum<'a>, StoreError> {
        self.whole(number).map(Datum::Integer)
    }

    fn whole(&self, number: u64) -> Result<i64, StoreError> {
        i64::try_from(number).map_err(|_| self.refused(format!("{number} is more than a row can hold")))
    }

    fn refused(&self, what: String) -> StoreError {
        StoreError::Refused { place: self.place.to_owned(), what }
    }
}
