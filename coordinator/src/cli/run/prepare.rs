//! The preparation of a run: finds or submits the sweep, after the check that it can be trained here.

use biosweep_common::results::outcome::SweepState;
use biosweep_common::results::views::SweepView;
use biosweep_common::spec::SweepSpec;
use biosweep_common::vocabulary::dataset::DatasetRef;
use biosweep_common::workers::capability::{Capabilities, Requirement};
use biosweep_scheduler::record::Submission;
use biosweep_server::commands as submission;
use biosweep_server::host::HostError;
use biosweep_server::local::WorkerOptions;
use biosweep_store::Store;

use super::RunArgs;
use crate::cli::failure::Failure;
use crate::cli::source::{self, Source};
use crate::cli::{datasets, submit};
use crate::client::{Client, ClientError};
use crate::render::human;
use crate::terminal::say;

/// Finds or submits the sweep, after the check that it can be trained here. Returns it with its spec, and whether it
/// was found.
pub(super) async fn prepare(
    args: &RunArgs,
    client: &mut Client,
    store: &dyn Store,
    workers: &WorkerOptions,
    source: Option<Source>,
) -> Result<(SweepView, Option<SweepSpec>, bool), Failure> {
    let mut asked = None;
    let sweep = match source {
        None => match client.show(&args.spec).await {
            Ok(status) => status.sweep,
            // The name is not a sweep either, so the error lists what it could be.
            Err(ClientError::Refused(_)) => return Err(source::nothing_of_that_name(&args.spec)),
            Err(error) => return Err(error.into()),
        },
        Some(source) => {
            let digest = Submission::digest(&source.spec);
            let equal = submission::find_equal(store, &digest).await.map_err(HostError::from)?;
            let Some(equal) = equal.filter(|_| !args.fresh) else {
                return submit_here(args, client, workers, source).await;
            };
            asked = Some((source.spec.execution, source.spec.analysis));
            client.show(&equal.submission.id.to_string()).await?.sweep
        }
    };
    let id = sweep.id.to_string();
    let spec = client.spec(&id).await?.spec();
    if let Some(asked) = asked {
        submit::say_kept(spec.as_ref(), &asked);
    }
    if !sweep.state.has_ended() {
        can_be_trained(spec.as_ref(), args, workers).await?;
    }
    if sweep.state != SweepState::Paused {
        return Ok((sweep, spec, true));
    }
    if let Some(reason) = &sweep.reason {
        say(human::continued(&sweep.name, reason));
    }
    Ok((client.resume(&id).await?, spec, true))
}

/// Submits a sweep after the check that it can be trained here, so that a sweep that is refused leaves no trace.
async fn submit_here(
    args: &RunArgs,
    client: &mut Client,
    workers: &WorkerOptions,
    source: Source,
) -> Result<(SweepView, Option<SweepSpec>, bool), Failure> {
    let Source { text, format, origin, spec } = source;
    if let Err(failure) = can_be_trained(Some(&spec), args, workers).await {
        let reused = client.plan(text.clone(), format, origin.clone()).await?;
        if reused < spec.grid.trials() {
            return Err(failure);
        }
    }
    let (sweep, found) = client.submit(text, format, origin, args.fresh).await?;
    Ok((sweep, Some(spec), found))
}

/// Checks that local workers can train the sweep: they meet its requirement and have its data.
async fn can_be_trained(spec: Option<&SweepSpec>, args: &RunArgs, workers: &WorkerOptions) -> Result<(), Failure> {
    if let Some(spec) = spec {
        can_be_met(&spec.execution.require, &args.device)?;
    }
    let datasets: Vec<DatasetRef> = spec.iter().flat_map(|spec| spec.grid.datasets()).collect();
    datasets::report(&workers.check(&datasets).await?, spec)
}

/// Checks that local workers meet the requirement: they have this device and no labels.
pub(super) fn can_be_met(require: &Requirement, device: &str) -> Result<(), Failure> {
    let here = Capabilities { device: device.to_owned(), memory_bytes: u64::MAX, ..Capabilities::default() };
    if require.is_met_by(&here) {
        return Ok(());
    }
    Err(Failure::bad_input(format!(
        "the sweep requires {require}, but local workers have device {device} and no labels; choose another \
         --device, remove `require`, or run it with `biosweep serve` and workers that meet it"
    )))
}
