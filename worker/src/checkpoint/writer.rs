//! The checkpoint writer: writes one checkpoint after another while training goes on. A slow store delays no update.

use biosweep_common::configuration::TrialKey;
use biosweep_engine::checkpoint;
use biosweep_engine::train::LaneState;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};

use super::store::{CheckpointId, CheckpointStore};

/// Writes checkpoints to a store, on the threads of a runtime.
#[derive(Debug)]
pub struct CheckpointWriter {
    store: CheckpointStore,
    requests: mpsc::Sender<WriteRequest>,
}

/// The result of a write: whether the checkpoint was written.
pub type Written = oneshot::Receiver<bool>;

#[derive(Debug)]
struct WriteRequest {
    id: CheckpointId,
    key: TrialKey,
    state: LaneState,
    written: oneshot::Sender<bool>,
}

impl CheckpointWriter {
    /// Starts a writer for a store.
    #[must_use]
    pub fn start(store: CheckpointStore, runtime: &Runtime) -> Self {
        // One state waits while another is written. More would use memory without any benefit.
        let (requests, mut next) = mpsc::channel::<WriteRequest>(1);
        let to = store.clone();
        runtime.spawn(async move {
            while let Some(WriteRequest { id, key, state, written }) = next.recv().await {
                let is_written = write(&to, id, key, state).await;
                // The receiver may be gone.
                let _gone = written.send(is_written);
            }
        });
        Self { store, requests }
    }

    /// The checkpoint store.
    #[must_use]
    pub fn store(&self) -> &CheckpointStore {
        &self.store
    }

    /// Whether the writer accepts a state at once.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.requests.capacity() > 0
    }

    /// Writes a state; waits until the writer accepts it. Must not be called on a thread of the runtime.
    #[must_use]
    pub fn keep(&self, id: CheckpointId, key: TrialKey, state: LaneState) -> Written {
        let (written, is_written) = oneshot::channel();
        // If the runtime is gone, the process is ending, and `is_written` reports it.
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
        let CheckpointId { sweep, trajectory } = id;
        tracing::warn!(%sweep, %trajectory, update, error, "cannot write a checkpoint; the next one is due in an interval");
    }
    kept.is_ok()
}
