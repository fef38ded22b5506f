//! `biosweep replay`: trains a trial again and compares the learning curves.

use std::path::{Path, PathBuf};

use biosweep_server::local::{self, WorkerOptions};
use clap::Args;

use super::answer::answer;
use super::failure::{Exit, Failure};
use super::run::{end_of_job, memory_of_workers};
use super::{Coordinator, Output};
use crate::client::Client;
use crate::render::{human, json};
use crate::replay::{self, ReplayError};
use crate::terminal::say;

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// A trial: SWEEP/NUMBER, or the start of its key
    trial: String,
    /// Device to train on
    #[arg(long, default_value = "cpu", value_name = "cpu|cuda:0")]
    device: String,
    /// Directory with datasets, searched before $BIOSWEEP_DATA
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(super) coordinator: Coordinator,
}

pub(super) async fn run(args: &ReplayArgs, home: &Path, output: Output) -> Result<Exit, Failure> {
    let mut client = Client::connect_to_read(args.coordinator.target(home)).await?;
    let trained = client.trained(&args.trial).await;
    client.close().await?;
    let trained = trained?;
    let worker = WorkerOptions {
        program: local::find_program()?,
        device: args.device.clone(),
        // The temporary home has no datasets.
        data_dir: Some(args.data_dir.clone().unwrap_or_else(|| home.join("datasets"))),
        home: home.to_owned(),
        deadline: end_of_job().await?,
        memory_bytes: memory_of_workers()?,
    };
    say(human::replaying(&trained));
    let verdict = replay::run(&trained, &worker).await?;
    answer(match output {
        Output::Human => human::replayed(&verdict),
        Output::Json => json::pretty(&verdict),
    })?;
    Ok(if verdict.same { Exit::Done } else { Exit::SomeFailed })
}

impl From<ReplayError> for Failure {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::NoCurve { .. } | ReplayError::OtherNumerics { .. } => Self::bad_input(error),
            ReplayError::Client(error) => error.into(),
            ReplayError::Host(error) => error.into(),
            ReplayError::NotTrained { .. } | ReplayError::Local(_) => Self::environment(error),
        }
    }
}
