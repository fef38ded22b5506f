//! `biosweep-worker`: one process, one device, one bundle at a time.

use std::process::ExitCode;

use biosweep_worker::cli::{self, Cli};

fn main() -> ExitCode {
    biosweep_host::resources::limits::raise_open_files();
    cli::run(&Cli::read())
}
