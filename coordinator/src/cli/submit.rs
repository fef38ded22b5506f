//! `biosweep submit`: submits a sweep to a coordinator.

use std::path::Path;

use biosweep_common::spec::{AnalysisPlan, ExecutionOptions, SweepSpec};
use clap::Args;

use super::answer::answer;
use super::execution::ExecutionArgs;
use super::failure::{Exit, Failure};
use super::{Coordinator, Output, datasets, source};
use crate::client::Client;
use crate::render::{human, json};
use crate::terminal::say;

#[derive(Debug, Args)]
pub(crate) struct SubmitArgs {
    /// A spec file (.toml, .yaml or .json), the name of a preset, or - for standard input
    spec: String,
    /// Start a new sweep even if an equal one exists
    #[arg(long)]
    fresh: bool,
    #[command(flatten)]
    execution: ExecutionArgs,
    #[command(flatten)]
    pub(super) coordinator: Coordinator,
}

pub(super) async fn run(args: &SubmitArgs, home: &Path, output: Output) -> Result<Exit, Failure> {
    let source = source::read(&args.spec, &args.execution).map_err(|failure| or_stored(failure, args, home))?;
    // Datasets are checked as in `plan`, because custom data is on this machine. Downloadable data is found by the
    // workers.
    datasets::look(&source.spec, None, Some(home)).await?;
    let asked = (source.spec.execution.clone(), source.spec.analysis.clone());
    let mut client = Client::connect(args.coordinator.target(home)).await?;
    let (sweep, found) = client.submit(source.text, source.format, source.origin, args.fresh).await?;
    let kept = if found { client.spec(&sweep.id.to_string()).await?.spec() } else { None };
    let hosted = client.is_hosted();
    client.close().await?;
    say_kept(kept.as_ref(), &asked);
    if hosted && !sweep.state.has_ended() {
        say(human::unserved(&sweep, home));
    }
    answer(match output {
        Output::Human => human::submitted(&sweep, found),
        Output::Json => json::submitted(&sweep, found),
    })
}

/// The same error; if the name may be a stored sweep, it says how to continue that.
fn or_stored(failure: Failure, args: &SubmitArgs, home: &Path) -> Failure {
    if source::is_one(&args.spec) || args.coordinator.target(home).is_void() {
        return failure;
    }
    let name = &args.spec;
    failure.and(format_args!("to continue a submitted sweep, use `biosweep resume {name}` or `biosweep run {name}`"))
}

/// If an equal sweep was found and other execution options or another analysis plan were asked for, says which it keeps.
pub(super) fn say_kept(found: Option<&SweepSpec>, (options, plan): &(ExecutionOptions, AnalysisPlan)) {
    if let Some(kept) = found.filter(|kept| (&kept.execution, &kept.analysis) != (options, plan)) {
        say(human::keeps_its_options(kept));
    }
}
