//! Answers for people, and messages on stderr.
//!
//! | module | contents |
//! |---|---|
//! | this module | sweeps, and the effects of commands |
//! | `archive` | archives that were written and read |
//! | `plan` | the size and cost of a sweep before it runs |
//! | `run` | messages during a run on this machine, and its results |
//! | `standing` | the status of a sweep while it is followed |
//! | `workers` | the workers and what they train |
//! | `slurm` | workers on a Slurm cluster |
//! | `attempts` | attempts without a result, by cause |
//! | `amounts` | counts, rates and percentages |

mod amounts;
mod archive;
mod attempts;
mod plan;
mod run;
mod slurm;
mod standing;
mod workers;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use biosweep_common::results::names::TrialNames;
use biosweep_common::results::outcome::{SweepState, UNREADABLE_SPEC};
use biosweep_common::results::views::{SpecView, SweepStatus, SweepView};
use biosweep_common::spec::{AnalysisPlan, EQUIVALENCE_MARGIN, ExecutionOptions, Reuse, SweepSpec};
use biosweep_common::vocabulary::ids::SweepId;
use biosweep_host::clock::Clock;

pub(crate) use self::amounts::counted;
pub(crate) use self::amounts::{percentage, rate, so_far};
pub(crate) use self::archive::{archived, imported};
pub(crate) use self::attempts::incomplete_attempt;
use self::attempts::{headline, incomplete_attempts};
pub(crate) use self::plan::{plan, presets};
pub(crate) use self::run::{
    done_before, interrupted, left_unfinished, outcome, replayed, replaying, stands_still, starting, stopped_early,
    stopping, time_is_up, unwatched, verdict,
};
pub(crate) use self::slurm::{
    nothing_for_workers, only_on_this_machine, paused_for_workers, program_is_not_here, several_arrays,
    workers_submitted,
};
pub(crate) use self::standing::standing;
pub(crate) use self::workers::{NOTHING_OF_IT, released, worker_line, workers};
use super::rate::Rate;
use super::table;
use crate::export::mlflow::Summary;
use crate::terminal::stdout_width;

pub(crate) fn no_sweeps_in(home: &Path) -> String {
    format!("no sweeps in {} yet; start one with `biosweep run quickstart`", home.display())
}

pub(crate) fn no_home(home: &Path) -> String {
    format!("there is no folder {}; check --home", home.display())
}

pub(crate) fn sweeps(sweeps: &[SweepView]) -> String {
    if sweeps.is_empty() {
        return "no sweeps yet; start one with `biosweep run quickstart`".to_owned();
    }
    let mut text = table::sweeps(sweeps, Clock::start().wall(), stdout_width());
    for sweep in sweeps {
        if let Some(why) = why_no_progress(sweep) {
            let _fits = write!(text, "\n\n{} ({}): {why}", sweep.name, sweep.id);
        }
    }
    text
}

pub(crate) fn status(status: &SweepStatus, spec: Option<&SweepSpec>) -> String {
    let sweep = &status.sweep;
    let names = TrialNames::of(spec);
    let mut text = format!("{} ({})\n{}\n", sweep.name, sweep.id, tally(sweep));
    if let Some(options) = spec.and_then(changed_options) {
        let _fits = writeln!(text, "{options}");
    }
    if sweep.state == SweepState::Finished && sweep.failed > 0 {
        let _fits = writeln!(text, "{}", retry_hint(sweep.id));
    }
    if let Some(degraded) = &status.degraded {
        let _fits = writeln!(text, "\n{degraded}");
    }
    if let Some(note) = &sweep.note {
        let lines: String = note.lines().map(|line| format!("  {line}").trim_end().to_owned() + "\n").collect();
        let _fits = write!(text, "\nnote\n{lines}");
    }
    if !status.workers.is_empty() {
        text.push_str("\nworkers\n");
        for worker in &status.workers {
            let _fits = writeln!(text, "  {}", worker_line(worker, &names, NOTHING_OF_IT));
        }
    }
    if !status.incomplete_attempts.is_empty() {
        text.push_str("\nincomplete attempts, latest first\n");
        text.push_str(&incomplete_attempts(status, spec, &names));
    }
    text
}

/// The execution options and the analysis plan of a sweep, where they are not the defaults.
fn changed_options(spec: &SweepSpec) -> Option<String> {
    let AnalysisPlan { equivalence_margin, contrasts } = &spec.analysis;
    let ExecutionOptions { retries_max, checkpoint_every_s, share, reuse, priority, weight, require } = &spec.execution;
    let usual = ExecutionOptions::default();
    let told = [
        (*priority != usual.priority).then(|| format!("priority {priority}")),
        (*weight != usual.weight).then(|| format!("weight {weight}")),
        (*retries_max != usual.retries_max).then(|| format!("retries {retries_max}")),
        (*checkpoint_every_s != usual.checkpoint_every_s).then(|| format!("a checkpoint every {checkpoint_every_s} s")),
        (!share).then(|| "sharing off".to_owned()),
        match reuse {
            Reuse::Always => None,
            Reuse::SameCpuClass => Some("reuse of results of the same CPU class".to_owned()),
            Reuse::Never => Some("reuse off".to_owned()),
        },
        (!require.is_none()).then(|| format!("requires {require}")),
        (*equivalence_margin != EQUIVALENCE_MARGIN).then(|| format!("equivalent within {equivalence_margin}")),
        (!contrasts.is_empty()).then(|| counted(contrasts.len() as u64, "planned contrast", "planned contrasts")),
    ];
    let told: Vec<String> = told.into_iter().flatten().collect();
    (!told.is_empty()).then(|| told.join(" · "))
}

/// The spec with every default, and each extension below a line that numbers it.
pub(crate) fn resolved(text: &SpecView) -> String {
    let extensions = text.extensions.iter().zip(1..);
    let extensions = extensions.map(|(extension, number)| format!("\n# Extension {number}\n{}", extension.resolved));
    std::iter::once(text.text.resolved.clone()).chain(extensions).collect::<String>().trim_end().to_owned()
}

fn retry_hint(sweep: SweepId) -> String {
    format!("retry the failed trials with `biosweep retry {sweep} --failed`")
}

/// One line with the counts of a sweep.
fn tally(sweep: &SweepView) -> String {
    let mut text = format!("{} · {} of {} trials completed", sweep.state.name(), sweep.completed, sweep.trials);
    for (count, what) in [(sweep.diverged, "diverged"), (sweep.failed, "failed"), (sweep.running, "in training")] {
        if count > 0 {
            let _fits = write!(text, ", {count} {what}");
        }
    }
    if sweep.reused > 0 {
        let _fits = write!(text, " ({} reused)", sweep.reused);
    }
    if let Some(why) = why_no_progress(sweep) {
        let _fits = write!(text, "\n{why}");
    }
    text
}

pub(crate) fn submitted(sweep: &SweepView, found: bool) -> String {
    let what = if found { "already exists" } else { "is submitted" };
    format!("{} {what} as {}\n{}", sweep.name, sweep.id, tally(sweep))
}

/// A found sweep keeps its execution options and its analysis plan.
pub(crate) fn keeps_its_options(kept: &SweepSpec) -> String {
    let ExecutionOptions { priority, weight, retries_max, checkpoint_every_s, require, .. } = &kept.execution;
    let AnalysisPlan { equivalence_margin, contrasts } = &kept.analysis;
    format!(
        "it keeps its options: priority {priority}, weight {weight}, retries {retries_max}, a checkpoint every \
         {checkpoint_every_s} s, requires {require}, equivalent within {equivalence_margin}, {}; submit it with --fresh for a \
         new sweep",
        counted(contrasts.len() as u64, "planned contrast", "planned contrasts")
    )
}

/// A run continues a sweep that was paused.
pub(crate) fn continued(name: &str, paused_for: &str) -> String {
    format!("{name} is resumed; it was paused: {paused_for}")
}

pub(crate) fn cancelled(sweep: &SweepView) -> String {
    format!("{} ({}) is cancelled; its results are kept\n{}", sweep.name, sweep.id, tally(sweep))
}

pub(crate) fn paused(sweep: &SweepView) -> String {
    format!("{} ({}) is paused\n{}", sweep.name, sweep.id, tally(sweep))
}

/// The sweep is resumed. If its pause had a reason, the text says that it will not pause for that again.
pub(crate) fn resumed(sweep: &SweepView, paused_for: Option<&str>) -> String {
    let mut text = format!("{} ({}) is resumed\n{}", sweep.name, sweep.id, tally(sweep));
    if let Some(reason) = paused_for {
        let _fits = write!(text, "\nit does not pause again for this reason: {reason}");
    }
    text
}

/// An unfinished sweep in a home without a coordinator.
pub(crate) fn unserved(sweep: &SweepView, home: &Path) -> String {
    let home = home.display();
    format!(
        "no coordinator serves this home, so the sweep does not run; continue it here with `biosweep run {} --home {home}`, \
         or on other workers with `biosweep serve --home {home}`",
        sweep.id
    )
}

/// Unfinished sweeps in a home without a coordinator.
pub(crate) fn none_served(home: &Path) -> String {
    let home = home.display();
    format!(
        "no coordinator serves this home, so none of its sweeps runs; continue all with `biosweep serve --home {home}` and workers, \
         or one of them here with `biosweep run SWEEP --home {home}`"
    )
}

/// Why the answer comes from the store: the coordinator at `silent` holds the home and does not answer, or there is
/// none.
pub(crate) fn not_served(silent: Option<&str>, none: impl FnOnce() -> String) -> String {
    let told = |url| format!("the coordinator of this home, at {url}, does not answer; this is what its store holds");
    silent.map_or_else(none, told)
}

/// The coordinator is lost while a sweep is followed.
pub(crate) fn out_of_reach(why: &str) -> String {
    format!("the coordinator is out of reach ({why}); watching continues when it is available")
}

pub(crate) fn retried(sweep: &SweepView, trials: u64) -> String {
    format!("{} of {} ({}) will be retried\n{}", amounts::trials(trials), sweep.name, sweep.id, tally(sweep))
}

pub(crate) fn noted(sweep: &SweepView) -> String {
    let what = if sweep.note.is_some() { "has this note now" } else { "has no note now" };
    let note = sweep.note.as_deref().map(|note| format!(":\n{note}")).unwrap_or_default();
    format!("{} ({}) {what}{note}", sweep.name, sweep.id)
}

/// The sweep has no note to print.
pub(crate) fn without_note(sweep: &SweepView) -> String {
    let SweepView { name, id, .. } = sweep;
    format!("{name} ({id}) has no note; write one with `biosweep note {id} TEXT`")
}

/// The question before a sweep is deleted.
pub(crate) fn may_delete(sweep: &SweepView, reused: u64) -> String {
    let SweepView { name, id, completed, trials, .. } = sweep;
    format!(
        "delete {name} ({id}), {completed} of {trials} trials completed, with its results, files and checkpoints? It cannot be \
         restored.{}",
        kept_reuses(reused)
    )
}

pub(crate) fn deleted(sweep: &SweepView, reused: u64, removed: &[PathBuf]) -> String {
    let mut text = format!("{} ({}) is deleted.{}", sweep.name, sweep.id, kept_reuses(reused));
    for folder in removed {
        let _fits = write!(text, "\nremoved  {}", folder.display());
    }
    text
}

/// The file of an export and its number of rows.
pub(crate) fn exported(path: &Path, rows: u64) -> String {
    format!("{} has {}.", path.display(), amounts::counted(rows, "row", "rows"))
}

/// The file of a report.
pub(crate) fn reported(path: &Path) -> String {
    format!("report  {}", path.display())
}

/// The folder of an export to TensorBoard and its number of files.
pub(crate) fn exported_runs(path: &Path, files: u64) -> String {
    let (path, files) = (path.display(), amounts::counted(files, "event file", "event files"));
    format!("{path} has {files}; show them with `tensorboard --logdir {path}`.")
}

/// What an export to an MLflow server has done.
pub(crate) fn exported_to_server(summary: &Summary) -> String {
    let Summary { url, experiment, created, continued, unchanged, .. } = summary;
    let runs = amounts::counted(created + continued + unchanged, "run", "runs");
    let parts = [(created, "new"), (continued, "continued"), (unchanged, "unchanged")];
    let parts: Vec<String> =
        parts.iter().filter(|(count, _)| **count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    let parts = if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) };
    format!("Experiment `{experiment}` on {url} has {runs} of this sweep{parts}.")
}

/// The folder of manual pages and their number.
pub(crate) fn manual(folder: &Path, pages: u64) -> String {
    format!("{} has {}.", folder.display(), amounts::counted(pages, "manual page", "manual pages"))
}

/// The results that are kept after a sweep was deleted.
fn kept_reuses(reused: u64) -> String {
    match reused {
        0 => String::new(),
        1 => " 1 trial of another sweep was reused from it and is kept.".to_owned(),
        _ => format!(" {reused} trials of other sweeps were reused from it and are kept."),
    }
}

pub(crate) fn extended(sweep: &SweepView, added: u64) -> String {
    let what = match added {
        0 => "has all of these trials already".to_owned(),
        added => format!("has {} more", amounts::trials(added)),
    };
    format!("{} ({}) {what}\n{}", sweep.name, sweep.id, tally(sweep))
}

/// For a paused sweep, the reason and the next step.
pub(crate) fn why_paused(sweep: &SweepView) -> Option<String> {
    let why = sweep.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let id = sweep.id;
    let next_step = if sweep.reason.as_deref().is_some_and(|reason| reason.starts_with(UNREADABLE_SPEC)) {
        format!("resume it with the version that stored it, or cancel it with `biosweep cancel {id}`")
    } else {
        format!("resume it with `biosweep resume {id}`")
    };
    (sweep.state == SweepState::Paused).then(|| format!("paused{why}; {next_step}"))
}

/// Why a sweep makes no progress; `None` if it does.
fn why_no_progress(sweep: &SweepView) -> Option<String> {
    why_paused(sweep).or_else(|| why_waiting(sweep))
}

/// What a running sweep waits for, if no worker can take its trials.
pub(crate) fn why_waiting(sweep: &SweepView) -> Option<String> {
    sweep.reason.clone().filter(|_| sweep.state == SweepState::Running)
}

pub(crate) fn ended(sweep: &SweepView) -> String {
    let id = sweep.id;
    let mut text = format!("{} ({id})\n{}\nexport its results with `biosweep results {id}`", sweep.name, tally(sweep));
    if sweep.failed > 0 {
        let _fits = write!(text, "\n{}", retry_hint(id));
    }
    text
}

/// One line with counts and speed.
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
