//! Identifiers the compiler keeps apart.

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
    /// A sweep; UUID version 7, so that ids sort by the time of submission.
    SweepId
}
uuid_id! {
    /// One life of a worker process.
    WorkerId
}
uuid_id! {
    /// A coordinator's store, from the day it was made.
    StoreId
}
number_id! {
    /// A trial's place in its sweep's grid, from 0.
    TrialIndex
}
number_id! {
    /// A trajectory's place in its sweep's grid, from 0.
    TrajectoryIndex
}
number_id! {
    /// A lease's fencing number; grows over the whole life of a store, never used twice.
    Attempt
}

/// A trial of some sweep; written `SWEEP/TRIAL`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrialRef {
    /// The sweep.
    pub sweep: SweepId,
    /// Its place there.
    pub trial: TrialIndex,
}

impl fmt::Display for TrialRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.sweep, self.trial)
    }
}

/// A text that names no trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no trial is named so: it takes the sweep's id, a slash, and the trial's number")]
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
