//! What the coordinator itself can do, measured through all of it.
//!
//! | module | measures |
//! |---|---|
//! | [`mod@dispatch`] | trials per second, and the way from one trial's end to the next grant |
//! | [`mod@growth`] | the same of ever greater sweeps |
//! | [`mod@idle`] | what workers cost that have nothing to do |
//! | [`mod@pending`] | what a sweep costs of which nothing has been done |
//! | [`mod@recovery`] | seconds until a coordinator serves again |
//! | [`mod@reuse`] | seconds to take over what another sweep has found |
//! | [`served`] | a coordinator in a process of its own |
//! | [`filled`] | a store with results in it |
//! | [`worker`] | workers that train nothing |

mod dispatch;
mod filled;
mod growth;
mod idle;
mod pending;
mod recovery;
mod reuse;
mod served;
mod worker;

pub(crate) use dispatch::{Load, Measured, dispatch};
pub(crate) use growth::growth;
pub(crate) use idle::idle;
pub(crate) use pending::pending;
pub(crate) use recovery::recovery;
pub(crate) use reuse::reuse;

use crate::client::ClientError;

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    /// A process could not be run or looked at.
    #[error("{what}: {source}")]
    Process {
        /// What was tried.
        what: &'static str,
        /// The error of the system.
        #[source]
        source: std::io::Error,
    },
    /// The coordinator ended by itself.
    #[error("the coordinator ended by itself ({status}); it said: {said}")]
    Ended {
        /// How.
        status: String,
        /// Its log.
        said: String,
    },
    /// The coordinator does not listen.
    #[error("the coordinator does not listen after {seconds} s; it said: {said}")]
    Silent {
        /// How long it was waited for.
        seconds: f64,
        /// Its log.
        said: String,
    },
    /// The coordinator said something to a worker that it should not have.
    #[error("the coordinator did not welcome a worker, but said {message}")]
    Unexpected {
        /// What it said.
        message: String,
    },
    /// A worker's stream ended.
    #[error("the coordinator closed a worker's stream")]
    Closed,
    /// The sweep stopped before its end.
    #[error("the sweep did not finish")]
    Unfinished,
    /// The coordinator did not answer.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// A sweep of so many trials, each a trajectory of one update.
fn spec_of(trials: u64) -> String {
    format!(
        "name = \"bench\"\n[data]\ndataset = \"synthetic-digits\"\n[train]\nmax_updates = 1\n[grid]\n\
         rule = \"bp\"\nnetwork = \"nn\"\ndepth = 1\nseed = {{ from = 0, count = {trials} }}\n"
    )
}
