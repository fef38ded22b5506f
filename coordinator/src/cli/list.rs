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
