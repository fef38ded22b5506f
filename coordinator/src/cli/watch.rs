//! `biosweep watch`: follows a sweep until it has ended.

use std::path::Path;
use std::time::Duration;

use biosweep_common::results::outcome::SweepState;
use biosweep_common::results::views::{SweepView, WatchEvent};
use biosweep_host::stop::Stop;
use clap::Args;

use super::answer::answer;
use super::failure::{Exit, Failure};
use super::{Coordinator, Output};
use crate::client::{Client, ClientError};
use crate::render::progress::Progress;
use crate::render::{human, json};
use crate::terminal::say;

#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// A sweep's id, the start of an id, or a name
    sweep: String,
    #[command(flatten)]
    pub(super) coordinator: Coordinator,
}

/// Pause between two attempts to reach a coordinator that holds the home and does not answer.
const PAUSE: Duration = Duration::from_secs(1);

/// Follows a sweep. A signal ends the command, but not the sweep; the terminal is restored.
pub(super) async fn run(args: &WatchArgs, home: &Path, output: Output, stop: &Stop) -> Result<Exit, Failure> {
    tokio::select! {
        exit = watch(args, home, output) => exit,
        signal = stop.requested() => {
            say(human::unwatched(signal.reason(), &args.sweep));
            Ok(Exit::after(signal))
        }
    }
}

async fn watch(args: &WatchArgs, home: &Path, output: Output) -> Result<Exit, Failure> {
    let mut has_said = false;
    let (mut client, status) = loop {
        let mut client = Client::connect_to_read(args.coordinator.target(home)).await?;
        let status = client.show(&args.sweep).await?;
        let Some(url) = client.silent().filter(|_| !status.sweep.state.has_ended()) else { break (client, status) };
        if !has_said {
            say(human::out_of_reach(&format!("{url} does not answer")));
            has_said = true;
        }
        client.close().await?;
        tokio::time::sleep(PAUSE).await;
    };
    let text = client.spec(&status.sweep.id.to_string()).await?;
    if client.is_hosted() && !status.sweep.state.has_ended() {
        client.close().await?;
        say(human::unserved(&status.sweep, home));
        answer(match output {
            Output::Human => human::status(&status, text.spec().as_ref()),
            Output::Json => json::status(&status, &text),
        })?;
        return Ok(Exit::Environment);
    }
    let mut progress = Progress::new(text.spec());
    let id = status.sweep.id.to_string();
    let sweep = loop {
        let followed = follow(&mut client, &id, &mut progress, Until::Ended).await;
        let Some(why) = followed.as_ref().err().and_then(ClientError::passing) else { break followed? };
        progress.note(human::out_of_reach(why));
        client = Client::wait_for(args.coordinator.target(home)).await;
        progress.note("the coordinator is available again");
    };
    progress.finish();
    client.close().await?;
    let exit = exit_of(&sweep);
    answer(match output {
        Output::Human => human::ended(&sweep),
        Output::Json => json::sweep(&sweep),
    })?;
    Ok(exit)
}

/// When following a sweep ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    Ended,
    PausedOrEnded,
}

/// Shows the progress of a sweep until then, and returns its last state.
pub(super) async fn follow(
    client: &mut Client,
    sweep: &str,
    progress: &mut Progress,
    until: Until,
) -> Result<SweepView, ClientError> {
    let mut events = client.watch(sweep).await?;
    let mut last = None;
    while let Some(event) = events.next().await? {
        match event {
            WatchEvent::State(status) => {
                progress.state(&status);
                let paused = status.sweep.state == SweepState::Paused;
                last = Some(status.sweep);
                if paused && until == Until::PausedOrEnded {
                    break;
                }
            }
            WatchEvent::IncompleteAttempt(incomplete_attempt) => progress.incomplete_attempt(&incomplete_attempt),
        }
    }
    last.ok_or_else(|| ClientError::Failed("it ended the stream without an event".to_owned()))
}

/// The exit code for a sweep that has ended.
pub(super) fn exit_of(sweep: &SweepView) -> Exit {
    let is_whole = sweep.failed == 0 && sweep.state != SweepState::Cancelled;
    if is_whole { Exit::Done } else { Exit::SomeFailed }
}
