//! Retries trials that failed.

use biosweep_common::configuration::{Point, trajectory_point};
use biosweep_common::results::outcome::SweepState;
use biosweep_common::spec::SweepSpec;
use biosweep_common::vocabulary::ids::{SweepId, TrajectoryIndex};
use biosweep_scheduler::event::Event;

use super::Commands;
use crate::commands::reuse::{self, Wanted};
use crate::driver::{DriverError, Handle};
use crate::queries::{self, NotServedHere, OtherNumerics, QueryError};

/// Why no trial is retried.
#[derive(Debug, thiserror::Error)]
pub enum RetryError {
    /// The sweep cannot be read.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The coordinator cannot run the command.
    #[error(transparent)]
    DriverError(#[from] DriverError),
    /// The sweep was cancelled.
    #[error(
        "sweep {id} was cancelled, so its trials cannot be retried; submit its spec with --fresh for a new sweep, which takes \
         over the existing results"
    )]
    Cancelled {
        /// The sweep.
        id: SweepId,
    },
    /// No trial failed, or none with these settings.
    #[error(
        "no trial of sweep {id}{which} failed, so there is nothing to retry; completed and diverged trials would give the same \
         results again"
    )]
    None {
        /// The sweep.
        id: SweepId,
        /// The condition on the trials, as text: empty, or " with these settings".
        which: &'static str,
    },
    /// The results of the sweep are from another numerics version.
    #[error(transparent)]
    OtherNumerics(#[from] OtherNumerics),
    /// The coordinator does not work on the sweep.
    #[error(transparent)]
    NotServedHere(#[from] NotServedHere),
}

impl Commands {
    /// Retries every failed trial with these settings; returns their number.
    pub async fn retry(&self, id: SweepId, settings: Point) -> Result<u64, RetryError> {
        self.one_at_a_time(async move |handle: Handle| retry(&handle, id, &settings).await).await
    }
}

async fn retry(handle: &Handle, id: SweepId, settings: &Point) -> Result<u64, RetryError> {
    loop {
        let restored = handle.store.restore_sweep(id).await.map_err(QueryError::from)?;
        let restored = restored.ok_or_else(|| QueryError::Unknown { name: id.to_string() })?;
        let state = restored.row.state;
        if state == SweepState::Cancelled {
            return Err(RetryError::Cancelled { id });
        }
        OtherNumerics::check(&restored.row)?;
        let spec = queries::read_spec(handle.store.as_ref(), &restored.row).await?;
        let mut failures = handle.store.failures(id).await.map_err(QueryError::from)?;
        failures.retain(|&(index, _)| has_settings(&spec, index, settings));
        let Some(&witness) = failures.first() else {
            return Err(RetryError::None { id, which: if settings.is_empty() { "" } else { " with these settings" } });
        };
        let trials = failures.iter().filter_map(|&(index, _)| spec.grid.trials_of(index)).sum();
        let these = failures.iter().map(|&(index, _)| index).collect();
        let prepared = super::prepare(spec).await;
        // Another sweep may have trained the failed trajectories meanwhile.
        let reused = reuse::find_now(handle, &prepared, Wanted::These(&these)).await?;
        let finished = (state == SweepState::Finished).then(|| Box::new((restored, prepared)));
        handle.apply(Event::Retried { sweep: id, finished, failures, reused }).await?;
        // If the retry was applied, the failure is gone or, if the trajectory failed again, has more attempts.
        if !handle.store.failures(id).await.map_err(QueryError::from)?.contains(&witness) {
            return Ok(trials);
        }
        match handle.store.sweep(id).await.map_err(QueryError::from)? {
            // The sweep finished meanwhile: read its state again.
            Some(row) if row.state.has_ended() && state != SweepState::Finished => {}
            _ => return Err(NotServedHere { id, verb: "retry" }.into()),
        }
    }
}

fn has_settings(spec: &SweepSpec, index: TrajectoryIndex, settings: &Point) -> bool {
    let Some(trajectory) = spec.grid.trajectory(index) else { return false };
    let point = trajectory_point(&trajectory.shape, trajectory.hyperparameters);
    settings.iter().all(|(setting, value)| point.get(setting) == Some(value))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use biosweep_common::results::outcome::{Outcome, TrialStatus};
    use biosweep_common::spec::Format;
    use biosweep_common::vocabulary::ids::{Attempt, TrialIndex, WorkerId};
    use biosweep_common::vocabulary::time::WallTime;
    use biosweep_host::clock::Clock;
    use biosweep_host::id::new_id;
    use biosweep_scheduler::event::Now;
    use biosweep_scheduler::record::{Ending, LeaseRow, Record, Restored, Submission, TrialResult};
    use biosweep_scheduler::scheduler::Scheduler;
    use biosweep_scheduler::tables::pending::PreparedSpec;
    use biosweep_store::Store;
    use biosweep_store::memory::Memory;

    use super::*;
    use crate::driver;
    use crate::host::TIMEOUTS;

    const SPEC: &str = "name = \"two\"\nretries = 0\n[data]\ndataset = \"synthetic-digits\"\n[train]\nmax_updates = 1\n\
                        [grid]\nrule = \"bp\"\nnetwork = \"nn\"\ndepth = 1\nseed = [0, 1]\n";

    /// A store with a sweep of two trials, one of which has failed.
    async fn with_a_failure(id: SweepId) -> Arc<Memory> {
        let (worker, name, at) = (new_id::<WorkerId>(), "w".to_owned(), WallTime(0));
        let (spec, text) = SweepSpec::parse_to_store(SPEC.to_owned(), Format::Toml, "two").expect("a good spec");
        let submission = Submission::new(id, &spec, text, at);
        let first = TrajectoryIndex(0);
        let attempt = Attempt(1);
        let lease = LeaseRow {
            attempt,
            sweep: id,
            first,
            count: 1,
            worker,
            worker_name: name.clone(),
            at,
            environment: Arc::default(),
        };
        let result = TrialResult {
            trial: TrialIndex(0),
            key: spec.grid.configuration(TrialIndex(0)).expect("the trial is in the grid").key(),
            status: TrialStatus::Failed,
            score: None,
            updates: 0,
            attempts: 1,
            worker_name: name,
            seconds: 0.0,
            reused_from: None,
            environment: None,
        };
        let ending = Ending {
            sweep: id,
            trajectory: first,
            attempt,
            outcome: Outcome::Failed,
            cause: Some("no data".to_owned()),
            updates: 0,
            at,
            results: vec![result],
            curve: Vec::new(),
            diagnostics: Vec::new(),
            dataset: None,
        };
        let store = Arc::new(Memory::default());
        let records = [Record::Submitted(submission), Record::Leased(lease), Record::Ended(Box::new(ending))];
        store.commit(&records).await.expect("a sound batch");
        store
    }

    fn start_loop(restored: &Restored, store: &Arc<Memory>) -> Handle {
        let clock = Clock::start();
        let now = Now { tick: clock.now(), wall: clock.wall() };
        let spec = || PreparedSpec::new(SweepSpec::parse(SPEC, Format::Toml, "two").expect("a good spec"));
        let specs = restored.sweeps.iter().map(|_| spec()).collect();
        let scheduler = Scheduler::restore(TIMEOUTS, now, restored, specs);
        driver::start(scheduler, Arc::clone(store) as Arc<dyn Store>, clock).0
    }

    #[tokio::test]
    async fn a_retry_is_refused_by_a_coordinator_that_does_not_work_on_the_sweep() {
        let id = new_id::<SweepId>();
        let store = with_a_failure(id).await;
        let other = start_loop(&Restored::default(), &store);
        let refused = retry(&other, id, &Point::new()).await.expect_err("the loop does not have the sweep");
        assert!(refused.to_string().contains("in use by a run of another sweep; retry"), "{refused}");
        assert_eq!(store.failures(id).await.expect("reads").len(), 1);

        let own = start_loop(&store.restore().await.expect("restores"), &store);
        assert_eq!(retry(&own, id, &Point::new()).await.expect("the loop has the sweep"), 1);
        assert_eq!(store.failures(id).await.expect("reads"), []);
        assert!(matches!(retry(&own, id, &Point::new()).await, Err(RetryError::None { .. })));
    }
}
