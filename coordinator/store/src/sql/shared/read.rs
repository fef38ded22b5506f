//! Rows to records.

use biosweep_common::configuration::TrialKey;
use biosweep_common::results::outcome::Outcome;
use biosweep_common::results::views::{IncompleteCause, SweepView};
use biosweep_common::spec::{Format, SpecText};
use biosweep_common::vocabulary::ids::{Attempt, SweepId, TrajectoryIndex, TrialIndex, TrialRef};
use biosweep_common::vocabulary::time::WallTime;
use biosweep_scheduler::record::{
    AttemptRow, CurveRow, DatasetRow, Extension, OutcomeRow, SourceRow, SweepRow, TrialResult,
};

use super::cells::{Cells, Environments, all};
use super::{Connection, DbRow};
use crate::StoreError;

macro_rules! sweeps_where {
    ($rest:literal) => {
        concat!(
            "SELECT sweep, id, name, spec_text, spec_format, spec_resolved, digest, trials, trajectories, submitted_at, \
             state, state_at, reason, note, completed, diverged, failed, reused, resumed_after, began_after, ended_before, \
             EXISTS (SELECT 1 FROM extensions WHERE extensions.sweep = sweeps.sweep) AS is_extended FROM sweeps ",
            $rest
        )
    };
}

pub(super) use sweeps_where;

/// Every sweep, in the order of submission.
pub(super) async fn sweeps(connection: &mut Connection, place: &str) -> Result<Vec<SweepRow>, StoreError> {
    let rows = all(connection, place, sqlx::query(sweeps_where!("WHERE state <> 'deleted' ORDER BY sweep"))).await?;
    let mut sweeps = Vec::new();
    for row in &rows {
        sweeps.push(extended(connection, Cells { row, place }).await?);
    }
    Ok(sweeps)
}

/// Every sweep without its texts, with all counts that are shown to users.
pub(super) async fn summaries(connection: &mut Connection, place: &str) -> Result<Vec<SweepView>, StoreError> {
    let query = sqlx::query(
        "SELECT id, name, trials, trajectories, submitted_at, state, state_at, reason, note, completed, diverged, failed, \
         reused FROM sweeps WHERE state <> 'deleted' ORDER BY sweep",
    );
    let rows = all(connection, place, query).await?;
    rows.iter().map(|row| Cells { row, place }.summary()).collect()
}

/// A sweep that was never here has a row too if results of an imported sweep refer to it, but with a reason.
pub(super) async fn is_deleted(connection: &mut Connection, place: &str, id: SweepId) -> Result<bool, StoreError> {
    let query = sqlx::query("SELECT sweep FROM sweeps WHERE id = $1 AND state = 'deleted' AND reason IS NULL");
    Ok(!all(connection, place, query.bind(id.0.into_bytes().to_vec())).await?.is_empty())
}

pub(super) async fn taken_over_from(connection: &mut Connection, place: &str, id: SweepId) -> Result<u64, StoreError> {
    let query = sqlx::query(
        "SELECT count(*) AS taken FROM results WHERE source_sweep = (SELECT sweep FROM sweeps WHERE id = $1) \
         AND source_sweep <> sweep",
    );
    let rows = all(connection, place, query.bind(id.0.into_bytes().to_vec())).await?;
    rows.first().map_or(Ok(0), |row| Cells { row, place }.count("taken"))
}

pub(super) async fn sweep(
    connection: &mut Connection,
    place: &str,
    id: SweepId,
) -> Result<Option<SweepRow>, StoreError> {
    let query = sqlx::query(sweeps_where!("WHERE id = $1 AND state <> 'deleted'")).bind(id.0.into_bytes().to_vec());
    match all(connection, place, query).await?.first() {
        Some(row) => extended(connection, Cells { row, place }).await.map(Some),
        None => Ok(None),
    }
}

/// A sweep with its extensions.
pub(super) async fn extended(connection: &mut Connection, cells: Cells<'_>) -> Result<SweepRow, StoreError> {
    let (mut sweep, place) = (cells.sweep()?, cells.place);
    if cells.get::<bool>("is_extended")? {
        let query =
            sqlx::query("SELECT text, format, resolved, extended_at FROM extensions WHERE sweep = $1 ORDER BY entry");
        let rows = all(connection, place, query.bind(cells.get::<i64>("sweep")?)).await?;
        let extension = |row: &DbRow| {
            let cells = Cells { row, place };
            let format = cells.named("format", Format::from_name)?;
            let spec = SpecText { text: cells.get("text")?, format, resolved: cells.get("resolved")? };
            Ok(Extension { spec, at: WallTime(cells.count("extended_at")?) })
        };
        sweep.extensions = rows.iter().map(extension).collect::<Result<_, StoreError>>()?;
    }
    Ok(sweep)
}

pub(super) async fn datasets(connection: &mut Connection, place: &str) -> Result<Vec<DatasetRow>, StoreError> {
    let query = sqlx::query(
        "SELECT digest, classes, train_images, validation_images, test_images FROM datasets ORDER BY digest",
    );
    let rows = all(connection, place, query).await?;
    rows.iter().map(|row| Cells { row, place }.dataset()).collect()
}

pub(super) async fn results(
    connection: &mut Connection,
    place: &str,
    id: SweepId,
    from: TrialIndex,
    limit: u32,
) -> Result<Vec<TrialResult>, StoreError> {
    let query = sqlx::query(
        "SELECT trial, key, status, updates, attempts, trainers.name AS worker_name, environment, seconds, validation_accuracy, test_accuracy, \
         best_update, score_updates, source_trial, \
         (SELECT id FROM sweeps WHERE sweeps.sweep = results.source_sweep) AS source \
         FROM results JOIN trainers USING (trainer) \
         WHERE sweep = (SELECT sweep FROM sweeps WHERE id = $1) AND trial >= $2 ORDER BY trial LIMIT $3",
    )
    .bind(id.0.into_bytes().to_vec())
    .bind(i64::try_from(from.0).unwrap_or(i64::MAX))
    .bind(i64::from(limit));
    let rows = all(connection, place, query).await?;
    let mut environments = Environments::default();
    rows.iter().map(|row| Cells { row, place }.result(&mut environments)).collect()
}

pub(super) async fn outcomes(
    connection: &mut Connection,
    place: &str,
    id: SweepId,
    from: TrialIndex,
    limit: u32,
) -> Result<Vec<OutcomeRow>, StoreError> {
    let query = sqlx::query(
        "SELECT trial, status, updates, validation_accuracy, test_accuracy, best_update FROM results \
         WHERE sweep = (SELECT sweep FROM sweeps WHERE id = $1) AND trial >= $2 ORDER BY trial LIMIT $3",
    )
    .bind(id.0.into_bytes().to_vec())
    .bind(i64::try_from(from.0).unwrap_or(i64::MAX))
    .bind(i64::from(limit));
    let rows = all(connection, place, query).await?;
    rows.iter().map(|row| Cells { row, place }.outcome()).collect()
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
         coalesce(source.diagnostics, curves.diagnostics) AS diagnostics FROM curves LEFT JOIN curves AS source \
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
        let points = cells.points()?;
        let diagnostics = cells.diagnostics()?;
        Ok(CurveRow { trajectory: TrajectoryIndex(cells.count("trajectory")?), points, diagnostics })
    };
    rows.iter().map(curve).collect()
}

/// Trajectories with a curve of their own whose accepted attempt did not fail. A curve of a deleted sweep belongs to
/// the trajectory that keeps it.
pub(super) async fn sources(
    connection: &mut Connection,
    place: &str,
    id: SweepId,
    from: u64,
    limit: u32,
) -> Result<Vec<SourceRow>, StoreError> {
    let query = sqlx::query(
        "SELECT curves.trajectory, points, trainers.name AS worker_name, environment FROM curves JOIN leases ON leases.attempt = curves.attempt \
         JOIN trainers ON trainers.trainer = leases.trainer LEFT JOIN attempts ON attempts.attempt = curves.attempt \
         AND attempts.trajectory = curves.trajectory \
         WHERE curves.sweep = (SELECT sweep FROM sweeps WHERE id = $1) AND curves.trajectory >= $2 \
         AND ((source_sweep IS NULL AND outcome IN ('completed', 'diverged')) \
         OR (source_sweep = curves.sweep AND source_trajectory = curves.trajectory)) \
         ORDER BY curves.trajectory LIMIT $3",
    )
    .bind(id.0.into_bytes().to_vec())
    .bind(i64::try_from(from).unwrap_or(i64::MAX))
    .bind(i64::from(limit));
    let rows = all(connection, place, query).await?;
    let mut environments = Environments::default();
    let source = |row: &DbRow| {
        let cells = Cells { row, place };
        let points = cells.points()?;
        Ok(SourceRow {
            trajectory: TrajectoryIndex(cells.count("trajectory")?),
            worker_name: cells.get("worker_name")?,
            environment: environments.read(cells)?,
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

pub(super) async fn incomplete_attempts(
    connection: &mut Connection,
    place: &str,
    id: SweepId,
    limit: u32,
) -> Result<Vec<AttemptRow>, StoreError> {
    let query = sqlx::query(
        "SELECT trajectory, attempt, trainers.name AS worker_name, outcome, cause, ended_at \
         FROM attempts JOIN leases USING (attempt) JOIN trainers USING (trainer) \
         WHERE attempts.sweep = (SELECT sweep FROM sweeps WHERE id = $1 AND state <> 'deleted') \
         AND outcome <> 'completed' ORDER BY entry DESC LIMIT $2",
    )
    .bind(id.0.into_bytes().to_vec())
    .bind(i64::from(limit));
    let rows = all(connection, place, query).await?;
    let incomplete_attempt = |row: &DbRow| {
        let cells = Cells { row, place };
        Ok(AttemptRow {
            trajectory: TrajectoryIndex(cells.count("trajectory")?),
            attempt: Attempt(cells.count("attempt")?),
            worker_name: cells.get("worker_name")?,
            outcome: cells.named("outcome", Outcome::from_name)?,
            cause: cells.get("cause")?,
            at: WallTime(cells.count("ended_at")?),
        })
    };
    rows.iter().map(incomplete_attempt).collect()
}

/// Incomplete attempts by outcome and cause. The last entry decides between groups of equal size, because databases order
/// texts differently.
pub(super) async fn incomplete_causes(
    connection: &mut Connection,
    place: &str,
    id: SweepId,
    limit: u32,
) -> Result<Vec<IncompleteCause>, StoreError> {
    let query = sqlx::query(
        "SELECT outcome, cause, count(*) AS ended, max(ended_at) AS latest FROM attempts \
         WHERE sweep = (SELECT sweep FROM sweeps WHERE id = $1 AND state <> 'deleted') AND outcome <> 'completed' \
         GROUP BY outcome, cause ORDER BY count(*) DESC, max(entry) DESC LIMIT $2",
    )
    .bind(id.0.into_bytes().to_vec())
    .bind(i64::from(limit));
    let rows = all(connection, place, query).await?;
    let cause = |row: &DbRow| {
        let cells = Cells { row, place };
        Ok(IncompleteCause {
            outcome: cells.named("outcome", Outcome::from_name)?,
            cause: cells.get("cause")?,
            attempts: cells.count("ended")?,
            latest: WallTime(cells.count("latest")?),
        })
    };
    rows.iter().map(cause).collect()
}

/// Trajectories whose accepted end is a failure, each with the number of all its attempts.
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
