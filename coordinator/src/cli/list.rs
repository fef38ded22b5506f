//! `biosweep list`: the sweeps.

use std::path::Path;

use clap::Args;

use super::answer::answer;
use super::failure::{Exit, Failure};
use super::{Coordinator, Output};
use crate::client::Client;
use crate::render::{human, json};
use crate::terminal::say;

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(super) coordinator: Coordinator,
}

pub(super) async fn run(args: &ListArgs, home: &Path, output: Output) -> Result<Exit, Failure> {
    let mut client = Client::connect_to_read(args.coordinator.target(home)).await?;
    let sweeps = client.list().await?;
    if client.is_hosted() && sweeps.iter().any(|sweep| !sweep.state.has_ended()) {
        say(human::not_served(client.silent(), || human::none_served(home)));
    }
    client.close().await?;
    answer(match output {
        Output::Human => human::sweeps(&sweeps),
        Output::Json => json::sweeps(&sweeps),
    })
}

/// The answer for a home without any sweep.
pub(super) fn nothing(home: &Path, output: Output) -> Result<Exit, Failure> {
    if !home.is_dir() {
        say(human::no_home(home));
    }
    answer(match output {
        Output::Human => human::no_sweeps_in(home),
        Output::Json => json::sweeps(&[]),
    })
}

/// The error of a command about a sweep in a home without any.
pub(super) fn none_in(home: &Path) -> Failure {
    let home = home.display();
    Failure::bad_input(format!(
        "there are no sweeps in {home}; give their home with --home, or start one there with \
         `biosweep run quickstart --home {home}`"
    ))
}
