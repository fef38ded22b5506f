//! Answers for people, and the sentences of the conversation.
//!
//! | module | says |
//! |---|---|
//! | here | what there is of sweeps, and what became of a control |
//! | `plan` | what a sweep holds and costs, before it runs |
//! | `run` | what happens along a run on this machine, and what it found |
//! | `workers` | who trains what |
//! | `names`, `amounts` | names of trials; seconds, rates and percentages |

mod amounts;
mod names;
mod plan;
mod run;
mod workers;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use biosweep_common::ids::SweepId;
use biosweep_common::outcome::SweepState;
use biosweep_common::spec::{ExecutionOptions, SweepSpec};
use biosweep_common::views::{IncompleteAttempt, SweepStatus, SweepView};
use biosweep_host::clock::Clock;

pub(crate) use self::amounts::{percentage, rate};
pub(crate) use self::names::TrialNames;
pub(crate) use self::plan::{plan, presets};
pub(crate) use self::run::{
    done_before, interrupted, left_unfinished, outcome, replayed, replaying, stands_still, starting, stopped_early,
    stopping, time_is_up, verdict,
};
pub(crate) use self::workers::{NOTHING_OF_IT, released, worker_line, workers};
use super::progress::Rate;
use super::table;
use crate::terminal::stdout_width;

pub(crate) fn no_sweeps_in(home: &Path) -> String {
    format!("no sweeps in {} yet; `biosweep run quickstart` makes one", home.display())
}

pub(crate) fn sweeps(sweeps: &[SweepView]) -> String {
    if sweeps.is_empty() {
        return "no sweeps yet; `biosweep run quickstart` makes one".to_owned();
    }
    let mut text = table::sweeps(sweeps, Clock::start().wall(), stdout_width());
    for sweep in sweeps {
        if let Some(why) = why_standing(sweep) {
            let _fits = write!(text, "\n\n{} ({}): {why}", sweep.name, sweep.id);
        }
    }
    text
}

pub(crate) fn status(status: &SweepStatus, spec: Option<&SweepSpec>) -> String {
    let sweep = &status.sweep;
    let names = TrialNames::of(spec);
    let mut text = format!("{} ({})\n{}\n", sweep.name, sweep.id, tally(sweep));
    if let Some(execution) = spec.and_then(|spec| unusual(&spec.execution)) {
        let _fits = writeln!(text, "{execution}");
    }
    if sweep.state == SweepState::Finished && sweep.failed > 0 {
        let _fits = writeln!(text, "{}", retry_hint(sweep.id));
    }
    if let Some(degraded) = &status.degraded {
        let _fits = writeln!(text, "\n{degraded}");
    }
    if !status.workers.is_empty() {
        text.push_str("\nworkers\n");
        for worker in &status.workers {
            let _fits = writeln!(text, "  {}", worker_line(worker, &names, NOTHING_OF_IT));
        }
    }
    if !status.incomplete_attempts.is_empty() {
        text.push_str("\nattempts that did not complete, latest first\n");
        text.push_str(&incomplete_attempts(&status.incomplete_attempts, spec, &names));
    }
    text
}

/// The execution options of a sweep that are not the defaults.
fn unusual(execution: &ExecutionOptions) -> Option<String> {
    let ExecutionOptions { retries_max, checkpoint_every_s, share, reuse, priority, weight, require } = execution;
    let usual = ExecutionOptions::default();
    let told = [
        (*priority != usual.priority).then(|| format!("priority {priority}")),
        (*weight != usual.weight).then(|| format!("weight {weight}")),
        (*retries_max != usual.retries_max).then(|| format!("retries {retries_max}")),
        (*checkpoint_every_s != usual.checkpoint_every_s).then(|| format!("a checkpoint every {checkpoint_every_s} s")),
        (!share).then(|| "every trial is trained by itself".to_owned()),
        (!reuse).then(|| "nothing is taken over".to_owned()),
        (!require.is_none()).then(|| format!("requires {require}")),
    ];
    let told: Vec<String> = told.into_iter().flatten().collect();
    (!told.is_empty()).then(|| told.join(" · "))
}

/// A line for each kind of incomplete attempt: the latest of those that ended alike, and how many more there are.
fn incomplete_attempts(
    incomplete_attempts: &[IncompleteAttempt],
    spec: Option<&SweepSpec>,
    names: &TrialNames,
) -> String {
    let mut kinds: Vec<(&IncompleteAttempt, usize)> = Vec::new();
    for one in incomplete_attempts {
        let alike = |(first, _): &&mut (&IncompleteAttempt, usize)| {
            first.outcome == one.outcome && headline(first) == headline(one)
        };
        match kinds.iter_mut().find(alike) {
            Some((_, more)) => *more += 1,
            None => kinds.push((one, 0)),
        }
    }
    let line = |(first, more): &(&IncompleteAttempt, usize)| {
        let more = if *more > 0 { format!(" (and {more} more like it)") } else { String::new() };
        format!("  {}{more}\n", incomplete_attempt(&names.trajectory(spec, first.trajectory), first))
    };
    kinds.iter().map(line).collect()
}

fn retry_hint(sweep: SweepId) -> String {
    format!("`biosweep retry {sweep} --failed` tries again what failed")
}

/// One line of counts, and why it stands where it does.
fn tally(sweep: &SweepView) -> String {
    let mut text = format!("{} · {} of {} trials completed", sweep.state.name(), sweep.completed, sweep.trials);
    for (count, what) in [(sweep.diverged, "diverged"), (sweep.failed, "failed"), (sweep.running, "in training")] {
        if count > 0 {
            let _fits = write!(text, ", {count} {what}");
        }
    }
    if sweep.reused > 0 {
        let _fits = write!(text, " ({} taken over from results there were)", sweep.reused);
    }
    if let Some(why) = why_standing(sweep) {
        let _fits = write!(text, "\n{why}");
    }
    text
}

pub(crate) fn submitted(sweep: &SweepView, found: bool) -> String {
    let what = if found { "is there already" } else { "is submitted" };
    format!("{} {what} as {}\n{}", sweep.name, sweep.id, tally(sweep))
}

/// A sweep that was there already is carried out as it was first submitted.
pub(crate) fn keeps_its_options(kept: &ExecutionOptions) -> String {
    format!(
        "it stays as it was submitted: priority {}, weight {}, retries {}, a checkpoint every {} s, requires {}; submit it with \
         --fresh for another one",
        kept.priority, kept.weight, kept.retries_max, kept.checkpoint_every_s, kept.require
    )
}

/// A run goes on with a sweep that was paused.
pub(crate) fn goes_on(name: &str, paused_for: &str) -> String {
    format!("{name} goes on; it was paused: {paused_for}")
}

pub(crate) fn cancelled(sweep: &SweepView) -> String {
    format!("{} ({}) is cancelled; what was done stays\n{}", sweep.name, sweep.id, tally(sweep))
}

pub(crate) fn paused(sweep: &SweepView) -> String {
    format!("{} ({}) is paused\n{}", sweep.name, sweep.id, tally(sweep))
}

/// It goes on; where there was a reason why it was paused, with what follows from that.
pub(crate) fn resumed(sweep: &SweepView, paused_for: Option<&str>) -> String {
    let mut text = format!("{} ({}) goes on\n{}", sweep.name, sweep.id, tally(sweep));
    if let Some(reason) = paused_for {
        let _fits = write!(text, "\nit is not paused again for this: {reason}");
    }
    text
}

/// A sweep that has not ended, in a home whose coordinator is gone.
pub(crate) fn unserved(sweep: &SweepView, home: &Path) -> String {
    let home = home.display();
    format!(
        "no coordinator serves this home, so nothing of the sweep runs; `biosweep run {} --home {home}` goes on with it \
         here, and `biosweep serve --home {home}` with workers of yours",
        sweep.id
    )
}

/// Sweeps that have not ended, in a home whose coordinator is gone.
pub(crate) fn none_served(home: &Path) -> String {
    let home = home.display();
    format!(
        "no coordinator serves this home, so none of its sweeps runs; `biosweep serve --home {home}` with workers of yours \
         goes on with all of them, and `biosweep run SWEEP --home {home}` with one, here"
    )
}

/// Why a home is answered for from its store: the coordinator at `silent` holds it and does not answer, or there is none.
pub(crate) fn not_served(silent: Option<&str>, none: impl FnOnce() -> String) -> String {
    let told = |url| format!("the coordinator of this home, at {url}, does not answer; this is what its store holds");
    silent.map_or_else(none, told)
}

/// A coordinator that was there and is not, while a sweep on it is followed.
pub(crate) fn out_of_reach(why: &str) -> String {
    format!("the coordinator is out of reach ({why}); watching goes on once it is there again")
}

pub(crate) fn retried(sweep: &SweepView, trials: u64) -> String {
    format!("{} of {} ({}) tried again\n{}", amounts::trials(trials), sweep.name, sweep.id, tally(sweep))
}

/// Before a sweep is deleted.
pub(crate) fn may_delete(sweep: &SweepView, taken_over: u64) -> String {
    let SweepView { name, id, completed, trials, .. } = sweep;
    format!(
        "delete {name} ({id}), {completed} of {trials} trials completed, with its results, files and checkpoints? It cannot be \
         brought back.{}",
        stay(taken_over)
    )
}

pub(crate) fn deleted(sweep: &SweepView, taken_over: u64, removed: &[PathBuf]) -> String {
    let mut text = format!("{} ({}) is deleted.{}", sweep.name, sweep.id, stay(taken_over));
    for folder in removed {
        let _fits = write!(text, "\nremoved  {}", folder.display());
    }
    text
}

/// What of a deleted sweep stays.
fn stay(taken_over: u64) -> String {
    match taken_over {
        0 => String::new(),
        1 => " 1 trial of another sweep was taken over from it, and stays.".to_owned(),
        _ => format!(" {taken_over} trials of other sweeps were taken over from it, and stay."),
    }
}

pub(crate) fn extended(sweep: &SweepView, added: u64) -> String {
    let what = match added {
        0 => "has all of that already".to_owned(),
        added => format!("has {} more", amounts::trials(added)),
    };
    format!("{} ({}) {what}\n{}", sweep.name, sweep.id, tally(sweep))
}

/// What has to be known of a sweep's results before it has finished: of how many trials they are.
pub(crate) fn so_far(sweep: &SweepView) -> Option<String> {
    let SweepView { trials, state, .. } = sweep;
    let ended = sweep.ended();
    (ended < *trials).then(|| format!("{ended} of {trials} trials, the sweep is {}", state.name()))
}

/// Why nothing of a sweep is granted, and what to do about it, where it is paused.
pub(crate) fn why_paused(sweep: &SweepView) -> Option<String> {
    let why = sweep.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let paused = sweep.state == SweepState::Paused;
    paused.then(|| format!("paused{why}; `biosweep resume {}` goes on", sweep.id))
}

/// Why a sweep does not go on, where it does not.
fn why_standing(sweep: &SweepView) -> Option<String> {
    why_paused(sweep).or_else(|| why_waiting(sweep))
}

/// What a running sweep waits for, where nobody can take what it has to grant.
pub(crate) fn why_waiting(sweep: &SweepView) -> Option<String> {
    sweep.reason.clone().filter(|_| sweep.state == SweepState::Running)
}

pub(crate) fn ended(sweep: &SweepView) -> String {
    let id = sweep.id;
    let mut text = format!("{} ({id})\n{}\n`biosweep results {id}` exports its results", sweep.name, tally(sweep));
    if sweep.failed > 0 {
        let _fits = write!(text, "\n{}", retry_hint(id));
    }
    text
}

/// What went wrong with an attempt.
pub(crate) fn incomplete_attempt(name: &str, incomplete_attempt: &IncompleteAttempt) -> String {
    let cause = headline(incomplete_attempt).map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("{} on {}: {name}{cause}", incomplete_attempt.outcome.name(), incomplete_attempt.worker_name)
}

/// The first line of its cause. What follows, such as frames of a stack, is for `--output json`.
fn headline(incomplete_attempt: &IncompleteAttempt) -> Option<&str> {
    incomplete_attempt.cause.as_deref().and_then(|cause| cause.lines().next())
}

/// A line of counts and speed.
pub(crate) fn counts(sweep: &SweepView, rate: &Rate) -> String {
    let mut text = format!("{}/{} trials", sweep.ended(), sweep.trials);
    for (count, what) in [(sweep.running, "in training"), (sweep.diverged, "diverged"), (sweep.failed, "failed")] {
        if count > 0 {
            let _fits = write!(text, ", {count} {what}");
        }
    }
    let speed = amounts::rate(rate);
    if !speed.is_empty() {
        let _fits = write!(text, ", {speed}");
    }
    text
}
