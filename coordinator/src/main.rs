//! `biosweep`: the command line and the coordinator.
//!
//! | room | holds |
//! |---|---|
//! | [`cli`] | one file per command |
//! | [`driver`] | the only loop around it |
//! | [`rpc`] | the gRPC services |
//! | [`submit`], [`extend`], [`mod@delete`], [`reuse`], [`queries`], [`watch`] | what the services do |
//! | [`host`] | all of these as one coordinator in this process |
//! | [`client`] | the way of every command to a coordinator |
//! | [`local`] | worker processes beside this one |
//! | [`results`] | aggregates, exports, figures |
//! | [`render`] | what people and programs read |
//! | [`mod@bench`] | trials per second through all of it |
//! | [`replay`] | a trial trained again, and compared |
//! | [`chaos`] | all of it while its processes are killed |
//! | `simulation` | the scheduler among everything that can go wrong, for tests |

mod bench;
mod chaos;
mod cli;
mod client;
mod delete;
mod driver;
mod extend;
mod host;
mod local;
mod queries;
mod render;
mod replay;
mod results;
mod retry;
mod reuse;
mod rpc;
#[cfg(test)]
mod simulation;
mod submit;
mod watch;

use std::process::ExitCode;

fn main() -> ExitCode {
    biosweep_host::limits::raise_open_files();
    cli::run(cli::Cli::read())
}
