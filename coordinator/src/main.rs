//! `biosweep`: the command line and the coordinator.
//!
//! | module | contents |
//! |---|---|
//! | [`cli`] | one file per command |
//! | [`client`] | the way of every command to a coordinator |
//! | [`folder`] | the folder a run leaves its files in |
//! | [`render`] | what people and programs read |
//! | [`terminal`] | questions and remarks, the width of the terminal |
//! | [`mod@bench`] | trials per second through all of it |
//! | [`replay`] | a trial trained again, and compared |
//! | [`chaos`] | all of it while its processes are killed |

mod bench;
mod chaos;
mod cli;
mod client;
mod folder;
mod render;
mod replay;
mod terminal;

use std::process::ExitCode;

fn main() -> ExitCode {
    biosweep_host::limits::raise_open_files();
    cli::run(cli::Cli::read())
}
