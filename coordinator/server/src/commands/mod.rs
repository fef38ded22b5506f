//! The commands of users: changes of sweeps, and the release of workers from quarantine.
//!
//! | module | contents |
//! |---|---|
//! | `submit` | submits a sweep |
//! | `extend` | adds trials to a sweep |
//! | `retry` | retries failed trials |
//! | `state` | cancels, pauses and resumes a sweep; releases a worker |
//! | `note` | writes the note of a sweep |
//! | `delete` | deletes a sweep that has ended |
//! | [`reuse`] | finds stored results for submit, extend and retry |

mod delete;
mod extend;
mod note;
mod retry;
pub mod reuse;
mod state;
mod submit;

use std::sync::Arc;
use std::time::Duration;

use biosweep_common::spec::SweepSpec;
use biosweep_scheduler::tables::pending::PreparedSpec;
use tokio::sync::Mutex;
use tokio_util::task::TaskTracker;

use crate::driver::{DriverError, Handle};

pub use delete::{DeleteError, Deletion};
pub use extend::ExtendError;
pub use note::NoteError;
pub use retry::RetryError;
pub use state::StateError;
pub use submit::{SubmitError, Submitted, find_equal};

/// Time limit of the wait for the lock.
const BUSY: Duration = Duration::from_secs(120);

/// The commands of one coordinator. All copies share one lock.
#[derive(Clone)]
pub struct Commands {
    pub(crate) handle: Handle,
    /// The lock of commands that read the store first and then act: a submission reads equal sweeps and reusable results, a retry
    /// reads failures, and a deletion and a note read whether their sweep exists. The read state must still be valid when the command acts.
    lock: Arc<Mutex<()>>,
    /// The tasks of commands and streamed answers that have not ended.
    pub(crate) tasks: TaskTracker,
}

impl Commands {
    /// The commands of the coordinator with this loop.
    pub fn new(handle: Handle) -> Self {
        Self { handle, lock: Arc::default(), tasks: TaskTracker::new() }
    }

    /// Runs a command that needs the lock. Each command runs to its end, even if the caller disconnects: the next command must not
    /// read the store before the commit of this one.
    async fn one_at_a_time<T, E, F>(&self, decide: impl FnOnce(Handle) -> F + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DriverError> + Send + 'static,
        F: Future<Output = Result<T, E>> + Send,
    {
        let guard = Arc::clone(&self.lock).lock_owned();
        let guard = tokio::time::timeout(BUSY, guard).await;
        let guard = guard.map_err(|_| DriverError::Busy { seconds: BUSY.as_secs() })?;
        let handle = self.handle.clone();
        let decided = self.tasks.spawn(async move {
            let _guard = guard;
            decide(handle).await
        });
        decided.await.expect("a command does not panic")
    }
}

/// Prepares a spec on a separate thread, because this takes seconds if the grid has thousands of shapes.
pub async fn prepare(spec: SweepSpec) -> PreparedSpec {
    tokio::task::spawn_blocking(|| PreparedSpec::new(spec)).await.expect("a sound spec is prepared")
}
