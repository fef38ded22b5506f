//! Exit codes of commands, and their error messages.

use std::fmt::Display;

use biosweep_engine::torch::device::DeviceError;

/// The exit of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// Success: no work is left for this worker.
    Done,
    /// The worker left while there was work. It may be started again.
    WorkLeft,
    /// The user stopped it.
    Interrupted,
    /// The input is invalid.
    BadInput,
    /// Something in the environment is missing or broken.
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

/// The failure of a command.
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
