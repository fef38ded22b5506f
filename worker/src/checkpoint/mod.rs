//! Checkpoints: a lane's whole state on disk or in an object store, so that who takes it up next goes on where it was.
//!
//! | room | holds |
//! |---|---|
//! | here | the errors, and what tells one trajectory's checkpoints from another's |
//! | [`form`] | a state as a safetensors file, with its version and its hash |
//! | [`shelf`] | where the files lie: two for each trajectory at most, the newest first |
//! | [`keeper`] | writes them beside training |

pub mod form;
pub mod keeper;
pub mod shelf;

use biosweep_common::configuration::{Configuration, Hyperparameters, Shape, StoppingRule, TrialKey};

/// Why bytes are no checkpoint to go on from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// Something is wrong with the bytes.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// It was written by a version with another form.
    #[error("it has the form `{0}`, which this version does not read")]
    OtherForm(String),
    /// It is of another trajectory, or of other data, or computed by another version of the engine.
    #[error("it is of another trajectory, dataset or engine: its key is {0}")]
    Foreign(String),
}

/// What tells a trajectory from any other: the key of a trial of it that never stops.
#[must_use]
pub fn key(shape: &Shape, hyperparameters: Hyperparameters) -> TrialKey {
    let stopping_rule = StoppingRule { max_updates: u64::MAX, early_stop: None };
    Configuration { shape: shape.clone(), hyperparameters, stopping_rule }.key()
}
