//! Archives: files with a sweep and everything that a store has of it.
//!
//! | bytes | content |
//! |---|---|
//! | a line | `biosweep archive 1`: the kind of the file, and the version of the format |
//! | gzip | the entries as JSON Lines: `head`, `sweep`, then `trainer`, `lease`, `attempt`, `done` and `late`, then `end` |
//! | 32 | the BLAKE3 digest of all bytes before |
//!
//! | module | contents |
//! |---|---|
//! | `entry` | the entries as JSON |
//! | [`reading`] | a file to the rows of a sweep |
//! | `rules` | what entries must agree on |
//! | [`writing`] | a sweep of a store to a file |

mod entry;
pub(crate) mod reading;
mod rules;
pub(crate) mod writing;

use std::io;
use std::path::PathBuf;

use biosweep_store::StoreError;

/// The start of the first line.
const KIND: &str = "biosweep archive ";
/// The version of the format that this program writes.
const VERSION: u32 = 1;
/// Bytes of the digest at the end.
const DIGEST_BYTES: u64 = 32;

/// The number of entries of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    /// Results of trials.
    pub(crate) results: u64,
    /// Learning curves.
    pub(crate) curves: u64,
    /// Ended attempts.
    pub(crate) attempts: u64,
    /// Late reports.
    pub(crate) late: u64,
}

/// The outcome of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Imported {
    /// The sweep is new in this store.
    New,
    /// The sweep was there, with the same content; nothing was changed.
    ThereAlready,
}

/// Why an archive was not written or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArchiveError {
    /// The sweep has not ended.
    #[error(
        "sweep {name} ({id}) is {state}, and only a sweep that has ended can be archived, because its trials in training belong \
         to workers of this store; wait for its end with `biosweep watch {id}`, or end it with `biosweep cancel {id}`"
    )]
    NotEnded {
        /// Its name.
        name: String,
        /// Its id.
        id: String,
        /// Its state.
        state: &'static str,
    },
    /// The sweep changed while it was read.
    #[error("sweep {id} changed while it was archived; run the command again")]
    Changed {
        /// Its id.
        id: String,
    },
    /// The stored sweep contradicts itself.
    #[error("sweep {id} cannot be archived: {why}; the store is damaged, or was written by another version")]
    Damaged {
        /// Its id.
        id: String,
        /// The contradiction.
        why: String,
    },
    /// The archive cannot be written.
    #[error(transparent)]
    Unwritten(io::Error),
    /// The file cannot be read.
    #[error("cannot read {}: {source}; check the path, and that you may read the file", path.display())]
    Unread {
        /// Its path.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The file is not an archive.
    #[error("{} is not an archive of biosweep; write one with `biosweep archive SWEEP FILE`", .0.display())]
    OtherKind(PathBuf),
    /// The format is newer.
    #[error(
        "{} is an archive of format version {version}, but this biosweep ({own}) reads version {VERSION}; import it with a newer \
         biosweep", path.display(), own = env!("CARGO_PKG_VERSION")
    )]
    Newer {
        /// The path.
        path: PathBuf,
        /// The version in the file.
        version: u32,
    },
    /// The digest is not that of the content.
    #[error("{} was cut or changed: its content does not have the digest at its end; copy the file again", .0.display())]
    Broken(PathBuf),
    /// The entries contradict each other, although the digest is right.
    #[error(
        "{} is not imported: {why}; nothing was written; archive the sweep again with the biosweep that wrote it", path.display()
    )]
    Contradicts {
        /// The path.
        path: PathBuf,
        /// The contradiction.
        why: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
