//! `biosweep release`: releases a worker from quarantine.

use std::path::Path;

use clap::Args;

use super::answer::answer;
use super::failure::{Exit, Failure};
use super::{Coordinator, Output};
use crate::client::Client;
use crate::render::{human, json};

#[derive(Debug, Args)]
pub(crate) struct ReleaseArgs {
    /// A worker's id, the start of an id, or its name
    worker: String,
    #[command(flatten)]
    pub(super) coordinator: Coordinator,
}

pub(super) async fn run(args: &ReleaseArgs, home: &Path, output: Output) -> Result<Exit, Failure> {
    let mut client = Client::connect(args.coordinator.target(home)).await?;
    let worker = client.release(&args.worker).await?;
    client.close().await?;
    answer(match output {
        Output::Human => human::released(&worker),
        Output::Json => json::worker(&worker),
    })
}
