//! `biosweep pause`, `resume` and `cancel`: changes the state of a sweep.

use std::path::Path;

use biosweep_common::results::outcome::SweepState;
use clap::Args;

use super::answer::answer;
use super::failure::{Exit, Failure};
use super::{Coordinator, Output};
use crate::client::Client;
use crate::render::{human, json};
use crate::terminal::say;

#[derive(Debug, Args)]
pub(crate) struct ControlArgs {
    /// A sweep's id, the start of an id, or a name
    sweep: String,
    #[command(flatten)]
    pub(super) coordinator: Coordinator,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Control {
    Pause,
    Resume,
    Cancel,
}

pub(super) async fn run(control: Control, args: &ControlArgs, home: &Path, output: Output) -> Result<Exit, Failure> {
    let mut client = Client::connect(args.coordinator.target(home)).await?;
    // The reason of the pause is read first, because the sweep no longer has it after the change.
    let before = match control {
        Control::Resume => Some(client.show(&args.sweep).await?.sweep),
        Control::Pause | Control::Cancel => None,
    };
    let paused = before.filter(|sweep| sweep.state == SweepState::Paused);
    let paused_for = paused.and_then(|sweep| sweep.reason);
    let sweep = match control {
        Control::Pause => client.pause(&args.sweep).await?,
        Control::Resume => client.resume(&args.sweep).await?,
        Control::Cancel => client.cancel(&args.sweep).await?,
    };
    if control == Control::Resume && client.is_hosted() {
        say(human::unserved(&sweep, home));
    }
    client.close().await?;
    answer(match (output, control) {
        (Output::Json, _) => json::sweep(&sweep),
        (Output::Human, Control::Pause) => human::paused(&sweep),
        (Output::Human, Control::Resume) => human::resumed(&sweep, paused_for.as_deref()),
        (Output::Human, Control::Cancel) => human::cancelled(&sweep),
    })
}
