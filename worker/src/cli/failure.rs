//! How a command can end: the exit codes, and what is said where it ends badly.

use std::fmt::Display;

use biosweep_engine::torch::device::DeviceError;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// All is well; nothing is left for this worker.
    Done,
    /// It left with work left: it may be started again.
    WorkLeft,
    /// The user stopped it.
    Interrupted,
    /// What was asked cannot be done as it was asked.
    BadInput,
    /// Something this needs is missing or broken.
    Environment,
}

impl Exit {
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::WorkLeft => 75,
            Self::Interrupted => 130,
            Self::BadInput => 2,
            Self::Environment => 3,
        }
    }
}

/// A command that could not do what was asked.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) exit: Exit,
    pub(super) message: String,
}

impl Failure {
    pub(super) fn bad_input(message: impl Display) -> Self {
        Self { exit: Exit::BadInput, message: message.to_string() }
    }

    pub(super) fn environment(message: impl Display) -> Self {
        Self { exit: Exit::Environment, message: message.to_string() }
    }
}

impl From<DeviceError> for Failure {
    fn from(error: DeviceError) -> Self {
        match error {
            DeviceError::Unknown(_) => Self::bad_input(error),
            DeviceError::NotSupported(_) => Self::environment(error),
        }
    }
}
