//! Writes checkpoints beside training, one after another: a store that is slow, or does not answer, holds no update up.

use biosweep_common::configuration::TrialKey;
use biosweep_engine::checkpoint;
use biosweep_engine::train::LaneState;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};

use super::shelf::{Of, Shelf};

/// Writes checkpoints to a shelf, on a runtime's threads.
#[derive(Debug)]
pub struct Keeper {
    shelf: Shelf,
    jobs: mpsc::Sender<Job>,
}

/// Tells once whether a checkpoint was written.
pub type Written = oneshot::Receiver<bool>;

#[derive(Debug)]
struct Job {
    of: Of,
    key: TrialKey,
    state: LaneState,
    written: oneshot::Sender<bool>,
}

impl Keeper {
    /// Starts writing to a shelf.
    #[must_use]
    pub fn start(shelf: Shelf, runtime: &Runtime) -> Self {
        // One state waits while another is written: more would take memory and bring nothing.
        let (jobs, mut next) = mpsc::channel::<Job>(1);
        let to = shelf.clone();
        runtime.spawn(async move {
            while let Some(Job { of, key, state, written }) = next.recv().await {
                let is_written = write(&to, of, key, state).await;
                // Whoever wanted to know may be gone.
                let _gone = written.send(is_written);
            }
        });
        Self { shelf, jobs }
    }

    /// The shelf.
    #[must_use]
    pub fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    /// Whether a state would be taken at once.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.jobs.capacity() > 0
    }

    /// Has a state written; waits where there is no room. Not to be called on a runtime's thread.
    #[must_use]
    pub fn keep(&self, of: Of, key: TrialKey, state: LaneState) -> Written {
        let (written, is_written) = oneshot::channel();
        // Where the runtime is gone, the process is ending, and `is_written` says so.
        drop(self.jobs.blocking_send(Job { of, key, state, written }));
        is_written
    }
}

async fn write(shelf: &Shelf, of: Of, key: TrialKey, state: LaneState) -> bool {
    let update = state.update;
    let bytes = tokio::task::spawn_blocking(move || checkpoint::encode(key, &state)).await;
    let kept = match bytes {
        Ok(bytes) => shelf.keep(of, update, bytes).await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    if let Err(error) = &kept {
        tracing::warn!(trajectory = %of.trajectory, update, error, "no checkpoint; the next is tried in its time");
    }
    kept.is_ok()
}
