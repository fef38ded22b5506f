//! The version of the protocol. Programs with the same protocol version work together, whatever their own versions; all
//! others refuse each other.

use std::fmt;

/// The version of the messages and of their meaning. A change that a program of an earlier version would misread raises
/// it; a new field that may be missing does not. Programs before the first version send nothing, which reads as 0.
pub const PROTOCOL_VERSION: u32 = 1;

/// The version of this program.
pub const PROGRAM_VERSION: &str = env!("CARGO_PKG_VERSION");

/// The header with the protocol version, in every request of a command and in every answer.
pub const PROTOCOL_HEADER: &str = "biosweep-protocol";
/// The header with the version of the program, for messages.
pub const PROGRAM_HEADER: &str = "biosweep-version";

/// Another program, as the program that reads its message calls it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// A worker with this name, to the coordinator.
    Worker(String),
    /// A command, to the coordinator.
    Command,
    /// The coordinator, to a worker.
    CoordinatorOfWorker,
    /// The coordinator, to a command.
    CoordinatorOfCommand,
}

/// Two programs do not have the same protocol version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct VersionMismatch {
    peer: Peer,
    /// The version of the peer's program; empty if unknown.
    version: String,
    protocol: u32,
}

/// Checks that a peer has the protocol version of this program. `peer` returns it with the version of its program, as they
/// are shown in an error.
///
/// # Errors
/// Another protocol version.
pub fn check(protocol: u32, peer: impl FnOnce() -> (Peer, String)) -> Result<(), VersionMismatch> {
    if protocol == PROTOCOL_VERSION {
        return Ok(());
    }
    let (peer, version) = peer();
    Err(VersionMismatch { peer, version, protocol })
}

impl fmt::Display for VersionMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { peer, version, protocol } = self;
        let (peer, own, next) = match peer {
            Peer::Worker(name) => {
                (format!("the worker {name}"), "the coordinator", "start a worker of the coordinator's version")
            }
            Peer::Command => (
                "the command".to_owned(),
                "the coordinator",
                "start the program `biosweep` of the coordinator's version",
            ),
            Peer::CoordinatorOfWorker => {
                ("the coordinator".to_owned(), "this worker", "start a worker of the coordinator's version")
            }
            Peer::CoordinatorOfCommand => (
                "the coordinator".to_owned(),
                "this program",
                "start the program `biosweep` of the coordinator's version",
            ),
        };
        let version = if version.is_empty() { "an unknown version".to_owned() } else { format!("version {version}") };
        write!(
            f,
            "{peer} has {version} (protocol {protocol}), but {own} has version {PROGRAM_VERSION} (protocol \
             {PROTOCOL_VERSION}); {next}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_protocol_version_is_accepted_whatever_the_version_of_the_program() {
        for version in ["", "0.1.0", "9.9.9"] {
            let peer = || (Peer::Command, version.to_owned());
            assert_eq!(check(PROTOCOL_VERSION, peer), Ok(()));
            for protocol in [0, PROTOCOL_VERSION + 1, u32::MAX] {
                assert!(check(protocol, peer).is_err());
            }
        }
    }

    #[test]
    fn an_error_names_both_programs_and_what_to_start() {
        let text =
            |peer: Peer, version: &str| check(3, || (peer, version.to_owned())).expect_err("another one").to_string();
        assert_eq!(
            text(Peer::Worker("host/1".to_owned()), "0.9.0"),
            format!(
                "the worker host/1 has version 0.9.0 (protocol 3), but the coordinator has version {PROGRAM_VERSION} (protocol \
                 {PROTOCOL_VERSION}); start a worker of the coordinator's version"
            )
        );
        assert!(
            text(Peer::Command, "").starts_with("the command has an unknown version (protocol 3), but the coordinator")
        );
        assert!(
            text(Peer::CoordinatorOfWorker, "2")
                .starts_with("the coordinator has version 2 (protocol 3), but this worker")
        );
        assert!(text(Peer::CoordinatorOfCommand, "2").contains("but this program has version"));
    }
}
