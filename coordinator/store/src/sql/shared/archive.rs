//! Rows to what an archive has of a sweep.

use biosweep_common::results::outcome::Outcome;
use biosweep_common::vocabulary::ids::{Attempt, SweepId, TrajectoryIndex, WorkerId};
use biosweep_common::vocabulary::time::WallTime;

use super::cells::{Cells, Environments, all};
use super::read::{extended, sweeps_where};
use super::{Connection, DbRow};
use crate::StoreError;
use crate::archive::{
    ArchivedAttempt, ArchivedCurve, ArchivedLate, ArchivedLease, ArchivedSweep, CurveOrigin, Trainer,
};

pub(super) async fn sweep(
    connection: &mut Connection,
    place: &str,
    id: SweepId,
) -> Result<Option<ArchivedSweep>, StoreError> {
    let query = sqlx::query(sweeps_where!("WHERE id = $1 AND state <> 'deleted'")).bind(id.0.into_bytes().to_vec());
    let rows = all(connection, place, query).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let cells = Cells { row, place };
    let query = sqlx::query(
        "SELECT count(*) AS attempts, count(*) FILTER (WHERE entry <= $2) AS resumed, \
         count(*) FILTER (WHERE entry <= $3) AS began FROM attempts WHERE sweep = $1",
    )
    .bind(cells.get::<i64>("sweep")?)
    .bind(cells.get::<i64>("resumed_after")?)
    .bind(cells.get::<i64>("began_after")?);
    let counts = all(connection, place, query).await?;
    let [attempts, resumed_after, began_after] = match counts.first() {
        None => [0; 3],
        Some(row) => {
            let counts = Cells { row, place };
            [counts.count("attempts")?, counts.count("resumed")?, counts.count("began")?]
        }
    };
    let ended_before = cells.count("ended_before")?;
    let row = extended(connection, cells).await?;
    Ok(Some(ArchivedSweep { row, attempts, resumed_after, began_after, ended_before }))
}

pub(super) async fn leases(
    connection: &mut Connection,
    place: &str,
    id: SweepId,
    from: Attempt,
    limit: u32,
) -> Result<Vec<ArchivedLease<Attempt>>, StoreError> {
    let query = sqlx::query(
        "SELECT attempt, first, count, worker, name, environment, granted_at FROM leases JOIN trainers USING (trainer) \
         WHERE sweep = (SELECT sweep FROM sweeps WHERE id = $1 AND state <> 'deleted') AND attempt >= $2 \
         AND EXISTS (SELECT 1 FROM attempts WHERE attempts.attempt = leases.attempt) ORDER BY attempt LIMIT $3",
    );
    let rows = all(connection, place, page(query, id, from.0, limit)).await?;
    let mut environments = Environments::default();
    let lease = |row: &DbRow| {
        let cells = Cells { row, place };
        Ok(ArchivedLease {
            lease: Attempt(cells.count("attempt")?),
            first: TrajectoryIndex(cells.count("first")?),
            count: cells.count("count")?,
            worker: WorkerId(cells.uuid("worker")?),
            trainer: Trainer { name: cells.get("name")?, environment: environments.read(cells)? },
            at: WallTime(cells.count("granted_at")?),
        })
    };
    rows.iter().map(lease).collect()
}

pub(super) async fn attempts(
    connection: &mut Connection,
    place: &str,
    id: SweepId,
    from: u64,
    limit: u32,
) -> Result<Vec<(u64, ArchivedAttempt<Attempt>)>, StoreError> {
    let query = sqlx::query(
        "SELECT entry, attempt, trajectory, outcome, cause, ended_at, updates, forgiven FROM attempts \
         WHERE sweep = (SELECT sweep FROM sweeps WHERE id = $1 AND state <> 'deleted') AND entry >= $2 \
         ORDER BY entry LIMIT $3",
    );
    let rows = all(connection, place, page(query, id, from, limit)).await?;
    let attempt = |row: &DbRow| {
        let cells = Cells { row, place };
        let attempt = ArchivedAttempt {
            lease: Attempt(cells.count("attempt")?),
            trajectory: TrajectoryIndex(cells.count("trajectory")?),
            outcome: cells.named("outcome", Outcome::from_name)?,
            cause: cells.get("cause")?,
            at: WallTime(cells.count("ended_at")?),
            updates: cells.count_or_null("updates")?,
            is_forgiven: cells.count("forgiven")? > 0,
        };
        Ok((cells.count("entry")?, attempt))
    };
    rows.iter().map(attempt).collect()
}

/// Curves with their points, also those that were taken over, and then with the worker that trained them.
pub(super) async fn curves(
    connection: &mut Connection,
    place: &str,
    id: SweepId,
    from: u64,
    limit: u32,
) -> Result<Vec<ArchivedCurve<Attempt>>, StoreError> {
    let query = sqlx::query(
        "SELECT curves.trajectory, curves.attempt, curves.source_trajectory, \
         coalesce(source.points, curves.points) AS points, \
         coalesce(source.diagnostics, curves.diagnostics) AS diagnostics, name, environment FROM curves \
         LEFT JOIN curves AS source \
         ON source.sweep = curves.source_sweep AND source.trajectory = curves.source_trajectory \
         JOIN leases ON leases.attempt = curves.attempt JOIN trainers ON trainers.trainer = leases.trainer \
         WHERE curves.sweep = (SELECT sweep FROM sweeps WHERE id = $1 AND state <> 'deleted') \
         AND curves.trajectory >= $2 ORDER BY curves.trajectory LIMIT $3",
    );
    let rows = all(connection, place, page(query, id, from, limit)).await?;
    let mut environments = Environments::default();
    let curve = |row: &DbRow| {
        let cells = Cells { row, place };
        let points = cells.points()?;
        let diagnostics = cells.diagnostics()?;
        let origin = match cells.count_or_null("source_trajectory")? {
            None => CurveOrigin::Attempt(Attempt(cells.count("attempt")?)),
            Some(_) => {
                CurveOrigin::TakenOver(Trainer { name: cells.get("name")?, environment: environments.read(cells)? })
            }
        };
        Ok(ArchivedCurve { trajectory: TrajectoryIndex(cells.count("trajectory")?), origin, points, diagnostics })
    };
    rows.iter().map(curve).collect()
}

pub(super) async fn late(
    connection: &mut Connection,
    place: &str,
    id: SweepId,
    from: u64,
    limit: u32,
) -> Result<Vec<(u64, ArchivedLate<Attempt>)>, StoreError> {
    let query = sqlx::query(
        "SELECT entry, attempt, trajectory, worker, outcome, points, came_at FROM late_reports \
         WHERE sweep = (SELECT sweep FROM sweeps WHERE id = $1 AND state <> 'deleted') AND entry >= $2 \
         ORDER BY entry LIMIT $3",
    );
    let rows = all(connection, place, page(query, id, from, limit)).await?;
    let late = |row: &DbRow| {
        let cells = Cells { row, place };
        let late = ArchivedLate {
            attempt: Attempt(cells.count("attempt")?),
            trajectory: TrajectoryIndex(cells.count("trajectory")?),
            worker: WorkerId(cells.uuid("worker")?),
            outcome: cells.named("outcome", Outcome::from_name)?,
            points: cells.points()?,
            at: WallTime(cells.count("came_at")?),
        };
        Ok((cells.count("entry")?, late))
    };
    rows.iter().map(late).collect()
}

/// Binds the sweep, the first number, and the limit of a page.
fn page(query: super::Query<'_>, id: SweepId, from: u64, limit: u32) -> super::Query<'_> {
    query.bind(id.0.into_bytes().to_vec()).bind(i64::try_from(from).unwrap_or(i64::MAX)).bind(i64::from(limit))
}
