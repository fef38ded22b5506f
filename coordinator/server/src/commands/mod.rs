//! The commands of people: what changes a sweep, or a worker's standing.
//!
//! | module | contents |
//! |---|---|
//! | `submit` | a new sweep |
//! | `extend` | more trials for a sweep |
//! | `retry` | failed trajectories, tried again |
//! | `state` | cancel, pause and resume a sweep; release a worker |
//! | `delete` | a sweep that has ended goes |
//! | [`reuse`] | results that the store has already, for the first three |

mod delete;
mod extend;
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
pub use retry::RetryError;
pub use state::StateError;
pub use submit::{SubmitError, Submitted, find_equal};

/// The time that a command waits for the one before it.
const BUSY: Duration = Duration::from_secs(120);

/// The commands of one coordinator. Its copies share one lock.
#[derive(Clone)]
pub struct Commands {
    pub(crate) handle: Handle,
    /// Held by a command that looks first and then acts: a submission looks for its equal and for results to take over, a retry for
    /// failures, a deletion for the sweep's end. What they find must still hold when they act.
    deciding: Arc<Mutex<()>>,
    /// The tasks of commands and answers under way.
    pub(crate) tasks: TaskTracker,
}

impl Commands {
    /// The commands of the coordinator with this loop.
    pub fn new(handle: Handle) -> Self {
        Self { handle, deciding: Arc::default(), tasks: TaskTracker::new() }
    }

    /// Runs a command that looks first and then acts. Only one runs at a time, and each runs to its end: the caller may go away
    /// while it is committed, and no other may look before it is.
    async fn one_at_a_time<T, E, F>(&self, decide: impl FnOnce(Handle) -> F + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DriverError> + Send + 'static,
        F: Future<Output = Result<T, E>> + Send,
    {
        let deciding = Arc::clone(&self.deciding).lock_owned();
        let deciding = tokio::time::timeout(BUSY, deciding).await;
        let deciding = deciding.map_err(|_| DriverError::Busy { seconds: BUSY.as_secs() })?;
        let handle = self.handle.clone();
        let decided = self.tasks.spawn(async move {
            let _deciding = deciding;
            decide(handle).await
        });
        decided.await.expect("a command does not panic")
    }
}

/// Prepares a spec on a thread of its own: that takes seconds where the grid has thousands of shapes.
pub async fn prepare(spec: SweepSpec) -> PreparedSpec {
    tokio::task::spawn_blocking(|| PreparedSpec::new(spec)).await.expect("a sound spec is prepared")
}
