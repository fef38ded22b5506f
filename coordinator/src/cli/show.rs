//! `biosweep show`: shows one sweep, with its workers and incomplete attempts.

use std::path::Path;

use clap::Args;

use super::answer::answer;
use super::failure::{Exit, Failure};
use super::{Coordinator, Output};
use crate::client::Client;
use crate::render::{human, json};
use crate::terminal::say;

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// A sweep's id, the start of an id, or a name
    sweep: String,
    /// Print the spec with every default as TOML, then each extension below a comment, and nothing else
    #[arg(long)]
    spec: bool,
    #[command(flatten)]
    pub(super) coordinator: Coordinator,
}

pub(super) async fn run(args: &ShowArgs, home: &Path, output: Output) -> Result<Exit, Failure> {
    let mut client = Client::connect_to_read(args.coordinator.target(home)).await?;
    let status = client.show(&args.sweep).await?;
    let text = client.spec(&status.sweep.id.to_string()).await?;
    if client.is_hosted() && !status.sweep.state.has_ended() {
        say(human::not_served(client.silent(), || human::unserved(&status.sweep, home)));
    }
    client.close().await?;
    answer(match output {
        Output::Human if args.spec => human::resolved(&text),
        Output::Human => human::status(&status, text.spec().as_ref()),
        Output::Json => json::status(&status, &text),
    })
}
