//! `biosweep-worker`: one process, one device, one bundle at a time.

use std::process::ExitCode;

use biosweep_worker::cli::{self, Cli};
use clap::Parser;

fn main() -> ExitCode {
    cli::run(&Cli::parse())
}
