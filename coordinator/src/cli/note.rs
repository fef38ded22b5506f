//! `biosweep note`: writes, prints or removes the note of a sweep.

use std::io;
use std::path::Path;

use clap::Args;

use super::answer::answer;
use super::failure::{Exit, Failure};
use super::{Coordinator, Output};
use crate::client::Client;
use crate::render::{human, json};
use crate::terminal::say;

/// The text that stands for standard input.
const STANDARD_INPUT: &str = "-";

#[derive(Debug, Args)]
pub(crate) struct NoteArgs {
    /// A sweep's id, the start of an id, or a name
    sweep: String,
    /// The new note, which replaces the old one; - reads it from standard input. Without it, the note is printed
    text: Option<String>,
    /// Remove the note
    #[arg(long, conflicts_with = "text")]
    clear: bool,
    #[command(flatten)]
    pub(super) coordinator: Coordinator,
}

impl NoteArgs {
    /// Whether the command only prints the note.
    pub(super) const fn only_reads(&self) -> bool {
        self.text.is_none() && !self.clear
    }

    /// The text to write; `None` if the note is only printed.
    fn new_note(&self) -> Result<Option<String>, Failure> {
        match &self.text {
            Some(text) if text == STANDARD_INPUT => {
                let text = io::read_to_string(io::stdin());
                let unreadable = |error| {
                    Failure::bad_input(format!(
                        "cannot read a note from standard input: {error}; it must be text in UTF-8"
                    ))
                };
                text.map(Some).map_err(unreadable)
            }
            Some(text) => Ok(Some(text.clone())),
            None => Ok(self.clear.then(String::new)),
        }
    }
}

pub(super) async fn run(args: &NoteArgs, home: &Path, output: Output) -> Result<Exit, Failure> {
    let Some(text) = args.new_note()? else { return print(args, home, output).await };
    let mut client = Client::connect(args.coordinator.target(home)).await?;
    let sweep = client.note(&args.sweep, text).await?;
    client.close().await?;
    answer(match output {
        Output::Human => human::noted(&sweep),
        Output::Json => json::sweep(&sweep),
    })
}

async fn print(args: &NoteArgs, home: &Path, output: Output) -> Result<Exit, Failure> {
    let mut client = Client::connect_to_read(args.coordinator.target(home)).await?;
    let sweep = client.show(&args.sweep).await?.sweep;
    client.close().await?;
    match (output, &sweep.note) {
        (Output::Json, _) => answer(json::sweep(&sweep)),
        (Output::Human, Some(note)) => answer(note),
        (Output::Human, None) => {
            say(human::without_note(&sweep));
            Ok(Exit::Done)
        }
    }
}
