//! `biosweep plan`: shows the size and cost of a sweep, and how many results can be reused, before it runs.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use biosweep_common::plan::Plan;
use biosweep_common::plan::dataset_summary::DatasetSummary;
use biosweep_common::plan::widths::widths;
use biosweep_common::workers::flags;
use clap::Args;

use super::answer::answer;
use super::execution::ExecutionArgs;
use super::failure::{Exit, Failure};
use super::source::Source;
use super::{Coordinator, Output, datasets, source};
use crate::client::{Client, Target};
use crate::render::{human, json};

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// A spec file (.toml, .yaml or .json), the name of a preset, or - for standard input
    spec: String,
    /// Trajectories that a worker trains at once
    #[arg(long, default_value = "1", value_name = "K", value_parser = flags::lanes, allow_negative_numbers = true)]
    lanes: NonZeroU32,
    /// Directory with datasets, searched before $BIOSWEEP_DATA
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    execution: ExecutionArgs,
    #[command(flatten)]
    coordinator: Coordinator,
}

pub(super) async fn run(args: &PlanArgs, home: Option<&Path>, output: Output) -> Result<Exit, Failure> {
    let source = source::read(&args.spec, &args.execution)?;
    let plan = Plan::of(&source.spec, args.lanes.get());
    let spec = source.spec.clone();
    let datasets = datasets::look(&source.spec, args.data_dir.as_deref(), home).await?;
    let summaries: Vec<&DatasetSummary> = datasets.iter().filter_map(|dataset| dataset.summary.as_ref()).collect();
    let widths = widths(&source.spec.grid, &summaries);
    let reused = reused(args, home, source).await?;
    answer(match output {
        Output::Human => human::plan(&spec, &plan, &datasets, &widths, reused),
        Output::Json => json::plan(&spec, &plan, &datasets, &widths, reused),
    })
}

/// The number of trials whose results would be reused. If there is no store, none is created.
async fn reused(args: &PlanArgs, home: Option<&Path>, source: Source) -> Result<u64, Failure> {
    let target = args.coordinator.target(home.unwrap_or(Path::new("")));
    let is_unknown = home.is_none() && matches!(target, Target::Home { store: None, .. });
    if is_unknown || target.is_void() {
        return Ok(0);
    }
    let mut client = Client::connect_to_read(target).await?;
    let reused = client.plan(source.text, source.format, source.origin).await;
    client.close().await?;
    Ok(reused?)
}
