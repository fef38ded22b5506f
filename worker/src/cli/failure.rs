//! How a command can end badly.

use std::fmt::Display;

use crate::device::DeviceError;

/// The exit codes of failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// What was asked cannot be done as it was asked.
    BadInput,
    /// Something this needs is missing or broken.
    Environment,
}

impl Exit {
    pub(super) const fn code(self) -> u8 {
        match self {
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
