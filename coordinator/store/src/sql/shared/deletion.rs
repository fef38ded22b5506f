//! The deletion of a sweep, and what other sweeps keep of it.
//!
//! The row of the sweep stays, emptied and in the state `deleted`: reused results refer to it, workers with checkpoints
//! of it are told that it has ended, and its number is never used again. A curve that others reused is moved to the
//! first of them, which becomes its own source and the source of the others.

use biosweep_common::vocabulary::ids::SweepId;

use super::failed;
use super::write::Writer;
use crate::StoreError;

/// The statements in order; each has the sweep as `$1`.
const STATEMENTS: [&str; 12] = [
    // The first trajectory that reused a curve gets its bytes.
    "UPDATE curves SET points = source.points, diagnostics = source.diagnostics FROM curves AS source, \
     (SELECT sweep, trajectory, source_trajectory, row_number() \
     OVER (PARTITION BY source_trajectory ORDER BY sweep, trajectory) AS place \
     FROM curves WHERE source_sweep = $1 AND source_sweep IS NOT NULL AND sweep <> $1) AS heir \
     WHERE heir.place = 1 AND curves.sweep = heir.sweep AND curves.trajectory = heir.trajectory \
     AND source.sweep = $1 AND source.trajectory = heir.source_trajectory",
    // All of them, including the first, refer to the first as their source.
    "UPDATE curves SET source_sweep = heir.of_sweep, source_trajectory = heir.of_trajectory FROM \
     (SELECT sweep, trajectory, \
     first_value(sweep) OVER (PARTITION BY source_trajectory ORDER BY sweep, trajectory) AS of_sweep, \
     first_value(trajectory) OVER (PARTITION BY source_trajectory ORDER BY sweep, trajectory) AS of_trajectory \
     FROM curves WHERE source_sweep = $1 AND source_sweep IS NOT NULL AND sweep <> $1) AS heir \
     WHERE curves.sweep = heir.sweep AND curves.trajectory = heir.trajectory",
    "DELETE FROM results WHERE sweep = $1",
    "DELETE FROM curves WHERE sweep = $1",
    "DELETE FROM done_runs WHERE sweep = $1",
    "DELETE FROM extensions WHERE sweep = $1",
    "DELETE FROM late_reports WHERE sweep = $1",
    "UPDATE leases SET open = 0 WHERE sweep = $1 AND open > 0",
    // The last entry and the last attempt stay, so that numbering continues from there.
    "DELETE FROM attempts WHERE sweep = $1 AND entry <> (SELECT max(entry) FROM attempts)",
    "UPDATE sweeps SET state = 'deleted', name = '', spec_text = '', spec_resolved = '', digest = '', reason = NULL, note = NULL, \
     trials = 0, trajectories = 0, completed = 0, diverged = 0, failed = 0, reused = 0 WHERE sweep = $1",
    "DELETE FROM attempts WHERE sweep <> $1 AND sweep IN (SELECT sweep FROM sweeps WHERE state = 'deleted') \
     AND entry <> (SELECT max(entry) FROM attempts)",
    // A lease has the worker that trained a curve, so it stays as long as the curve.
    "DELETE FROM leases WHERE (sweep = $1 OR sweep IN (SELECT sweep FROM sweeps WHERE state = 'deleted')) \
     AND attempt <> (SELECT max(attempt) FROM leases) \
     AND attempt <> coalesce((SELECT attempt FROM attempts ORDER BY entry DESC LIMIT 1), 0) \
     AND attempt NOT IN (SELECT attempt FROM curves WHERE source_sweep IS NOT NULL)",
];

impl Writer<'_> {
    pub(super) async fn deleted(&mut self, id: SweepId) -> Result<(), StoreError> {
        // The collected rows may belong to this sweep, or may have been reused from it.
        self.flush().await?;
        let (sweep, place) = (self.sweep(id).await?.number, self.place);
        let ended = sqlx::query("SELECT sweep FROM sweeps WHERE sweep = $1 AND state IN ('finished', 'cancelled')");
        let ended = ended.bind(sweep).fetch_optional(&mut *self.connection).await;
        if ended.map_err(|error| failed(place, error))?.is_none() {
            return Err(self.refused(format!("sweep {id} is deleted but has not ended")));
        }
        for statement in STATEMENTS {
            self.execute(sqlx::query(statement).bind(sweep), || format!("deletion of sweep {id}")).await?;
        }
        self.forget(id);
        Ok(())
    }
}
