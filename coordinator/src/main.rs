//! `biosweep`: the command line and the coordinator.
//!
//! | module | contents |
//! |---|---|
//! | [`cli`] | one file per command |
//! | [`client`] | the connection of a command to a coordinator |
//! | [`export`] | exports with one run a trial: TensorBoard's event files, MLflow |
//! | [`files`] | files that appear whole or not at all, and the folder with the files of a run |
//! | [`mod@hypotf`] | a C function, so that the program starts with an older glibc |
//! | [`render`] | answers for people and programs |
//! | [`rows`] | the rows of an export |
//! | [`terminal`] | questions and messages, the width of the terminal |
//! | [`mod@bench`] | benchmarks of the coordinator |
//! | [`replay`] | trains a trial again and compares the curves |
//! | [`chaos`] | runs a sweep while its processes are killed |

mod bench;
mod chaos;
mod cli;
mod client;
mod export;
mod files;
mod hypotf;
mod render;
mod replay;
mod rows;
mod terminal;

use std::process::ExitCode;

fn main() -> ExitCode {
    biosweep_host::resources::limits::raise_open_files();
    cli::run(cli::Cli::read())
}
