//! Messages during a run on this machine, and at its end.

use std::fmt::Write as _;

use biosweep_analysis::aggregate::Cell;
use biosweep_analysis::compare::{Contrast, sentence};
use biosweep_analysis::replicates::Divergence;
use biosweep_common::results::names::TrialNames;
use biosweep_common::results::outcome::SweepState;
use biosweep_common::results::views::{SweepView, TrainedView};

use super::amounts::{counted, trials};
use super::{so_far, tally};
use crate::chaos::ChaosVerdict;
use crate::files::folder::ResultsFolder;
use crate::render::table;
use crate::replay;
use crate::terminal::{prose, stdout_width};

/// The end of a run whose sweep is paused and needs its owner.
pub(crate) fn stands_still(sweep: &SweepView, again: &str) -> String {
    let why = sweep.reason.as_deref().unwrap_or("a user paused it");
    format!("paused with {} of {} trials done: {why}\nonce this is fixed, {again}", sweep.ended(), sweep.trials)
}

pub(crate) fn starting(sweep: &SweepView, found: bool) -> String {
    if found && sweep.ended() > 0 {
        return format!("{}: continuing {}, {} of {} trials done", sweep.name, sweep.id, sweep.ended(), sweep.trials);
    }
    let mut text = format!("{}: {} as {}", sweep.name, trials(sweep.trials), sweep.id);
    if sweep.reused > 0 {
        let _fits = write!(text, ", {} of them reused", sweep.reused);
    }
    text
}

pub(crate) fn done_before(sweep: &SweepView, found: bool) -> String {
    if !found {
        return format!(
            "{}: {} as {}, all of them reused from stored results (--no-reuse trains them)",
            sweep.name,
            trials(sweep.trials),
            sweep.id
        );
    }
    if sweep.state == SweepState::Cancelled {
        return format!(
            "{} was cancelled, as {}; these are its results so far (run its spec with --fresh for a new sweep)",
            sweep.name, sweep.id
        );
    }
    format!(
        "{} was done before, as {}; these are its results (--fresh --no-reuse trains it again)",
        sweep.name, sweep.id
    )
}

/// The end of a run that was stopped by a signal, with the progress if known.
pub(crate) fn interrupted(how: &str, sweep: Option<&SweepView>, again: &str) -> String {
    let done = match sweep {
        Some(sweep) => format!("{} of {} trials are done and kept", sweep.ended(), sweep.trials),
        None => "what is done is kept".to_owned(),
    };
    format!("{how}: {done}; {again}")
}

/// The end of a command that followed a sweep and was stopped by a signal.
pub(crate) fn unwatched(how: &str, sweep: &str) -> String {
    format!("{how}: the sweep is not stopped; `biosweep watch {sweep}` follows it again")
}

/// The end of a run that was stopped before it trained anything.
pub(crate) fn stopped_early(how: &str, command: &str) -> String {
    format!("{how} before a worker was started; the same command starts again:\n  {command}")
}

/// The start of a clean stop after a signal.
pub(crate) const fn stopping(by_ctrl_c: bool) -> &'static str {
    if by_ctrl_c { "stopping the workers; press Ctrl-C again to stop at once" } else { "stopping the workers" }
}

/// The end of a run whose batch job ends.
pub(crate) fn time_is_up(sweep: &SweepView, again: &str) -> String {
    format!("time is up, {} of {} trials done; {again}", sweep.ended(), sweep.trials)
}

/// Another sweep ran on this coordinator and is unfinished at its end.
pub(crate) fn left_unfinished(sweep: &SweepView) -> String {
    format!(
        "{} was running too, with {} of its {} trials done; continue it with:\n  biosweep run {}",
        sweep.name,
        sweep.ended(),
        sweep.trials,
        sweep.id
    )
}

/// The end of a run: the results and the paths of the files.
pub(crate) fn outcome(sweep: &SweepView, cells: &[Cell], verdicts: &[&Contrast], folder: &ResultsFolder) -> String {
    let so_far = so_far(sweep);
    let mut text = format!("\n{}\n", table::accuracies(cells, Divergence::Guess, so_far.as_deref(), stdout_width()));
    if sweep.state == SweepState::Cancelled || sweep.completed < sweep.trials {
        let _fits = writeln!(text, "\n{}", tally(sweep));
    }
    if !verdicts.is_empty() {
        let sentences: Vec<String> = verdicts.iter().copied().map(sentence).collect();
        let _fits = writeln!(text, "\n{}", prose(&sentences.join("\n")));
    }
    let _fits = write!(text, "\nresults  {}\ncurves   {}", folder.results.display(), folder.curves.display());
    for figure in &folder.figures {
        let _fits = write!(text, "\nfigure   {}", figure.display());
    }
    let _fits = write!(text, "\nreport   {}", folder.report.display());
    text
}

/// The result of a chaos run.
pub(crate) fn verdict(verdict: &ChaosVerdict) -> String {
    let ChaosVerdict { faults, workers_killed, coordinators_killed, coordinators_stopped, sweeps, .. } = verdict;
    let stopped = match coordinators_stopped {
        0 => String::new(),
        &count => format!(", {} stopped", counted(count.into(), "coordinator", "coordinators")),
    };
    let mut text = format!(
        "{} ({} and {} killed{stopped}) in {:.0} s and {} of {}: ",
        counted((*faults).into(), "fault", "faults"),
        counted((*workers_killed).into(), "worker", "workers"),
        counted((*coordinators_killed).into(), "coordinator", "coordinators"),
        verdict.chaos_seconds,
        counted((*sweeps).into(), "sweep", "sweeps"),
        trials(verdict.trials),
    );
    if verdict.equal {
        text.push_str("all results are equal to those of the run without faults, to the last bit");
    } else {
        text.push_str("results differ from those of the run without faults\n");
        text.push_str(&verdict.differences.join("\n"));
    }
    text
}

/// Printed before a trial is trained again.
pub(crate) fn replaying(trained: &TrainedView) -> String {
    let names = TrialNames::of(None);
    let last = trained.curve.points.last().map_or(0, |point| point.update);
    format!("training {} again: {}, {last} updates", trained.trial, names.name(&trained.curve.point))
}

/// Whether the new curve of a trial is equal.
pub(crate) fn replayed(verdict: &replay::ReplayVerdict) -> String {
    let replay::ReplayVerdict { trial, evaluations, difference, environment, .. } = verdict;
    let Some(replay::Difference { update, what, stored, replayed }) = difference else {
        return format!("same: all {evaluations} evaluations of {trial} are equal to the last bit");
    };
    let value = |value: &Option<f64>| value.map_or_else(|| "none".to_owned(), |value| format!("{value:?}"));
    format!(
        "different: the first update of {trial} that differs is {update}: {what} was {} and is now {}\n\
         now trained with: {environment}\n{}",
        value(stored),
        value(replayed),
        verdict.explanation()
    )
}
