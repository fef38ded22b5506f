//! Records to rows, for small records that are written at once: commands of owners, quarantine, late reports.

use biosweep_common::results::curve::CurvePoint;
use biosweep_common::results::outcome::SweepState;
use biosweep_common::vocabulary::dataset::DatasetSize;
use biosweep_common::vocabulary::ids::{SweepId, WorkerId};
use biosweep_common::vocabulary::time::WallTime;
use biosweep_scheduler::record::{DatasetRow, Extension, QuarantineRow, RetriedRow, Submission};

use super::super::curve;
use super::write::{Late, Writer};
use super::{failed, runs};
use crate::StoreError;

impl Writer<'_> {
    /// The first counts of a dataset stay: equal digests mean equal data.
    pub(super) async fn dataset(&mut self, row: &DatasetRow) -> Result<(), StoreError> {
        if self.ids.datasets.contains(&row.digest) {
            return Ok(());
        }
        let DatasetSize { classes, train_images, validation_images, test_images } = row.size;
        let query = sqlx::query(
            "INSERT INTO datasets (digest, classes, train_images, validation_images, test_images) \
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT (digest) DO NOTHING",
        )
        .bind(row.digest.clone())
        .bind(i64::from(classes))
        .bind(i64::from(train_images))
        .bind(i64::from(validation_images))
        .bind(i64::from(test_images));
        self.execute(query, || format!("dataset {}", row.digest)).await?;
        self.ids.datasets.insert(row.digest.clone());
        Ok(())
    }

    pub(super) async fn submitted(&mut self, submission: &Submission) -> Result<(), StoreError> {
        let query = sqlx::query(
            "INSERT INTO sweeps (id, name, spec_text, spec_format, spec_resolved, digest, trials, trajectories, \
             submitted_at, state, state_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $9)",
        )
        .bind(submission.id.0.into_bytes().to_vec())
        .bind(&submission.name)
        .bind(&submission.spec.text)
        .bind(submission.spec.format.name())
        .bind(&submission.spec.resolved)
        .bind(&submission.digest)
        .bind(self.whole(submission.trials)?)
        .bind(self.whole(submission.trajectories)?)
        .bind(self.whole(submission.submitted_at.0)?)
        .bind(SweepState::Running.name());
        self.execute(query, || format!("submission of sweep {}", submission.id)).await
    }

    pub(super) async fn state_changed(
        &mut self,
        id: SweepId,
        state: SweepState,
        reason: Option<&str>,
        at: WallTime,
    ) -> Result<(), StoreError> {
        // The collected rows may belong to the old state.
        self.flush().await?;
        let sweep = self.sweep(id).await?.number;
        if state == SweepState::Running {
            let query = sqlx::query(
                "UPDATE sweeps SET began_after = (SELECT coalesce(max(entry), 0) FROM attempts), resumed_after = \
                 CASE state WHEN 'paused' THEN (SELECT coalesce(max(entry), 0) FROM attempts) ELSE resumed_after END, \
                 ended_before = (SELECT coalesce(CAST(sum(count) AS BIGINT), 0) FROM done_runs WHERE sweep = $1) \
                 - (SELECT count(*) FROM attempts WHERE sweep = $1 AND outcome = 'failed' AND EXISTS (SELECT 1 \
                 FROM curves WHERE sweep = $1 AND trajectory = attempts.trajectory AND attempt = attempts.attempt \
                 AND source_sweep IS NULL)) \
                 - (SELECT count(*) FROM curves WHERE sweep = $1 AND source_sweep IS NOT NULL) \
                 WHERE sweep = $1",
            );
            self.execute(query.bind(sweep), || format!("beginning of sweep {id}")).await?;
        }
        let query = sqlx::query("UPDATE sweeps SET state = $1, reason = $2, state_at = $3 WHERE sweep = $4")
            .bind(state.name())
            .bind(reason)
            .bind(self.whole(at.0)?)
            .bind(sweep);
        self.execute(query, || format!("state of sweep {id}")).await
    }

    pub(super) async fn noted(&mut self, id: SweepId, note: Option<&str>) -> Result<(), StoreError> {
        let sweep = self.sweep(id).await?.number;
        let query = sqlx::query("UPDATE sweeps SET note = $1 WHERE sweep = $2").bind(note).bind(sweep);
        self.execute(query, || format!("note of sweep {id}")).await
    }

    pub(super) async fn extended(
        &mut self,
        id: SweepId,
        extension: &Extension,
        trials: u64,
        trajectories: u64,
    ) -> Result<(), StoreError> {
        self.extension(id, extension).await?;
        let sweep = self.sweep(id).await?.number;
        let query = sqlx::query("UPDATE sweeps SET trials = $1, trajectories = $2 WHERE sweep = $3")
            .bind(self.whole(trials)?)
            .bind(self.whole(trajectories)?)
            .bind(sweep);
        self.execute(query, || format!("counts of sweep {id}")).await
    }

    /// Writes the row of an extension. The counts of the sweep stay.
    pub(super) async fn extension(&mut self, id: SweepId, extension: &Extension) -> Result<(), StoreError> {
        let sweep = self.sweep(id).await?.number;
        let insert = "INSERT INTO extensions (sweep, text, format, resolved, extended_at) VALUES ($1, $2, $3, $4, $5)";
        let query = sqlx::query(insert)
            .bind(sweep)
            .bind(&extension.spec.text)
            .bind(extension.spec.format.name())
            .bind(&extension.spec.resolved)
            .bind(self.whole(extension.at.0)?);
        self.execute(query, || format!("extension of sweep {id}")).await
    }

    pub(super) async fn retried(&mut self, id: SweepId, trajectories: &[RetriedRow]) -> Result<(), StoreError> {
        // The collected rows may be the results to be deleted.
        self.flush().await?;
        let sweep = self.sweep(id).await?.number;
        let place = self.place;
        let mut results = 0;
        for row in trajectories {
            let (trajectory, first) = (self.whole(row.trajectory.0)?, self.whole(row.first_trial.0)?);
            let end = first.saturating_add(self.whole(row.trials)?);
            let was_done =
                runs::remove(self.connection, sweep, trajectory).await.map_err(|error| failed(place, error))?;
            if !was_done {
                return Err(self.refused(format!("trajectory {trajectory} of sweep {id} is retried but is not done")));
            }
            let curve = sqlx::query("DELETE FROM curves WHERE sweep = $1 AND trajectory = $2");
            self.execute(curve.bind(sweep).bind(trajectory), || format!("curve of sweep {id}")).await?;
            for forgiving in [
                "UPDATE attempts SET forgiven = 1 WHERE sweep = $1 AND trajectory = $2 AND outcome = 'failed'",
                "UPDATE attempts SET forgiven = 1 WHERE sweep = $1 AND trajectory = $2 AND outcome = 'worker-lost'",
            ] {
                let forgiven = sqlx::query(forgiving).bind(sweep).bind(trajectory);
                self.execute(forgiven, || format!("attempts of sweep {id}")).await?;
            }
            let gone = sqlx::query(
                "DELETE FROM results WHERE sweep = $1 AND trial >= $2 AND trial < $3 AND status = 'failed'",
            );
            let gone = gone.bind(sweep).bind(first).bind(end).execute(&mut *self.connection).await;
            let gone = gone.map_err(|error| failed(place, error))?.rows_affected();
            if gone != row.trials {
                return Err(self.refused(format!("trajectory {trajectory} of sweep {id} is retried but did not fail")));
            }
            results += self.whole(gone)?;
        }
        let query = sqlx::query("UPDATE sweeps SET failed = failed - $1 WHERE sweep = $2").bind(results).bind(sweep);
        self.execute(query, || format!("counts of sweep {id}")).await
    }

    pub(super) async fn quarantined(&mut self, row: &QuarantineRow) -> Result<(), StoreError> {
        let query = sqlx::query(
            "INSERT INTO quarantined (worker, name, reason, since) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (worker) DO NOTHING",
        )
        .bind(row.worker.0.into_bytes().to_vec())
        .bind(&row.worker_name)
        .bind(&row.reason)
        .bind(self.whole(row.at.0)?);
        self.execute(query, || format!("quarantine of worker {}", row.worker)).await
    }

    pub(super) async fn released(&mut self, worker: WorkerId) -> Result<(), StoreError> {
        let query = sqlx::query("DELETE FROM quarantined WHERE worker = $1").bind(worker.0.into_bytes().to_vec());
        self.execute(query, || format!("release of worker {worker}")).await
    }

    /// A late report of this store's own worker. It is written only if the attempt was granted to that worker.
    pub(super) async fn late_of_lease(
        &mut self,
        id: SweepId,
        late: Late,
        points: &[CurvePoint],
        at: WallTime,
    ) -> Result<(), StoreError> {
        // The lease may be of this transaction.
        if self.leases.len() > 0 {
            self.write_rows().await?;
        }
        let query = sqlx::query(
            "SELECT 1 FROM leases JOIN sweeps ON sweeps.sweep = leases.sweep WHERE leases.attempt = $1 AND sweeps.id = $2 \
             AND leases.worker = $3 AND $4 BETWEEN leases.first AND leases.first + leases.count - 1",
        )
        .bind(self.whole(late.attempt.0)?)
        .bind(id.0.into_bytes().to_vec())
        .bind(late.worker.0.into_bytes().to_vec())
        .bind(self.whole(late.trajectory.0)?);
        let lease = query.fetch_optional(&mut *self.connection).await;
        match lease.map_err(|error| failed(self.place, error))? {
            Some(_) => self.late(id, late, points, at).await,
            None => Ok(()),
        }
    }

    pub(super) async fn late(
        &mut self,
        id: SweepId,
        late: Late,
        points: &[CurvePoint],
        at: WallTime,
    ) -> Result<(), StoreError> {
        let query = sqlx::query(
            "INSERT INTO late_reports (sweep, trajectory, attempt, worker, outcome, points, came_at) \
             SELECT sweep, $2, $3, $4, $5, $6, $7 FROM sweeps WHERE id = $1 AND state <> 'deleted' \
             ON CONFLICT (attempt, trajectory, worker) DO NOTHING",
        )
        .bind(id.0.into_bytes().to_vec())
        .bind(self.whole(late.trajectory.0)?)
        .bind(self.whole(late.attempt.0)?)
        .bind(late.worker.0.into_bytes().to_vec())
        .bind(late.outcome.name())
        .bind(curve::encode(points))
        .bind(self.whole(at.0)?);
        self.execute(query, || format!("late report of trajectory {} of sweep {id}", late.trajectory)).await
    }
}
