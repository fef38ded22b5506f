//! Why there is no answer from a coordinator.

use std::error::Error as _;

use biosweep_common::protocol::error::WireError;
use biosweep_connection::dial::DialError;
use biosweep_server::host::HostError;
use tonic::{Code, Status};

/// Why there is no answer from a coordinator.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// The coordinator cannot be reached.
    #[error("cannot reach the coordinator at {url}: {why}; is `biosweep serve` running there?")]
    Unreachable {
        /// Its address.
        url: String,
        /// The error of the transport.
        why: String,
    },
    /// Another user of this machine serves the address.
    #[error(
        "{url} leads to a program of another user of this machine, and there is no token for it; ask that user for a connection file (biosweep \
         token create) and give it with --connection FILE"
    )]
    AnotherUser {
        /// The address.
        url: String,
    },
    /// The connection file has no address.
    #[error("the connection file has no address")]
    NoAddress,
    /// The connection file does not fit its address.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The coordinator refused the request, with this reason.
    #[error("{0}")]
    Refused(String),
    /// The coordinator failed.
    #[error("the coordinator failed: {0}")]
    Failed(String),
    /// The connection was lost before the answer.
    #[error("the connection was lost: {0}; try again, and check that `biosweep serve` listens at this address")]
    Broken(String),
    /// The coordinator cannot do this now: its store cannot be written, or it is stopping.
    #[error("the coordinator cannot do this now: {0}")]
    Unavailable(String),
    /// The answer cannot be read.
    #[error("the coordinator's answer cannot be read: {0}")]
    Unreadable(#[from] WireError),
    /// The command could not start its own coordinator.
    #[error(transparent)]
    Host(#[from] HostError),
}

impl ClientError {
    /// The reason, if the coordinator may be available again later.
    pub(crate) fn passing(&self) -> Option<&str> {
        match self {
            Self::Unreachable { why, .. } | Self::Broken(why) | Self::Unavailable(why) => Some(why),
            Self::NoAddress
            | Self::AnotherUser { .. }
            | Self::Dial(_)
            | Self::Refused(_)
            | Self::Failed(_)
            | Self::Unreadable(_)
            | Self::Host(_) => None,
        }
    }
}

impl From<Status> for ClientError {
    fn from(status: Status) -> Self {
        let message = status.message().to_owned();
        // A status with a cause was created on this side, not by the coordinator.
        if status.source().is_some() {
            return Self::Broken(message);
        }
        match status.code() {
            Code::InvalidArgument
            | Code::NotFound
            | Code::FailedPrecondition
            | Code::OutOfRange
            | Code::Unauthenticated
            | Code::PermissionDenied => Self::Refused(message),
            Code::Unavailable => Self::Unavailable(message),
            _ => Self::Failed(message),
        }
    }
}
