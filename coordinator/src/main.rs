//! `biosweep`: the command line and the coordinator.
//!
//! | room | holds |
//! |---|---|
//! | [`cli`] | one file per command |
//! | [`client`] | the way of every command to a coordinator |
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
mod render;
mod replay;
mod results;
#[cfg(test)]
mod simulation;

use std::process::ExitCode;

fn main() -> ExitCode {
    biosweep_host::limits::raise_open_files();
    cli::run(cli::Cli::read())
}
