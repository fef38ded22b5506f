//! Identifiers, each a separate type.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                text.parse().map(Self)
            }
        }
    };
}

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

uuid_id! {
    /// A sweep. UUID version 7, so ids sort by the time of submission.
    SweepId
}
uuid_id! {
    /// A worker process.
    WorkerId
}
uuid_id! {
    /// The store of a coordinator. The id stays the same for the life of the store.
    StoreId
}
number_id! {
    /// The index of a trial in the grid of its sweep, from 0.
    TrialIndex
}
number_id! {
    /// The index of a trajectory in the grid of its sweep, from 0.
    TrajectoryIndex
}
number_id! {
    /// The fencing number of a lease. It only grows during the life of a store and is never used twice.
    Attempt
}

/// A trial of a sweep; written `SWEEP/TRIAL`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrialRef {
    /// The sweep.
    pub sweep: SweepId,
    /// The index of the trial.
    pub trial: TrialIndex,
}

impl fmt::Display for TrialRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.sweep, self.trial)
    }
}

/// A text is not a reference to a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a trial: write the sweep's id, a slash and the trial's number")]
pub struct NoTrialRef;

impl std::str::FromStr for TrialRef {
    type Err = NoTrialRef;

    fn from_str(text: &str) -> Result<Self, NoTrialRef> {
        let (sweep, trial) = text.split_once('/').ok_or(NoTrialRef)?;
        Ok(Self {
            sweep: sweep.parse().map_err(|_| NoTrialRef)?,
            trial: TrialIndex(trial.parse().map_err(|_| NoTrialRef)?),
        })
    }
}
