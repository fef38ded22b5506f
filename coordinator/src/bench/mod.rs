//! Benchmarks of the complete coordinator.
//!
//! | module | contents |
//! |---|---|
//! | [`mod@dispatch`] | trials per second, and the time from a trial's end to the next grant |
//! | [`mod@growth`] | the same for sweeps of increasing size |
//! | [`mod@idle`] | the cost of idle workers |
//! | [`mod@pending`] | the cost of a large sweep without results |
//! | [`mod@recovery`] | seconds until a coordinator serves again after a crash |
//! | [`mod@reuse`] | seconds to reuse the results of another sweep |
//! | [`mod@export`] | seconds and memory to export learning curves |
//! | [`mod@page`] | milliseconds, bytes and memory of the page, and the dispatch rate beside it |
//! | [`served`] | a coordinator in its own process, and open pages of it |
//! | [`filled`] | a store filled with results |
//! | [`worker`] | workers that train nothing |

mod dispatch;
mod export;
mod filled;
mod growth;
mod idle;
mod page;
mod pending;
mod recovery;
mod reuse;
mod served;
mod worker;

pub(crate) use dispatch::{Load, Measured, dispatch};
pub(crate) use export::{Exported, export};
pub(crate) use growth::growth;
pub(crate) use idle::idle;
pub(crate) use page::{Paged, page};
pub(crate) use pending::pending;
pub(crate) use recovery::recovery;
pub(crate) use reuse::reuse;

use crate::client::ClientError;

/// Why a benchmark failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    /// A process could not be started or inspected.
    #[error("{what}: {source}")]
    Process {
        /// The operation.
        what: &'static str,
        /// The error of the system.
        #[source]
        source: std::io::Error,
    },
    /// The coordinator ended unexpectedly.
    #[error("the coordinator ended unexpectedly ({status}); its log: {log}")]
    Ended {
        /// The exit status.
        status: String,
        /// Its log.
        log: String,
    },
    /// The coordinator does not listen.
    #[error("the coordinator does not listen after {seconds} s; its log: {log}")]
    Silent {
        /// The time limit in seconds.
        seconds: f64,
        /// Its log.
        log: String,
    },
    /// The coordinator sent a worker an unexpected message.
    #[error("the coordinator did not welcome a worker but sent {message}")]
    Unexpected {
        /// The message.
        message: String,
    },
    /// An export failed.
    #[error("the export as {format} failed ({status})")]
    Export {
        /// The format.
        format: &'static str,
        /// The exit status.
        status: String,
    },
    /// The page did not answer.
    #[error("the page {path} did not answer: {source}")]
    Page {
        /// Its address.
        path: String,
        /// The error of the request.
        #[source]
        source: Box<ureq::Error>,
    },
    /// A worker's stream ended.
    #[error("the coordinator closed a worker's stream")]
    Closed,
    /// The sweep ended before all trials were done.
    #[error("the sweep did not finish")]
    Unfinished,
    /// The coordinator did not answer.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// A sweep with this many trials, each a trajectory of one update.
fn spec_of(trials: u64) -> String {
    format!(
        "name = \"bench\"\n[data]\ndataset = \"synthetic-digits\"\n[train]\nmax_updates = 1\n[grid]\n\
         rule = \"bp\"\nnetwork = \"nn\"\ndepth = 1\nseed = {{ from = 0, count = {trials} }}\n"
    )
}
