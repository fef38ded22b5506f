//! `biosweep extend`: adds trials to a sweep.

use std::path::Path;

use clap::Args;

use super::answer::answer;
use super::execution::ExecutionArgs;
use super::failure::{Exit, Failure};
use super::{Coordinator, Output, source};
use crate::client::Client;
use crate::render::{human, json};
use crate::terminal::say;

#[derive(Debug, Args)]
pub(crate) struct ExtendArgs {
    /// A sweep's id, the start of an id, or a name
    sweep: String,
    /// A spec file (or - for standard input) with the axes and replicates to add; existing trials do not change
    spec: String,
    #[command(flatten)]
    pub(super) coordinator: Coordinator,
}

pub(super) async fn run(args: &ExtendArgs, home: &Path, output: Output) -> Result<Exit, Failure> {
    let source = source::read(&args.spec, &ExecutionArgs::default())?;
    let mut client = Client::connect(args.coordinator.target(home)).await?;
    let extended = client.extend(&args.sweep, source.text, source.format, source.origin).await;
    let hosted = client.is_hosted();
    client.close().await?;
    let (sweep, added) = extended?;
    if hosted && !sweep.state.has_ended() {
        say(human::unserved(&sweep, home));
    }
    answer(match output {
        Output::Human => human::extended(&sweep, added),
        Output::Json => json::extended(&sweep, added),
    })
}
