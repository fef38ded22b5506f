//! The records that a store keeps, and the rows that it returns, as types of the scheduler.
//!
//! | module | contents |
//! |---|---|
//! | `submission` | submitted sweeps and their extensions |
//! | `access` | changes of access: tokens and enrolled workers |
//! | `change` | changes to be stored |
//! | `stored` | stored rows, and the state from which a scheduler continues |

mod access;
mod change;
mod stored;
mod submission;

pub use access::{AccessChange, AccessRows, AccessTables};
pub use change::{DatasetRow, Ending, LeaseRow, QuarantineRow, Record, RetriedRow, ReusedRow, TrialResult};
pub use stored::{
    AttemptRow, CurveRow, FailureRow, FailureStatus, OutcomeRow, Restored, RestoredSweep, SourceRow, SweepRow,
};
pub use submission::{Extension, Submission};
