//! Writes checkpoints beside training, one after another: a store that is slow, or does not answer, holds no update up.

use biosweep_common::configuration::TrialKey;
use biosweep_engine::checkpoint;
use biosweep_engine::train::LaneState;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};

use super::store::{CheckpointId, CheckpointStore};

/// Writes checkpoints to a shelf, on a runtime's threads.
#[derive(Debug)]
pub struct CheckpointWriter {
    store: CheckpointStore,
    requests: mpsc::Sender<WriteRequest>,
}

/// Tells once whether a checkpoint was written.
pub type Written = oneshot::Receiver<bool>;

#[derive(Debug)]
struct WriteRequest {
    id: CheckpointId,
    key: TrialKey,
    state: LaneState,
    written: oneshot::Sender<bool>,
}

impl CheckpointWriter {
    /// Starts writing to a shelf.
    #[must_use]
    pub fn start(store: CheckpointStore, runtime: &Runtime) -> Self {
        // One state waits while another is written: more would take memory and bring nothing.
        let (requests, mut next) = mpsc::channel::<WriteRequest>(1);
        let to = store.clone();
        runtime.spawn(async move {
            while let Some(WriteRequest { id, key, state, written }) = next.recv().await {
                let is_written = write(&to, id, key, state).await;
                // Whoever wanted to know may be gone.
                let _gone = written.send(is_written);
            }
        });
        Self { store, requests }
    }

    /// The shelf.
    #[must_use]
    pub fn store(&self) -> &CheckpointStore {
        &self.store
    }

    /// Whether a state would be taken at once.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.requests.capacity() > 0
    }

    /// Has a state written; waits where there is no room. Not to be called on a runtime's thread.
    #[must_use]
    pub fn keep(&self, id: CheckpointId, key: TrialKey, state: LaneState) -> Written {
        let (written, is_written) = oneshot::channel();
        // Where the runtime is gone, the process is ending, and `is_written` says so.
        drop(self.requests.blocking_send(WriteRequest { id, key, state, written }));
        is_written
    }
}

async fn write(store: &CheckpointStore, id: CheckpointId, key: TrialKey, state: LaneState) -> bool {
    let update = state.update;
    let bytes = tokio::task::spawn_blocking(move || checkpoint::encode(key, &state)).await;
    let kept = match bytes {
        Ok(bytes) => store.keep(id, update, bytes).await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    if let Err(error) = &kept {
        tracing::warn!(trajectory = %id.trajectory, update, error, "no checkpoint; the next is tried in its time");
    }
    kept.is_ok()
}
