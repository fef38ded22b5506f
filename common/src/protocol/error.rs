//! Why a message cannot be read.

use super::version::VersionMismatch;
use crate::configuration::ConfigurationError;
use crate::vocabulary::ids::{Attempt, TrajectoryIndex};

/// Why a message cannot be read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum WireError {
    /// The peer has another version of the protocol.
    #[error(transparent)]
    Version(#[from] VersionMismatch),
    /// A required field is missing.
    #[error("message without `{field}`; are coordinator and worker of the same version?")]
    Missing {
        /// The missing field.
        field: &'static str,
    },
    /// A field has an invalid value.
    #[error(
        "message with `{field}` = `{value}`, which cannot be read; are coordinator and worker of the same version?"
    )]
    Unreadable {
        /// The field.
        field: &'static str,
        /// Its value.
        value: String,
    },
    /// A field is larger or longer than its limit.
    #[error("message with `{field}` = `{value}`; it takes {takes}")]
    OutOfBounds {
        /// The field.
        field: &'static str,
        /// The value, or its length.
        value: String,
        /// The allowed values.
        takes: String,
    },
    /// A piece of another report came before the end of the current one.
    #[error(
        "a piece of the report of trajectory {} of attempt {} before the end of that of trajectory {} of attempt {}",
        came.1, came.0, begun.1, begun.0
    )]
    Mingled {
        /// The attempt and trajectory of the current report.
        begun: (Attempt, TrajectoryIndex),
        /// The attempt and trajectory of the piece.
        came: (Attempt, TrajectoryIndex),
    },
    /// Settings that are not a configuration.
    #[error("message with invalid settings: {0}")]
    Configuration(#[from] ConfigurationError),
    /// A grant without lanes, or with lanes of different shapes.
    #[error("message with a bundle whose lanes do not share one shape")]
    MixedShapes,
    /// Bytes that are not a message.
    #[error("bytes that are not a message: {0}")]
    Undecodable(#[from] prost::DecodeError),
}
