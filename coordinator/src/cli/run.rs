//! `biosweep run`: a sweep on this machine, from nothing to results.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use biosweep_common::capability::{Capabilities, Requirement};
use biosweep_common::dataset::DatasetRef;
use biosweep_common::flags;
use biosweep_common::outcome::SweepState;
use biosweep_common::views::SweepView;
use clap::Args;

use super::failure::{Exit, Failure};
use super::source::Source;
use super::terms::TermsArgs;
use super::watch::Until;
use super::{Output, StoreArgs, source, submit, watch};
use crate::client::{Client, ClientError};
use crate::host::{self, Host, HostError, Options, PATIENCE, Scope, Stay};
use crate::local::{self, Fleet, LocalError, WorkerOptions, interrupted};
use crate::render::progress::Progress;
use crate::render::{answer, human, json, say};
use crate::results::folder::ResultsFolder;
use crate::store::{self, StoreError};
use crate::submit as submission;

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// A spec file (.toml, .yaml or .json), the name of a preset, or the name or id of a sweep to go on with
    spec: String,
    /// Worker processes [default: one per core]
    #[arg(long, value_name = "N", value_parser = flags::count::<NonZeroU32>, allow_negative_numbers = true)]
    workers: Option<NonZeroU32>,
    /// What the workers compute on
    #[arg(long, default_value = "cpu", value_name = "cpu|cuda:0")]
    device: String,
    /// Where to look for datasets first
    #[arg(long, env = "BIOSWEEP_DATA", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Start a new sweep even where an equal one is unfinished or has finished
    #[arg(long)]
    fresh: bool,
    #[command(flatten)]
    terms: TermsArgs,
    #[command(flatten)]
    store: StoreArgs,
}

/// How the wait for a sweep ended.
enum Wait {
    Ended(SweepView),
    /// Nothing more will happen until its owner has looked.
    Paused(SweepView),
    Interrupted(&'static str),
}

pub(super) async fn run(args: &RunArgs, home: &Path, output: Output) -> Result<Exit, Failure> {
    let is_stored = !source::is_one(&args.spec) && (args.store.url().is_some() || store::is_in(home));
    if is_stored && (args.fresh || !args.terms.is_empty()) {
        return Err(Failure::bad_input(format!(
            "{} is the name of a sweep, which goes on as it was submitted; to start another one, name its spec file",
            args.spec
        )));
    }
    let source = if is_stored { None } else { Some(source::read(&args.spec, &args.terms)?) };
    let workers = WorkerOptions {
        program: local::find_program()?,
        device: args.device.clone(),
        data_dir: args.data_dir.clone(),
        home: home.to_owned(),
    };
    if let Some(source) = &source {
        can_be_met(&source.spec.terms.require, &args.device)?;
    }
    let digest = source.as_ref().map(|source| submission::digest(&source.spec));
    let host = Host::start_alone(Options {
        home,
        store: args.store.url(),
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        insecure: false,
        // An unfinished sweep of another spec waits for its own command.
        scope: match &digest {
            None => Scope::Named(&args.spec),
            Some(_) if args.fresh => Scope::Nothing,
            Some(digest) => Scope::Digest(digest),
        },
        patience: PATIENCE,
        stay: Stay::Announced,
    });
    let mut host = host.await.map_err(|error| not_hosted(error, &args.spec, is_stored, home))?;
    let result = run_on(args, &mut host, &workers, source, output).await;
    host.stop().await?;
    result
}

/// Why the home is not coordinated here; where another coordinator does, with the way to it.
fn not_hosted(error: HostError, spec: &str, is_stored: bool, home: &Path) -> Failure {
    if matches!(error, HostError::Store(StoreError::Locked { .. })) && host::url_of(home).is_some() {
        let home = home.display();
        let way = match is_stored {
            true => {
                format!("or follow the sweep there, where workers go on with it: biosweep watch {spec} --home {home}")
            }
            false => format!("or have it take the sweep: biosweep submit {spec} --home {home}"),
        };
        return Failure::environment(format!("{error}; {way}"));
    }
    error.into()
}

async fn run_on(
    args: &RunArgs,
    host: &mut Host,
    workers: &WorkerOptions,
    source: Option<Source>,
    output: Output,
) -> Result<Exit, Failure> {
    let url = host.url();
    let mut client = Client::reach(&url).await?;
    let mut asked = None;
    let (sweep, found) = match source {
        Some(source) => {
            let (sweep, found) = client.submit(source.text, source.format, source.origin, args.fresh).await?;
            asked = found.then_some(source.spec.terms);
            (sweep, found)
        }
        None => match client.show(&args.spec).await {
            Ok(status) => (status.sweep, true),
            // No sweep is meant either: what could be is said.
            Err(ClientError::Refused(_)) => return Err(source::nothing_of_that_name(&args.spec)),
            Err(error) => return Err(error.into()),
        },
    };
    let spec = client.spec(&sweep.id.to_string()).await?.spec();
    if let Some(asked) = asked {
        submit::say_kept(spec.as_ref(), &asked);
    }
    if let Some(spec) = &spec {
        can_be_met(&spec.terms.require, &args.device)?;
    }
    let datasets: Vec<DatasetRef> = spec.iter().flat_map(|spec| spec.grid.datasets()).collect();
    let id = sweep.id.to_string();
    let sweep = if sweep.state == SweepState::Paused { client.resume(&id).await? } else { sweep };
    let sweep = if sweep.state == SweepState::Running {
        workers.check(&datasets).await?;
        say(human::starting(&sweep, found));
        let count = worker_count(args.workers, sweep.trajectories);
        let fleet = Fleet::start(count, workers, &url, &host.handle);
        let mut progress = Progress::new(&sweep, spec).expecting_workers();
        let wait = wait(&mut client, &id, &mut progress, fleet, host).await;
        progress.finish();
        // Somebody may have handed in others while this coordinator was there.
        let sweeps = host.handle.ask(|core| core.sweep_views()).await.unwrap_or_default();
        let others = sweeps.iter().filter(|other| other.id != sweep.id && other.state == SweepState::Running);
        others.for_each(|other| say(human::left_unfinished(other)));
        match wait? {
            Wait::Ended(sweep) => sweep,
            Wait::Paused(sweep) => {
                say(human::stands_still(&sweep, &this_command()));
                return Ok(Exit::SomeFailed);
            }
            Wait::Interrupted(how) => {
                let now = client.show(&id).await?.sweep;
                say(human::interrupted(how, &now, &this_command()));
                return Ok(Exit::Interrupted);
            }
        }
    } else {
        say(human::done_before(&sweep));
        sweep
    };
    let results = client.results(&id).await?;
    let curves = client.curves(&id).await?;
    let folder = ResultsFolder::write(&workers.home, &sweep, &results, &curves).map_err(Failure::from_environment)?;
    answer(match output {
        Output::Human => human::outcome(&sweep, &results, &folder),
        Output::Json => json::outcome(&sweep, &results, &folder),
    })?;
    Ok(watch::exit_of(&sweep))
}

/// Follows the sweep to its end, to a failure, or until the user has had enough; the workers have left on return.
async fn wait(
    client: &mut Client,
    id: &str,
    progress: &mut Progress,
    mut fleet: Fleet,
    host: &mut Host,
) -> Result<Wait, Failure> {
    let handle = host.handle.clone();
    let wait = tokio::select! {
        stopped = watch::follow(client, id, progress, Until::PausedOrEnded) => match stopped {
            Ok(sweep) if sweep.state == SweepState::Paused => Ok(Wait::Paused(sweep)),
            Ok(sweep) => Ok(Wait::Ended(sweep)),
            Err(error) => Err(error.into()),
        },
        error = fleet.failed() => Err(error.into()),
        error = host.failed() => Err(error.into()),
        how = interrupted() => Ok(Wait::Interrupted(how)),
    };
    if matches!(wait, Ok(Wait::Interrupted(_))) {
        progress.note("stopping the workers; press Ctrl-C again to stop at once");
        tokio::select! {
            () = fleet.leave(&handle, "the user stopped the sweep") => {}
            _ = interrupted() => {}
        }
    } else {
        fleet.leave(&handle, "the sweep has ended or stands still").await;
    }
    wait
}

/// Whether workers started here will have what the sweep requires: a device of this kind and no labels.
fn can_be_met(require: &Requirement, device: &str) -> Result<(), Failure> {
    let here = Capabilities { device: device.to_owned(), memory_bytes: u64::MAX, ..Capabilities::default() };
    if require.is_met_by(&here) {
        return Ok(());
    }
    Err(Failure::bad_input(format!(
        "the sweep requires {require}, and the workers started here compute on {device} and carry no labels; choose another \
         --device, leave out `require`, or run it with `biosweep serve` and workers that have what it requires"
    )))
}

/// The command as it was given, to be given again.
fn this_command() -> String {
    let word = |word: String| if word.contains([' ', '\'', '"', '$', '*']) { format!("{word:?}") } else { word };
    std::iter::once("biosweep".to_owned()).chain(std::env::args().skip(1).map(word)).collect::<Vec<_>>().join(" ")
}

/// One worker per core, but no more than there is work for.
fn worker_count(asked: Option<NonZeroU32>, trajectories: u64) -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(u32::MAX));
    let count = asked.map_or(cores, NonZeroU32::get);
    count.min(u32::try_from(trajectories).unwrap_or(u32::MAX)).max(1)
}

impl From<LocalError> for Failure {
    fn from(error: LocalError) -> Self {
        match error {
            LocalError::Refused(_) => Self::bad_input(error),
            _ => Self::environment(error),
        }
    }
}
