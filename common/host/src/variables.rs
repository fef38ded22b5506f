//! Environment variables of the command line: one that is set to nothing counts as one that is not set.

use std::env;

use clap::Command;

/// Has a command line and its subcommands take no value from variables that are empty.
#[must_use]
pub fn without_empty(command: Command) -> Command {
    let command = command.mut_args(|argument| {
        let is_empty = argument.get_env().is_some_and(|name| env::var_os(name).is_some_and(|value| value.is_empty()));
        if is_empty { argument.env(None::<&'static str>) } else { argument }
    });
    command.mut_subcommands(without_empty)
}
