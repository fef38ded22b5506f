//! Rows to the state that the scheduler continues from.

use biosweep_common::results::outcome::SweepState;
use biosweep_common::vocabulary::ids::{Attempt, StoreId, SweepId, TrajectoryIndex, WorkerId};
use biosweep_common::vocabulary::time::WallTime;
use biosweep_scheduler::record::{FailureRow, FailureStatus, LeaseRow, QuarantineRow, Restored, RestoredSweep};

use super::Connection;
use super::cells::{Cells, Environments, all};
use super::read::{extended, sweeps_where};
use crate::StoreError;

/// The state for the scheduler. The cost depends on what is in flight and on failures, not on what is done.
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
    let store = id(connection, place).await?;
    Ok(Restored { sweeps, quarantined, last_attempt, store })
}

/// The id of this store.
pub(super) async fn id(connection: &mut Connection, place: &str) -> Result<Option<StoreId>, StoreError> {
    let rows = all(connection, place, sqlx::query("SELECT id FROM identity")).await?;
    rows.first().map(|row| Cells { row, place }.uuid("id").map(StoreId)).transpose()
}

/// The state of one sweep, whatever the sweep's state.
pub(super) async fn restored_sweep(
    connection: &mut Connection,
    place: &str,
    id: SweepId,
) -> Result<Option<RestoredSweep>, StoreError> {
    let query = sqlx::query(sweeps_where!("WHERE id = $1 AND state <> 'deleted'")).bind(id.0.into_bytes().to_vec());
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
        "SELECT attempt, first, count, worker, trainers.name AS worker_name, environment, granted_at \
         FROM leases JOIN trainers USING (trainer) \
         WHERE sweep = $1 AND open > 0 ORDER BY attempt",
    )
    .bind(sweep);
    let (mut leases, mut environments) = (Vec::new(), Environments::default());
    for row in &all(connection, place, query).await? {
        let cells = Cells { row, place };
        let lease = LeaseRow {
            attempt: Attempt(cells.count("attempt")?),
            sweep: id,
            first: TrajectoryIndex(cells.count("first")?),
            count: cells.count("count")?,
            worker: WorkerId(cells.uuid("worker")?),
            worker_name: cells.get("worker_name")?,
            environment: environments.read(cells)?.unwrap_or_default(),
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

/// An attempt that ended without results is never a completed one, so the incomplete attempts are sufficient.
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

/// Number of trajectories that are done but neither completed nor diverged here: they failed or were reused.
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
            status: FailureStatus::of(cells.count("entry")?, resumed_after, began_after),
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
