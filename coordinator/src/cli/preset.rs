//! `biosweep preset`: lists and prints the specs that come with biosweep.

use biosweep_common::spec::presets;
use clap::Subcommand;

use super::Output;
use super::answer::answer;
use super::failure::{Exit, Failure};
use crate::render::{human, json};

#[derive(Debug, Subcommand)]
pub(crate) enum PresetCommand {
    /// List the presets
    List,
    /// Print a preset's spec file
    Show {
        /// Name of the preset
        name: String,
    },
}

pub(super) fn run(command: &PresetCommand, output: Output) -> Result<Exit, Failure> {
    match command {
        PresetCommand::List => answer(match output {
            Output::Human => human::presets(presets::ALL),
            Output::Json => json::presets(presets::ALL),
        }),
        PresetCommand::Show { name } => {
            let preset = presets::find(name).ok_or_else(|| {
                let known: Vec<&str> = presets::ALL.iter().map(|preset| preset.name).collect();
                Failure::bad_input(format!("there is no preset `{name}`; the presets are {}", known.join(", ")))
            })?;
            answer(match output {
                Output::Human => preset.text.to_owned(),
                Output::Json => json::preset(preset),
            })
        }
    }
}
