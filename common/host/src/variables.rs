//! Environment variables of command-line flags. An empty variable counts as unset.

use std::env;

use clap::Command;

/// Makes a command and its subcommands ignore empty environment variables.
#[must_use]
pub fn without_empty(command: Command) -> Command {
    let command = command.mut_args(|argument| {
        let is_empty = argument.get_env().is_some_and(|name| env::var_os(name).is_some_and(|value| value.is_empty()));
        if is_empty { argument.env(None::<&'static str>) } else { argument }
    });
    command.mut_subcommands(without_empty)
}
