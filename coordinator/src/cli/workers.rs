//! `biosweep workers`: lists the workers and what they train.

use std::path::Path;

use clap::Args;

use super::answer::answer;
use super::failure::{Exit, Failure};
use super::{Coordinator, Output};
use crate::client::Client;
use crate::render::{human, json};
use crate::terminal::say;

#[derive(Debug, Args)]
pub(crate) struct WorkersArgs {
    #[command(flatten)]
    pub(super) coordinator: Coordinator,
}

pub(super) async fn run(args: &WorkersArgs, home: &Path, output: Output) -> Result<Exit, Failure> {
    let mut client = Client::connect_to_read(args.coordinator.target(home)).await?;
    let workers = client.workers().await?;
    if client.is_hosted() {
        say(human::not_served(client.silent(), || human::none_served(home)));
    }
    client.close().await?;
    answer(match output {
        Output::Human => human::workers(&workers),
        Output::Json => json::workers(&workers),
    })
}
