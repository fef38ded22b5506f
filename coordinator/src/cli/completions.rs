//! `biosweep completions`: the script that lets a shell complete commands and options.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::answer::answer;
use super::failure::{Exit, Failure};
use super::{Cli, Output};
use crate::render::json;

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

pub(super) fn run(args: &CompletionsArgs, output: Output) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "biosweep", &mut script);
    let script = String::from_utf8_lossy(&script);
    answer(match output {
        Output::Human => script.into_owned(),
        Output::Json => json::completions(&args.shell.to_string(), &script),
    })
}
