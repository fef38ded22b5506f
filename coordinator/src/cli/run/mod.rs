//! `biosweep run`: runs a sweep on this machine, from the spec to the results.

mod prepare;

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use biosweep_analysis::replicates::Divergence;
use biosweep_analysis::report::{Record, Spec};
use biosweep_analysis::{aggregate, compare};
use biosweep_common::results::outcome::SweepState;
use biosweep_common::results::views::SweepView;
use biosweep_common::workers::flags;
use biosweep_host::clock::Clock;
use biosweep_host::deadline::Job;
use biosweep_host::resources;
use biosweep_host::stop::{Stop, StopSignal};
use biosweep_host::traces::Traces;
use biosweep_scheduler::record::Submission;
use biosweep_server::host::{self, Host, HostError, HostOptions, Lifetime, Protection, Scope, TIMEOUTS};
use biosweep_server::local::fleet::Fleet;
use biosweep_server::local::{self, LocalError, WorkerOptions};
use biosweep_store::{self, StoreError};
use clap::Args;

use self::prepare::{can_be_met, prepare};
use super::answer::answer;
use super::execution::ExecutionArgs;
use super::failure::{Exit, Failure};
use super::source::Source;
use super::watch::Until;
use super::{Output, StoreArgs, replicates, report, source, watch};
use crate::client::Client;
use crate::files::folder::ResultsFolder;
use crate::render::progress::Progress;
use crate::render::{human, json};
use crate::terminal::say;

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// A spec file (.toml, .yaml or .json), the name of a preset, - for standard input, or the name or id of a sweep to
    /// continue
    spec: String,
    /// Worker processes [default: one per core that this process may use]
    #[arg(long, value_name = "N", value_parser = flags::count::<NonZeroU32>, allow_negative_numbers = true)]
    workers: Option<NonZeroU32>,
    /// Device of the workers
    #[arg(long, default_value = "cpu", value_name = "cpu|cuda:0")]
    device: String,
    /// Directory with datasets, searched before $BIOSWEEP_DATA
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Start a new sweep even if an equal one exists
    #[arg(long)]
    fresh: bool,
    #[command(flatten)]
    execution: ExecutionArgs,
    #[command(flatten)]
    store: StoreArgs,
}

/// The time limit for the coordinator to close its home after a second signal.
const AT_ONCE: Duration = Duration::from_secs(2);

/// The time limit of a request after the wait for a sweep. The answer may be late if the store cannot be written.
const LAST_WORD: Duration = Duration::from_secs(5);

/// How the wait for a sweep ended.
enum Wait {
    Ended(SweepView),
    /// The sweep is paused and needs its owner.
    Paused(SweepView),
    Interrupted(StopSignal),
    /// The workers have left because the job ends.
    TimeUp,
}

pub(super) async fn run(args: &RunArgs, home: &Path, output: Output, stop: &Stop) -> Result<Exit, Failure> {
    let traces = Traces::start(env!("CARGO_PKG_NAME")).map_err(Failure::bad_input)?;
    let ended = run_traced(args, home, output, stop, traces.clone()).await;
    traces.stop().await;
    ended
}

async fn run_traced(args: &RunArgs, home: &Path, output: Output, stop: &Stop, traces: Traces) -> Result<Exit, Failure> {
    let begun = tokio::select! {
        begun = begin(args, home, traces) => begun,
        signal = stop.requested() => return Ok(stopped_early(signal)),
    };
    let (source, workers, mut host) = begun?;
    let result = run_on(args, &mut host, &workers, source, output, stop).await;
    stop_host(host, stop).await?;
    result
}

/// Reads the spec, finds the worker program and the end of the job, and starts the coordinator.
async fn begin(args: &RunArgs, home: &Path, traces: Traces) -> Result<(Option<Source>, WorkerOptions, Host), Failure> {
    let source = source_of(args, home).await?;
    let workers = WorkerOptions {
        program: local::find_program()?,
        device: args.device.clone(),
        data_dir: args.data_dir.clone(),
        home: home.to_owned(),
        deadline: end_of_job().await?,
        memory_bytes: memory_of_workers()?,
    };
    let digest = source.as_ref().map(|source| Submission::digest(&source.spec));
    let host = Host::start_alone(HostOptions {
        home,
        store: args.store.url(),
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        protection: Protection::Loopback,
        page_hosts: &[],
        // Unfinished sweeps with other specs do not run with this command.
        scope: match &digest {
            None => Scope::Named(&args.spec),
            Some(_) if args.fresh => Scope::Nothing,
            Some(digest) => Scope::Digest(digest),
        },
        timeouts: TIMEOUTS,
        lifetime: Lifetime::Announced,
        stands_by: false,
        traces,
    });
    let host = host.await.map_err(|error| not_hosted(error, &args.spec, source.is_none(), home))?;
    Ok((source, workers, host))
}

/// The spec to run; `None` if a sweep of the store is named.
async fn source_of(args: &RunArgs, home: &Path) -> Result<Option<Source>, Failure> {
    let is_stored = !source::is_one(&args.spec) && (args.store.url().is_some() || biosweep_store::is_in(home));
    if is_stored && (args.fresh || !args.execution.is_empty()) {
        return Err(Failure::bad_input(format!(
            "{} is a sweep, which continues as it was submitted; to start a new sweep, give its spec file",
            args.spec
        )));
    }
    if is_stored {
        return Ok(None);
    }
    let source = source::read_aside(&args.spec, &args.execution).await?;
    can_be_met(&source.spec.execution.require, &args.device)?;
    Ok(Some(source))
}

/// The end of this process's batch job, in seconds since 1970. Outside of a job its variables are ignored.
pub(super) async fn end_of_job() -> Result<Option<u64>, Failure> {
    let job = Job::of_environment();
    let end = if job.is_one() { job.end().await.map_err(Failure::bad_input)? } else { None };
    if let Some(end) = end {
        end.left(Clock::start().wall()).map_err(Failure::bad_input)?;
    }
    Ok(end.map(|end| end.at_s))
}

/// Stops the coordinator. After a second signal it is not waited for.
pub(super) async fn stop_host(host: Host, stop: &Stop) -> Result<(), Failure> {
    let at_once = async {
        stop.at_once().await;
        tokio::time::sleep(AT_ONCE).await;
    };
    tokio::select! {
        stopped = host.stop() => Ok(stopped?),
        () = at_once => {
            tracing::warn!("stopped before the coordinator had closed its home");
            Ok(())
        }
    }
}

/// The end of a run that was stopped before its workers started.
fn stopped_early(signal: StopSignal) -> Exit {
    say(human::stopped_early(signal.reason(), &this_command()));
    Exit::after(signal)
}

/// The error for a home that cannot be coordinated here. If another coordinator holds it, the error says how to use
/// that.
fn not_hosted(error: HostError, spec: &str, is_stored: bool, home: &Path) -> Failure {
    if matches!(error, HostError::Store(StoreError::Locked { .. })) && host::url_of(home).is_some() {
        let home = home.display();
        let way = match is_stored {
            true => {
                format!("or follow the sweep there: biosweep watch {spec} --home {home}")
            }
            false => format!("or submit the sweep to it: biosweep submit {spec} --home {home}"),
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
    stop: &Stop,
) -> Result<Exit, Failure> {
    let url = host.url();
    let mut client = Client::reach(&host.connection).await?;
    let prepared = tokio::select! {
        prepared = prepare(args, &mut client, host.handle.store.as_ref(), workers, source) => prepared?,
        signal = stop.requested() => return Ok(stopped_early(signal)),
    };
    let (sweep, spec, found) = prepared;
    let id = sweep.id.to_string();
    let sweep = if sweep.state == SweepState::Running {
        say(human::starting(&sweep, found));
        say(format_args!("page  {url}/"));
        let count = worker_count(args.workers, sweep.trajectories)?;
        let fleet = Fleet::start(count, workers, &url, &host.handle);
        let mut progress = Progress::new(spec).expecting_workers();
        let wait = wait(&mut client, &id, &mut progress, fleet, host, stop).await;
        progress.finish();
        // Others may have submitted sweeps to this coordinator.
        let sweeps = host.handle.ask(|scheduler| scheduler.sweep_views());
        let sweeps = tokio::time::timeout(LAST_WORD, sweeps).await.ok().and_then(Result::ok).unwrap_or_default();
        let others = sweeps.iter().filter(|other| other.id != sweep.id && other.state == SweepState::Running);
        others.for_each(|other| say(human::left_unfinished(other)));
        match wait? {
            Wait::Ended(sweep) => sweep,
            Wait::Paused(sweep) => {
                say(human::stands_still(&sweep, &again(args, &id)));
                return Ok(Exit::SomeFailed);
            }
            Wait::Interrupted(signal) => {
                let now = tokio::time::timeout(LAST_WORD, client.show(&id)).await.ok().and_then(Result::ok);
                return Ok(interrupted(signal, now.map(|now| now.sweep).as_ref(), &again(args, &id)));
            }
            Wait::TimeUp => {
                let now = tokio::select! {
                    now = client.show(&id) => now?.sweep,
                    signal = stop.requested() => return Ok(interrupted(signal, None, &again(args, &id))),
                };
                if !now.state.has_ended() {
                    say(human::time_is_up(&now, &again(args, &id)));
                    return Ok(Exit::WorkLeft);
                }
                now
            }
        }
    } else {
        say(human::done_before(&sweep, found));
        sweep
    };
    tokio::select! {
        exit = conclude(&mut client, &workers.home, sweep.clone(), output) => exit,
        signal = stop.requested() => Ok(interrupted(signal, Some(&sweep), &again(args, &id))),
    }
}

/// Writes the results, curves, figures and report of a sweep that has ended, and prints the answer. This runs on a separate
/// thread, because it may take long and may block on the reader of the answer.
async fn conclude(client: &mut Client, home: &Path, sweep: SweepView, output: Output) -> Result<Exit, Failure> {
    let id = sweep.id.to_string();
    let results = client.results(&id).await?;
    let curves = client.curves(&id).await?;
    let (status, spec) = (client.show(&id).await?, Spec::of(client.spec(&id).await?));
    let home = home.to_owned();
    let told = tokio::task::spawn_blocking(move || {
        let mut record = Record::default();
        results.iter().try_for_each(|result| record.add(result)).map_err(Failure::environment)?;
        if let Some(grid) = replicates::planned(&sweep, &spec) {
            record.plan(grid);
        }
        let cells = aggregate::cells(record.replicates(), Divergence::Guess);
        let comparison = compare::verdicts(record.replicates(), &spec.analysis());
        let verdicts = comparison.main();
        let report = report::html(&status, &spec, &record, &comparison, &curves);
        let folder = ResultsFolder::write(&home, &sweep, &results, &cells, &curves, &report)
            .map_err(Failure::from_environment)?;
        answer(match output {
            Output::Human => human::outcome(&sweep, &cells, &verdicts, &folder),
            Output::Json => json::outcome(&sweep, &cells, &verdicts, &folder),
        })?;
        Ok(watch::exit_of(&sweep))
    });
    told.await.expect("the thread that writes results does not panic")
}

/// The end of a run that was stopped by a signal.
fn interrupted(signal: StopSignal, sweep: Option<&SweepView>, again: &str) -> Exit {
    say(human::interrupted(signal.reason(), sweep, again));
    Exit::after(signal)
}

/// Follows the sweep until it ends, pauses or the user stops it. On return the workers have left.
async fn wait(
    client: &mut Client,
    id: &str,
    progress: &mut Progress,
    mut fleet: Fleet,
    host: &mut Host,
    stop: &Stop,
) -> Result<Wait, Failure> {
    let handle = host.handle.clone();
    let wait = tokio::select! {
        stopped = watch::follow(client, id, progress, Until::PausedOrEnded) => match stopped {
            Ok(sweep) if sweep.state == SweepState::Paused => Ok(Wait::Paused(sweep)),
            Ok(sweep) => Ok(Wait::Ended(sweep)),
            Err(error) => Err(error.into()),
        },
        ended = fleet.ended() => match ended {
            Ok(()) => Ok(Wait::TimeUp),
            Err(error) => Err(error.into()),
        },
        error = host.failed() => Err(error.into()),
        signal = stop.requested() => Ok(Wait::Interrupted(signal)),
    };
    let reason = match &wait {
        Ok(Wait::Interrupted(signal)) => {
            progress.note(human::stopping(*signal == StopSignal::Interrupt));
            "the user stopped the sweep"
        }
        _ => "the sweep has ended or is paused",
    };
    tokio::select! {
        () = fleet.leave(&handle, reason) => {}
        _signal = stop.at_once() => {}
    }
    wait
}

/// The command that continues an unfinished sweep: the command as given, unless that would start another sweep or read
/// standard input again.
fn again(args: &RunArgs, id: &str) -> String {
    let given = std::env::args().skip(1);
    if !args.fresh && args.spec != "-" {
        return format!("the same command continues the sweep:\n  {}", command(given));
    }
    format!("this command continues the sweep:\n  {}", command(of_sweep(given, &args.spec, id)))
}

/// The command as given, so that the user can repeat it.
fn this_command() -> String {
    command(std::env::args().skip(1))
}

fn command(words: impl Iterator<Item = String>) -> String {
    let word = |word: String| if word.contains([' ', '\'', '"', '$', '*']) { format!("{word:?}") } else { word };
    std::iter::once("biosweep".to_owned()).chain(words.map(word)).collect::<Vec<_>>().join(" ")
}

/// A command that continues the submitted sweep: it has the sweep's id, without the options of a submission.
fn of_sweep(words: impl Iterator<Item = String>, spec: &str, id: &str) -> impl Iterator<Item = String> {
    let mut is_value = false;
    words.filter_map(move |word| {
        let of_before = std::mem::take(&mut is_value);
        is_value = matches!(word.as_str(), "--priority" | "--weight");
        let name = word.split('=').next().unwrap_or_default();
        let at_submission = matches!(name, "--fresh" | "--no-share" | "--no-reuse" | "--priority" | "--weight");
        (!of_before && !at_submission).then(|| if word == spec { id.to_owned() } else { word })
    })
}

/// One worker per core that this process may use, but not more than there are trajectories.
fn worker_count(asked: Option<NonZeroU32>, trajectories: u64) -> Result<u32, Failure> {
    let count = asked.map_or_else(resources::cores, |asked| Ok(asked.get())).map_err(Failure::bad_input)?;
    Ok(count.min(u32::try_from(trajectories).unwrap_or(u32::MAX)).max(1))
}

/// The memory that each local worker reports, in bytes: what this process may use. Workers do not see the Slurm job.
pub(super) fn memory_of_workers() -> Result<Option<u64>, Failure> {
    Ok(Some(resources::memory_bytes().map_err(Failure::bad_input)?).filter(|&bytes| bytes > 0))
}

impl From<LocalError> for Failure {
    fn from(error: LocalError) -> Self {
        match error {
            LocalError::Refused(_) => Self::bad_input(error),
            _ => Self::environment(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_that_continues_a_sweep_has_its_id_and_no_submission_options() {
        let given = ["run", "a b.toml", "--fresh", "--priority", "3", "--workers", "1", "--weight=2", "--home", "/x y"];
        let again = command(of_sweep(given.iter().map(|&word| word.to_owned()), "a b.toml", "0192"));
        assert_eq!(again, "biosweep run 0192 --workers 1 --home \"/x y\"");
    }
}
