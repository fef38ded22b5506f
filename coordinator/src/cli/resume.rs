//! `biosweep resume`: goes on with a paused sweep.

use std::path::Path;

use clap::Args;

use super::failure::{Exit, Failure};
use super::{Coordinator, Output};
use crate::client::Client;
use crate::render::{answer, human, json};

#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    /// A sweep's id, the beginning of one, or a name
    sweep: String,
    #[command(flatten)]
    coordinator: Coordinator,
}

pub(super) async fn run(args: &ResumeArgs, home: &Path, output: Output) -> Result<Exit, Failure> {
    let mut client = Client::connect(args.coordinator.target(home)).await?;
    let sweep = client.resume(&args.sweep).await?;
    client.close().await?;
    answer(match output {
        Output::Human => human::resumed(&sweep),
        Output::Json => json::sweep(&sweep),
    })
}
