//! `biosweep pause`: takes a sweep back from the workers until it is resumed.

use std::path::Path;

use clap::Args;

use super::failure::{Exit, Failure};
use super::{Coordinator, Output};
use crate::client::Client;
use crate::render::{answer, human, json};

#[derive(Debug, Args)]
pub(crate) struct PauseArgs {
    /// A sweep's id, the beginning of one, or a name
    sweep: String,
    #[command(flatten)]
    coordinator: Coordinator,
}

pub(super) async fn run(args: &PauseArgs, home: &Path, output: Output) -> Result<Exit, Failure> {
    let mut client = Client::connect(args.coordinator.target(home)).await?;
    let sweep = client.pause(&args.sweep).await?;
    client.close().await?;
    answer(match output {
        Output::Human => human::paused(&sweep),
        Output::Json => json::sweep(&sweep),
    })
}
