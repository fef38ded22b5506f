//! Rows → records.

use biosweep_common::clock::WallTime;
use biosweep_common::configuration::TrialKey;
use biosweep_common::curve::Score;
use biosweep_common::ids::{Attempt, StoreId, SweepId, TrajectoryIndex, TrialIndex, TrialRef, WorkerId};
use biosweep_common::outcome::{Outcome, SweepState, TrialStatus};
use biosweep_common::spec::Format;
use sqlx::{Decode, Row as _, Type};
use uuid::Uuid;

use super::super::{curve, health};
use super::{Connection, Db, DbRow, Query, failed};
use crate::store::StoreError;
use crate::store::record::{
    AttemptRow, CurveRow, Extension, FailureRow, LeaseRow, QuarantineRow, Restored, RestoredSweep, SourceRow, Standing,
    Submission, SweepRow,
    TrialResult,
};

macro_rules! sweeps_where {
    ($rest:literal) => {
        concat!(
            "SELECT sweep, id, name, spec_text, spec_format, digest, trials, trajectories, submitted_at, state, \
             reason, completed, diverged, failed, reused, resumed_after, began_after, ended_before, \
             EXISTS (SELECT 1 FROM extensions WHERE extensions.sweep = sweeps.sweep) AS is_extended FROM sweeps ",
            $rest
        )
    };
}

/// Every sweep, in the order of submission.
pub(super) async fn sweeps(connection: &mut Connection, place: &str) -> Result<Vec<SweepRow>, StoreError> {
    let rows = all(connection, place, sqlx::query(sweeps_where!("ORDER BY sweep"))).await?;
    let mut sweeps = Vec::new();
    for row in &rows {
        sweeps.push(extended(connection, Cells { row, place }).await?);
    }
    Ok(sweeps)
}

pub(super) async fn sweep(
    connection: &mut Connection,
    place: &str,
    id: SweepId,
) -> Result<Option<SweepRow>, StoreError> {
    let query = sqlx::query(sweeps_where!("WHERE id = $1")).bind(id.0.into_bytes().to_vec());
    match all(connection, place, query).await?.first() {
        Some(row) => extended(connection, Cells { row, place }).await.map(Some),
        None => Ok(None),
    }
}

/// A sweep with what was added to it.
async fn extended(connection: &mut Connection, cells: Cells<'_>) -> Result<SweepRow, StoreError> {
    let (mut sweep, place) = (cells.sweep()?, cells.place);
    if cells.get::<bool>("is_extended")? {
        let query = sqlx::query("SELECT text, format, extended_at FROM extensions WHERE sweep = $1 ORDER BY entry");
        let rows = all(connection, place, query.bind(cells.get::<i64>("sweep")?)).await?;
        let extension = |row: &DbRow| {
            let cells = Cells { row, place };
            let format = cells.named("format", Format::from_name)?;
            Ok(Extension { text: cells.get("text")?, format, at: WallTime(cells.count("extended_at")?) })
        };
        sweep.extensions = rows.iter().map(extension).collect::<Result<_, StoreError>>()?;
    }
    Ok(sweep)
}

pub(super) async fn results(
    connection: &mut Connection,
    place: &str,
    id: SweepId,
    from: TrialIndex,
    limit: u32,
) -> Result<Vec<TrialResult>, StoreError> {
    let query = sqlx::query(
        "SELECT trial, key, status, updates, attempts, names.text, seconds, validation_accuracy, test_accuracy, \
         best_update, score_updates, source_trial, \
         (SELECT id FROM sweeps WHERE sweeps.sweep = results.source_sweep) AS source \
         FROM results JOIN names USING (name) \
         WHERE sweep = (SELECT sweep FROM sweeps WHERE id = $1) AND trial >= $2 ORDER BY trial LIMIT $3",
    )
    .bind(id.0.into_bytes().to_vec())
    .bind(i64::try_from(from.0).unwrap_or(i64::MAX))
    .bind(i64::from(limit));
    let rows = all(connection, place, query).await?;
    rows.iter().map(|row| Cells { row, place }.result()).collect()
}

pub(super) async fn curves(
    connection: &mut Connection,
    place: &str,
    id: SweepId,
    from: u64,
    limit: u32,
) -> Result<Vec<CurveRow>, StoreError> {
    let query = sqlx::query(
        "SELECT curves.trajectory, coalesce(source.points, curves.points) AS points, \
         coalesce(source.health, curves.health) AS health FROM curves LEFT JOIN curves AS source \
         ON source.sweep = curves.source_sweep AND source.trajectory = curves.source_trajectory \
         WHERE curves.sweep = (SELECT sweep FROM sweeps WHERE id = $1) AND curves.trajectory >= $2 \
         ORDER BY curves.trajectory LIMIT $3",
    )
    .bind(id.0.into_bytes().to_vec())
    .bind(i64::try_from(from).unwrap_or(i64::MAX))
    .bind(i64::from(limit));
    let rows = all(connection, place, query).await?;
    let curve = |row: &DbRow| {
        let cells = Cells { row, place };
        let points = curve::decode(cells.get::<&[u8]>("points")?);
        let points = points.map_err(|why| cells.unreadable(&format!("points: {why}")))?;
        let health = cells.get::<Option<&[u8]>>("health")?.map_or(Ok(Vec::new()), health::decode);
        let health = health.map_err(|why| cells.unreadable(&format!("health: {why}")))?;
        Ok(CurveRow { trajectory: TrajectoryIndex(cells.count("trajectory")?), points, health })
    };
    rows.iter().map(curve).collect()
}

/// Those whose accepted attempt did not fail, and which have points of their own.
pub(super) async fn sources(
    connection: &mut Connection,
    place: &str,
    id: SweepId,
    from: u64,
    limit: u32,
) -> Result<Vec<SourceRow>, StoreError> {
    let query = sqlx::query(
        "SELECT curves.trajectory, points, names.text FROM curves JOIN leases ON leases.attempt = curves.attempt \
         JOIN names ON names.name = leases.name JOIN attempts ON attempts.attempt = curves.attempt \
         AND attempts.trajectory = curves.trajectory \
         WHERE curves.sweep = (SELECT sweep FROM sweeps WHERE id = $1) AND curves.trajectory >= $2 \
         AND source_sweep IS NULL AND outcome IN ('completed', 'diverged') ORDER BY curves.trajectory LIMIT $3",
    )
    .bind(id.0.into_bytes().to_vec())
    .bind(i64::try_from(from).unwrap_or(i64::MAX))
    .bind(i64::from(limit));
    let rows = all(connection, place, query).await?;
    let source = |row: &DbRow| {
        let cells = Cells { row, place };
        let points = curve::decode(cells.get::<&[u8]>("points")?);
        let points = points.map_err(|why| cells.unreadable(&format!("points: {why}")))?;
        Ok(SourceRow {
            trajectory: TrajectoryIndex(cells.count("trajectory")?),
            worker_name: cells.get("text")?,
            points,
        })
    };
    rows.iter().map(source).collect()
}

pub(super) async fn keyed(
    connection: &mut Connection,
    place: &str,
    (least, greatest): (TrialKey, TrialKey),
    limit: u32,
) -> Result<Vec<(TrialKey, TrialRef)>, StoreError> {
    let query = sqlx::query(
        "SELECT key, id, trial FROM results JOIN sweeps USING (sweep) WHERE key >= $1 AND key <= $2 \
         ORDER BY key, source_trial IS NOT NULL, sweep, trial LIMIT $3",
    )
    .bind(least.0.to_vec())
    .bind(greatest.0.to_vec())
    .bind(i64::from(limit));
    let rows = all(connection, place, query).await?;
    let keyed = |row: &DbRow| {
        let cells = Cells { row, place };
        Ok((cells.key()?, TrialRef { sweep: SweepId(cells.uuid("id")?), trial: TrialIndex(cells.count("trial")?) }))
    };
    rows.iter().map(keyed).collect()
}

pub(super) async fn setbacks(
    connection: &mut Connection,
    place: &str,
    id: SweepId,
    limit: u32,
) -> Result<Vec<AttemptRow>, StoreError> {
    let query = sqlx::query(
        "SELECT trajectory, attempt, names.text, outcome, cause, ended_at \
         FROM attempts JOIN leases USING (attempt) JOIN names USING (name) \
         WHERE attempts.sweep = (SELECT sweep FROM sweeps WHERE id = $1) AND outcome <> 'completed' \
         ORDER BY entry DESC LIMIT $2",
    )
    .bind(id.0.into_bytes().to_vec())
    .bind(i64::from(limit));
    let rows = all(connection, place, query).await?;
    let setback = |row: &DbRow| {
        let cells = Cells { row, place };
        Ok(AttemptRow {
            trajectory: TrajectoryIndex(cells.count("trajectory")?),
            attempt: Attempt(cells.count("attempt")?),
            worker_name: cells.get("text")?,
            outcome: cells.named("outcome", Outcome::from_name)?,
            cause: cells.get("cause")?,
            at: WallTime(cells.count("ended_at")?),
        })
    };
    rows.iter().map(setback).collect()
}

/// What the core needs. The cost follows what is in flight and what went wrong, not what is done.
pub(super) async fn restored(connection: &mut Connection, place: &str) -> Result<Restored, StoreError> {
    let rows = all(connection, place, sqlx::query("SELECT coalesce(max(attempt), 0) AS last FROM leases")).await?;
    let last_attempt = rows.first().map_or(Ok(0), |row| Cells { row, place }.count("last"))?;
    let query = sqlx::query(sweeps_where!("WHERE state = $1 OR state = $2 ORDER BY sweep"));
    let query = query.bind(SweepState::Running.name()).bind(SweepState::Paused.name());
    let mut sweeps = Vec::new();
    for row in &all(connection, place, query).await? {
        sweeps.push(with_its_trajectories(connection, Cells { row, place }).await?);
    }
    let rows = all(connection, place, sqlx::query("SELECT * FROM quarantined ORDER BY worker")).await?;
    let quarantined = |row| {
        let cells = Cells { row, place };
        Ok(QuarantineRow {
            worker: WorkerId(cells.uuid("worker")?),
            worker_name: cells.get("name")?,
            reason: cells.get("reason")?,
            at: WallTime(cells.count("since")?),
        })
    };
    let quarantined = rows.iter().map(quarantined).collect::<Result<_, StoreError>>()?;
    let rows = all(connection, place, sqlx::query("SELECT id FROM identity")).await?;
    let store = rows.first().map(|row| Cells { row, place }.uuid("id").map(StoreId)).transpose()?;
    Ok(Restored { sweeps, quarantined, last_attempt, store })
}

/// The same of one sweep, whatever its state.
pub(super) async fn restored_sweep(
    connection: &mut Connection,
    place: &str,
    id: SweepId,
) -> Result<Option<RestoredSweep>, StoreError> {
    let query = sqlx::query(sweeps_where!("WHERE id = $1")).bind(id.0.into_bytes().to_vec());
    match all(connection, place, query).await?.first() {
        Some(row) => with_its_trajectories(connection, Cells { row, place }).await.map(Some),
        None => Ok(None),
    }
}

async fn with_its_trajectories(connection: &mut Connection, cells: Cells<'_>) -> Result<RestoredSweep, StoreError> {
    let (row, sweep, place) = (extended(connection, cells).await?, cells.get("sweep")?, cells.place);
    let done = done(connection, place, sweep).await?;
    let not_ended_here = not_ended_here(connection, place, sweep).await?;
    let ended = done.iter().map(|&(_, count)| count).sum::<u64>().saturating_sub(not_ended_here);
    let (resumed_after, began_after) = (cells.count("resumed_after")?, cells.count("began_after")?);
    Ok(RestoredSweep {
        done,
        open: open_leases(connection, place, sweep, row.submission.id).await?,
        attempts: attempts(connection, place, sweep).await?,
        failures: failed_attempts(connection, place, sweep, resumed_after, began_after).await?,
        deaths: deaths(connection, place, sweep).await?,
        ended: ended.saturating_sub(cells.count("ended_before")?),
        row,
    })
}

/// Trajectories whose accepted end was a failure, each with all the attempts it had.
pub(super) async fn failures(
    connection: &mut Connection,
    place: &str,
    id: SweepId,
) -> Result<Vec<(TrajectoryIndex, u32)>, StoreError> {
    let query = sqlx::query(
        "SELECT trajectory, count(*) AS ended FROM attempts \
         WHERE sweep = (SELECT sweep FROM sweeps WHERE id = $1) AND outcome <> 'completed' AND trajectory IN \
         (SELECT final.trajectory FROM attempts AS final JOIN curves \
         ON curves.sweep = final.sweep AND curves.trajectory = final.trajectory AND curves.attempt = final.attempt \
         AND curves.source_sweep IS NULL \
         WHERE final.sweep = (SELECT sweep FROM sweeps WHERE id = $1) AND final.outcome = 'failed') \
         GROUP BY trajectory ORDER BY trajectory",
    )
    .bind(id.0.into_bytes().to_vec());
    let rows = all(connection, place, query).await?;
    let failure = |row| {
        let cells = Cells { row, place };
        Ok((TrajectoryIndex(cells.count("trajectory")?), cells.narrow("ended")?))
    };
    rows.iter().map(failure).collect()
}

async fn done(connection: &mut Connection, place: &str, sweep: i64) -> Result<Vec<(u64, u64)>, StoreError> {
    let query = sqlx::query("SELECT first, count FROM done_runs WHERE sweep = $1 ORDER BY first").bind(sweep);
    let rows = all(connection, place, query).await?;
    let run = |row| {
        let cells = Cells { row, place };
        Ok((cells.count("first")?, cells.count("count")?))
    };
    rows.iter().map(run).collect()
}

async fn open_leases(
    connection: &mut Connection,
    place: &str,
    sweep: i64,
    id: SweepId,
) -> Result<Vec<(LeaseRow, Vec<TrajectoryIndex>)>, StoreError> {
    let query = sqlx::query(
        "SELECT attempt, first, count, worker, names.text, granted_at FROM leases JOIN names USING (name) \
         WHERE sweep = $1 AND open > 0 ORDER BY attempt",
    )
    .bind(sweep);
    let mut leases = Vec::new();
    for row in &all(connection, place, query).await? {
        let cells = Cells { row, place };
        let lease = LeaseRow {
            attempt: Attempt(cells.count("attempt")?),
            sweep: id,
            first: TrajectoryIndex(cells.count("first")?),
            count: cells.count("count")?,
            worker: WorkerId(cells.uuid("worker")?),
            worker_name: cells.get("text")?,
            at: WallTime(cells.count("granted_at")?),
        };
        let query = sqlx::query("SELECT trajectory FROM attempts WHERE attempt = $1 ORDER BY trajectory")
            .bind(cells.get::<i64>("attempt")?);
        let rows = all(connection, place, query).await?;
        let ended: Vec<u64> =
            rows.iter().map(|row| Cells { row, place }.count("trajectory")).collect::<Result<_, _>>()?;
        let run = lease.first.0..lease.first.0 + lease.count;
        let open = run.filter(|trajectory| ended.binary_search(trajectory).is_err()).map(TrajectoryIndex).collect();
        leases.push((lease, open));
    }
    Ok(leases)
}

/// An ended attempt without results never is a completed one, so the setbacks hold all that are asked for.
async fn attempts(
    connection: &mut Connection,
    place: &str,
    sweep: i64,
) -> Result<Vec<(TrajectoryIndex, u32, u32)>, StoreError> {
    let query = sqlx::query(
        "SELECT trajectory, count(*) AS ended, count(*) FILTER (WHERE outcome = 'failed' AND forgiven = 0) AS failed \
         FROM attempts WHERE sweep = $1 AND outcome <> 'completed' AND NOT EXISTS \
         (SELECT 1 FROM curves WHERE curves.sweep = $1 AND curves.trajectory = attempts.trajectory) \
         GROUP BY trajectory ORDER BY trajectory",
    )
    .bind(sweep);
    let rows = all(connection, place, query).await?;
    let counts = |row| {
        let cells = Cells { row, place };
        Ok((TrajectoryIndex(cells.count("trajectory")?), cells.narrow("ended")?, cells.narrow("failed")?))
    };
    rows.iter().map(counts).collect()
}

/// Trajectories that are done and neither completed nor diverged here: they failed, or were taken over.
async fn not_ended_here(connection: &mut Connection, place: &str, sweep: i64) -> Result<u64, StoreError> {
    let query = sqlx::query(
        "SELECT (SELECT count(*) FROM attempts WHERE sweep = $1 AND outcome = 'failed' AND EXISTS (SELECT 1 \
         FROM curves WHERE sweep = $1 AND trajectory = attempts.trajectory AND attempt = attempts.attempt \
         AND source_sweep IS NULL)) \
         + (SELECT count(*) FROM curves WHERE sweep = $1 AND source_sweep IS NOT NULL) AS not_here",
    )
    .bind(sweep);
    let rows = all(connection, place, query).await?;
    rows.first().map_or(Ok(0), |row| Cells { row, place }.count("not_here"))
}

async fn failed_attempts(
    connection: &mut Connection,
    place: &str,
    sweep: i64,
    resumed_after: u64,
    began_after: u64,
) -> Result<Vec<FailureRow>, StoreError> {
    let query = sqlx::query(
        "SELECT entry, trajectory, worker, cause FROM attempts JOIN leases USING (attempt) \
         WHERE attempts.sweep = $1 AND outcome = 'failed' AND forgiven = 0 ORDER BY entry",
    )
    .bind(sweep);
    let rows = all(connection, place, query).await?;
    let failure = |row| {
        let cells = Cells { row, place };
        Ok(FailureRow {
            trajectory: TrajectoryIndex(cells.count("trajectory")?),
            worker: WorkerId(cells.uuid("worker")?),
            cause: cells.get::<Option<String>>("cause")?.unwrap_or_default(),
            standing: Standing::of(cells.count("entry")?, resumed_after, began_after),
        })
    };
    rows.iter().map(failure).collect()
}

async fn deaths(
    connection: &mut Connection,
    place: &str,
    sweep: i64,
) -> Result<Vec<(TrajectoryIndex, u64)>, StoreError> {
    let query = sqlx::query(
        "SELECT trajectory, updates FROM attempts WHERE sweep = $1 AND outcome = 'worker-lost' AND forgiven = 0 \
         AND updates IS NOT NULL AND NOT EXISTS \
         (SELECT 1 FROM curves WHERE curves.sweep = $1 AND curves.trajectory = attempts.trajectory) ORDER BY entry",
    )
    .bind(sweep);
    let rows = all(connection, place, query).await?;
    let death = |row| {
        let cells = Cells { row, place };
        Ok((TrajectoryIndex(cells.count("trajectory")?), cells.count("updates")?))
    };
    rows.iter().map(death).collect()
}

async fn all(
    connection: &mut Connection,
    place: &str,
    query: Query<'_>,
) -> Result<Vec<DbRow>, StoreError> {
    query.fetch_all(connection).await.map_err(|error| failed(place, error))
}

/// The cells of a row, by column; one that cannot be read is named.
#[derive(Clone, Copy)]
struct Cells<'a> {
    row: &'a DbRow,
    place: &'a str,
}

impl<'a> Cells<'a> {
    fn sweep(&self) -> Result<SweepRow, StoreError> {
        Ok(SweepRow {
            submission: Submission {
                id: SweepId(self.uuid("id")?),
                name: self.get("name")?,
                spec_text: self.get("spec_text")?,
                spec_format: self.named("spec_format", Format::from_name)?,
                digest: self.get("digest")?,
                trials: self.count("trials")?,
                trajectories: self.count("trajectories")?,
                submitted_at: WallTime(self.count("submitted_at")?),
            },
            extensions: Vec::new(),
            state: self.named("state", SweepState::from_name)?,
            reason: self.get("reason")?,
            completed: self.count("completed")?,
            diverged: self.count("diverged")?,
            failed: self.count("failed")?,
            reused: self.count("reused")?,
        })
    }

    fn result(&self) -> Result<TrialResult, StoreError> {
        Ok(TrialResult {
            trial: TrialIndex(self.count("trial")?),
            key: self.key()?,
            status: self.named("status", TrialStatus::from_name)?,
            score: match self.get::<Option<i64>>("best_update")? {
                None => None,
                Some(_) => Some(Score {
                    validation_accuracy: self.real("validation_accuracy")?,
                    test_accuracy: self.real("test_accuracy")?,
                    best_update: self.count("best_update")?,
                    updates: self.count("score_updates")?,
                }),
            },
            updates: self.count("updates")?,
            attempts: self.narrow("attempts")?,
            worker_name: self.get("text")?,
            seconds: self.real("seconds")?,
            reused_from: match self.get::<Option<i64>>("source_trial")? {
                None => None,
                Some(_) => Some(TrialRef {
                    sweep: SweepId(self.uuid("source")?),
                    trial: TrialIndex(self.count("source_trial")?),
                }),
            },
        })
    }

    fn key(&self) -> Result<TrialKey, StoreError> {
        let key = self.get::<&[u8]>("key")?;
        Ok(TrialKey(key.try_into().map_err(|_| self.unreadable("key: not of 32 bytes"))?))
    }

    fn get<T: Decode<'a, Db> + Type<Db>>(&self, column: &'static str) -> Result<T, StoreError> {
        self.row.try_get(column).map_err(|error| self.unreadable(&error.to_string()))
    }

    fn count(&self, column: &'static str) -> Result<u64, StoreError> {
        u64::try_from(self.get::<i64>(column)?).map_err(|_| self.unreadable(&format!("{column}: below 0")))
    }

    fn narrow(&self, column: &'static str) -> Result<u32, StoreError> {
        u32::try_from(self.count(column)?).map_err(|_| self.unreadable(&format!("{column}: more than 32 bits")))
    }

    /// SQLite keeps no NaN: it writes NULL for it.
    fn real(&self, column: &'static str) -> Result<f64, StoreError> {
        Ok(self.get::<Option<f64>>(column)?.unwrap_or(f64::NAN))
    }

    fn uuid(&self, column: &'static str) -> Result<Uuid, StoreError> {
        let bytes = self.get::<&[u8]>(column)?;
        Uuid::from_slice(bytes).map_err(|error| self.unreadable(&format!("{column}: {error}")))
    }

    fn named<T>(&self, column: &'static str, from_name: fn(&str) -> Option<T>) -> Result<T, StoreError> {
        let name = self.get::<&str>(column)?;
        from_name(name).ok_or_else(|| self.unreadable(&format!("{column}: unknown name `{name}`")))
    }

    fn unreadable(&self, what: &str) -> StoreError {
        StoreError::Unreadable { place: self.place.to_owned(), what: what.to_owned() }
    }
}
