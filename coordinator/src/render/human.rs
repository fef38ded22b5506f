//! Answers for people, and the sentences of the conversation.

use std::fmt::Write as _;
use std::path::Path;

use biosweep_common::capability::Capabilities;
use biosweep_common::clock::Clock;
use biosweep_common::configuration::{Point, trajectory_point};
use biosweep_common::ids::SweepId;
use biosweep_common::outcome::SweepState;
use biosweep_common::plan::{BlockPlan, Plan};
use biosweep_common::presets::Preset;
use biosweep_common::settings::{Level, Setting, Value};
use biosweep_common::spec::{SweepSpec, Terms};
use biosweep_common::views::{ResultView, Setback, SweepStatus, SweepView, TrainedView, WorkerView};

use super::progress::Rate;
use super::{stdout_width, table};
use crate::chaos::Verdict;
use crate::replay;
use crate::results::aggregate;
use crate::results::folder::ResultsFolder;

/// Names trials by what tells them apart in their sweep.
#[derive(Debug, Default)]
pub(crate) struct TrialNames {
    axes: Vec<Setting>,
}

impl TrialNames {
    /// Names by the axes of this sweep; by rule, network and depth where they are not known.
    pub(crate) fn of(spec: Option<&SweepSpec>) -> Self {
        let mut axes = vec![Setting::Rule, Setting::Network, Setting::Activation, Setting::Depth];
        let varying = spec.map(|spec| spec.grid.axes()).unwrap_or_default();
        axes.extend(varying.into_iter().filter(|axis| axis.level() != Level::Stop && !LEADING.contains(axis)));
        Self { axes }
    }

    /// A name such as `fa dn relu 10 · learning_rate 0.001 · seed 3`.
    pub(crate) fn name(&self, point: &Point) -> String {
        let mut parts: Vec<String> = Vec::new();
        let leading: Vec<String> =
            LEADING.iter().filter_map(|setting| point.get(setting)).map(ToString::to_string).collect();
        parts.push(leading.join(" "));
        let rest = self.axes.iter().filter(|axis| !LEADING.contains(axis));
        parts.extend(rest.filter_map(|axis| Some(format!("{axis} {}", short(point.get(axis)?)))));
        parts.join(" · ")
    }
}

const LEADING: [Setting; 4] = [Setting::Rule, Setting::Network, Setting::Activation, Setting::Depth];

fn short(value: &Value) -> String {
    match value {
        Value::Real(number) => format!("{number}"),
        other => other.to_string(),
    }
}

pub(crate) fn no_sweeps_in(home: &Path) -> String {
    format!("no sweeps in {} yet; `biosweep run quickstart` makes one", home.display())
}

pub(crate) fn sweeps(sweeps: &[SweepView]) -> String {
    if sweeps.is_empty() {
        return "no sweeps yet; `biosweep run quickstart` makes one".to_owned();
    }
    table::sweeps(sweeps, Clock::start().wall())
}

pub(crate) fn status(status: &SweepStatus) -> String {
    let sweep = &status.sweep;
    let spec = sweep.spec();
    let names = TrialNames::of(spec.as_ref());
    let mut text = format!("{} ({})\n{}\n", sweep.name, sweep.id, tally(sweep));
    if sweep.state == SweepState::Finished && sweep.failed > 0 {
        let _fits = writeln!(text, "{}", retry_hint(sweep.id));
    }
    if let Some(trouble) = &status.trouble {
        let _fits = writeln!(text, "\n{trouble}");
    }
    if !status.workers.is_empty() {
        text.push_str("\nworkers\n");
        for worker in &status.workers {
            let _fits = writeln!(text, "  {}", worker_line(worker, &names, NOTHING_OF_IT));
        }
    }
    if !status.setbacks.is_empty() {
        text.push_str("\nattempts that did not complete, latest first\n");
        for one in &status.setbacks {
            let trajectory = spec.as_ref().and_then(|spec| spec.grid.trajectory(one.trajectory));
            let name = trajectory.map_or_else(
                || format!("trajectory {}", one.trajectory),
                |trajectory| names.name(&trajectory_point(&trajectory.shape, trajectory.hyperparameters)),
            );
            let _fits = writeln!(text, "  {}", setback(&name, one));
        }
    }
    text
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
    if let Some(why) = why_paused(sweep).or_else(|| why_waiting(sweep)) {
        let _fits = write!(text, "\n{why}");
    }
    text
}

pub(crate) fn submitted(sweep: &SweepView, found: bool) -> String {
    let what = if found { "is there already" } else { "is submitted" };
    format!("{} {what} as {}\n{}", sweep.name, sweep.id, tally(sweep))
}

/// A sweep that was there already is carried out as it was first submitted.
pub(crate) fn keeps_its_terms(kept: &Terms) -> String {
    format!(
        "it stays as it was submitted: priority {}, weight {}, retries {}, a checkpoint every {} s, requires {}; submit it with \
         --fresh for another one",
        kept.priority, kept.weight, kept.retries_max, kept.checkpoint_every_s, kept.require
    )
}

pub(crate) fn cancelled(sweep: &SweepView) -> String {
    format!("{} ({}) is cancelled; what was done stays\n{}", sweep.name, sweep.id, tally(sweep))
}

pub(crate) fn paused(sweep: &SweepView) -> String {
    format!("{} ({}) is paused\n{}", sweep.name, sweep.id, tally(sweep))
}

/// It goes on; where its failures had paused it, with what follows from that.
pub(crate) fn resumed(sweep: &SweepView, paused_for: Option<&str>) -> String {
    let mut text = format!("{} ({}) goes on\n{}", sweep.name, sweep.id, tally(sweep));
    if let Some(reason) = paused_for {
        let _fits = write!(text, "\nmore failures of this kind do not pause it again: {reason}");
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

pub(crate) fn retried(sweep: &SweepView, trials: u64) -> String {
    let plural = if trials == 1 { "" } else { "s" };
    format!("{trials} trial{plural} of {} ({}) tried again\n{}", sweep.name, sweep.id, tally(sweep))
}

pub(crate) fn extended(sweep: &SweepView, added: u64) -> String {
    let what = match added {
        0 => "has all of that already".to_owned(),
        1 => "has 1 trial more".to_owned(),
        added => format!("has {added} trials more"),
    };
    format!("{} ({}) {what}\n{}", sweep.name, sweep.id, tally(sweep))
}

/// Why nothing of a sweep is granted, and what to do about it, where it is paused.
pub(crate) fn why_paused(sweep: &SweepView) -> Option<String> {
    let why = sweep.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let paused = sweep.state == SweepState::Paused;
    paused.then(|| format!("paused{why}; `biosweep resume {}` goes on", sweep.id))
}

/// What a running sweep waits for, where nobody can take what it has to grant.
pub(crate) fn why_waiting(sweep: &SweepView) -> Option<String> {
    sweep.reason.clone().filter(|_| sweep.state == SweepState::Running)
}

/// The end of a run that stands still until its owner has looked.
pub(crate) fn stands_still(sweep: &SweepView, command: &str) -> String {
    let why = sweep.reason.as_deref().unwrap_or("somebody paused it");
    format!(
        "paused with {} of {} trials done: {why}\nonce that is mended, the same command goes on:\n  {command}",
        sweep.ended(),
        sweep.trials
    )
}

pub(crate) fn workers(workers: &[WorkerView]) -> String {
    if workers.is_empty() {
        return "no workers; `biosweep-worker --coordinator URL` starts one".to_owned();
    }
    let names = TrialNames::of(None);
    let line = |worker: &WorkerView| {
        let sweep = worker.training.first().map(|lane| format!("  of {}", lane.sweep)).unwrap_or_default();
        format!("{}  {}{sweep}  [{}]\n", worker.id, worker_line(worker, &names, "idle"), capability(worker))
    };
    workers.iter().map(line).collect()
}

/// What sweeps can require of a worker, and how much it takes at once.
fn capability(worker: &WorkerView) -> String {
    let Capabilities { device, memory_bytes, labels } = &worker.capabilities;
    if device.is_empty() {
        return "not heard of since the coordinator started".to_owned();
    }
    let lanes = if worker.lanes == 1 { "1 lane".to_owned() } else { format!("{} lanes", worker.lanes) };
    let memory = (*memory_bytes > 0).then(|| format!("{:.1} GB", *memory_bytes as f64 / 1e9));
    let device = [device.clone(), lanes].into_iter();
    device.chain(memory).chain(labels.iter().cloned()).collect::<Vec<_>>().join(", ")
}

pub(crate) fn released(worker: &WorkerView) -> String {
    format!("{} ({}) may work again", worker.name, worker.id)
}

pub(crate) fn ended(sweep: &SweepView) -> String {
    let id = sweep.id;
    let mut text = format!("{} ({id})\n{}\n`biosweep results {id}` exports its results", sweep.name, tally(sweep));
    if sweep.failed > 0 {
        let _fits = write!(text, "\n{}", retry_hint(id));
    }
    text
}

pub(crate) fn starting(sweep: &SweepView, found: bool) -> String {
    if found && sweep.ended() > 0 {
        return format!(
            "{}: going on with {}, {} of {} trials done",
            sweep.name,
            sweep.id,
            sweep.ended(),
            sweep.trials
        );
    }
    let plural = if sweep.trials == 1 { "" } else { "s" };
    let mut text = format!("{}: {} trial{plural} as {}", sweep.name, sweep.trials, sweep.id);
    if sweep.reused > 0 {
        let _fits = write!(text, ", {} of them taken over from results there were", sweep.reused);
    }
    text
}

pub(crate) fn done_before(sweep: &SweepView) -> String {
    if sweep.state == SweepState::Cancelled {
        return format!(
            "{} was cancelled, as {}; these are its results so far (its spec with --fresh runs it anew)",
            sweep.name, sweep.id
        );
    }
    format!("{} was done before, as {}; these are its results (--fresh --no-reuse runs it anew)", sweep.name, sweep.id)
}

pub(crate) fn interrupted(how: &str, sweep: &SweepView, command: &str) -> String {
    format!(
        "{how}: {} of {} trials are done and kept; the same command goes on from there:\n  {command}",
        sweep.ended(),
        sweep.trials
    )
}

/// A sweep that was worked on beside the one that was run, whose coordinator ends.
pub(crate) fn left_unfinished(sweep: &SweepView) -> String {
    format!(
        "{} was worked on too, and {} of its {} trials are done; another command goes on with it:\n  biosweep run {}",
        sweep.name,
        sweep.ended(),
        sweep.trials,
        sweep.id
    )
}

/// The end of a run: what it found, and where the files lie.
pub(crate) fn outcome(sweep: &SweepView, results: &[ResultView], folder: &ResultsFolder) -> String {
    let mut text = format!("\n{}\n", table::accuracies(&aggregate::cells(results), stdout_width()));
    if sweep.state == SweepState::Cancelled || sweep.completed < sweep.trials {
        let _fits = writeln!(text, "\n{}", tally(sweep));
    }
    let _fits = write!(text, "\nresults  {}\ncurves   {}", folder.results.display(), folder.curves.display());
    for figure in &folder.figures {
        let _fits = write!(text, "\nfigure   {}", figure.display());
    }
    text
}

/// What came of killing processes.
pub(crate) fn verdict(verdict: &Verdict) -> String {
    let Verdict { faults, workers_killed, coordinators_killed, sweeps, trials, .. } = verdict;
    let plural = |count: u32, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let mut text = format!(
        "{} ({} and {} killed) in {:.0} s and {} of {trials} trials: ",
        plural(*faults, "fault"),
        plural(*workers_killed, "worker"),
        plural(*coordinators_killed, "coordinator"),
        verdict.chaos_seconds,
        plural(*sweeps, "sweep"),
    );
    if verdict.equal {
        text.push_str("every result is that of the undisturbed run, to the last bit");
    } else {
        text.push_str("results differ from those of the undisturbed run\n");
        text.push_str(&verdict.differences.join("\n"));
    }
    text
}

/// Before a trial is trained again.
pub(crate) fn replaying(trained: &TrainedView) -> String {
    let names = TrialNames::of(None);
    let last = trained.curve.points.last().map_or(0, |point| point.update);
    format!("training {} again: {}, {last} updates", trained.trial, names.name(&trained.curve.point))
}

/// Whether a trial that was trained again has the same curve.
pub(crate) fn replayed(verdict: &replay::Verdict) -> String {
    let replay::Verdict { trial, evaluations, difference, .. } = verdict;
    let Some(replay::Difference { update, what, stored, replayed }) = difference else {
        return format!("same: all {evaluations} evaluations of {trial} are equal to the last bit");
    };
    let value = |value: &Option<f64>| value.map_or_else(|| "none".to_owned(), |value| format!("{value:?}"));
    format!(
        "different: the first update of {trial} that differs is {update}: {what} was {}, and is {} this time",
        value(stored),
        value(replayed)
    )
}

/// Of a worker that trains nothing of the sweep that is shown.
pub(crate) const NOTHING_OF_IT: &str = "trains nothing of this sweep";

/// One worker: what it trains, how far it is, and what it last found; or these words where it trains nothing.
pub(crate) fn worker_line(worker: &WorkerView, names: &TrialNames, nothing: &str) -> String {
    let mut text = format!("{:<10}", worker.name);
    if !worker.connected {
        text.push_str(" (out of reach)");
    }
    if let Some(reason) = &worker.quarantined {
        let _fits = write!(text, " in quarantine: {reason}");
        return text;
    }
    let Some(lane) = worker.training.first() else {
        let _fits = write!(text, " {nothing}");
        return text;
    };
    let percent = 100 * lane.updates / lane.max_updates.max(1);
    let _fits = write!(text, " {}  {percent:>3} %", names.name(&lane.point));
    if let Some(latest) = lane.latest {
        let _fits = write!(text, "  validation {}", percentage(latest.validation_accuracy));
    }
    if worker.training.len() > 1 {
        let _fits = write!(text, "  and {} more", worker.training.len() - 1);
    }
    text
}

/// What went wrong with an attempt.
pub(crate) fn setback(name: &str, setback: &Setback) -> String {
    // What follows the first line, such as frames of a stack, is for `--output json`.
    let cause = setback.cause.as_deref().and_then(|cause| cause.lines().next());
    let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("{} on {}: {name}{cause}", setback.outcome.name(), setback.worker_name)
}

/// A line of counts and speed.
pub(crate) fn counts(sweep: &SweepView, rate: &Rate) -> String {
    let mut text = format!("{}/{} trials", sweep.ended(), sweep.trials);
    for (count, what) in [(sweep.running, "in training"), (sweep.diverged, "diverged"), (sweep.failed, "failed")] {
        if count > 0 {
            let _fits = write!(text, ", {count} {what}");
        }
    }
    let speed = self::rate(rate);
    if !speed.is_empty() {
        let _fits = write!(text, ", {speed}");
    }
    text
}

/// Speed and time left.
pub(crate) fn rate(rate: &Rate) -> String {
    let Rate { trials_per_minute: Some(per_minute), left_s: Some(left_s) } = rate else { return String::new() };
    let speed = if *per_minute < 1.0 { format!("{:.1}/h", per_minute * 60.0) } else { format!("{per_minute:.1}/min") };
    format!("{speed}, {} left", duration(*left_s))
}

/// Seconds beyond which nobody needs to know how many.
const TOLD_MAX_S: u64 = 1_000 * 365 * 86_400;

/// Seconds in the two largest units that matter.
pub(crate) fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        TOLD_MAX_S.. => "1000 years or more".to_owned(),
        0..60 => format!("{whole} s"),
        60..3_600 => format!("{} min {} s", whole / 60, whole % 60),
        3_600..86_400 => format!("{} h {} min", whole / 3_600, whole % 3_600 / 60),
        _ => format!("{} d {} h", whole / 86_400, whole % 86_400 / 3_600),
    }
}

/// A fraction in percent.
pub(crate) fn percentage(fraction: f64) -> String {
    format!("{:.1} %", 100.0 * fraction)
}

pub(crate) fn presets(presets: &[Preset]) -> String {
    let width = presets.iter().map(|preset| preset.name.len()).max().unwrap_or(0);
    let line = |preset: &Preset| format!("{:<width$}  {}\n", preset.name, preset.summary);
    presets.iter().map(line).collect()
}

fn stops_early(block: &BlockPlan) -> bool {
    let named =
        block.axes.iter().flat_map(|axis| &axis.settings).chain(block.constants.iter().map(|(setting, _)| setting));
    named.into_iter().any(|&setting| setting == Setting::EarlyStopStart)
}

/// What a sweep holds and costs.
pub(crate) fn plan(name: &str, plan: &Plan, reused: u64) -> String {
    let Plan { trials, trajectories, bundles, .. } = plan;
    let mut text = format!("{name}: {trials} trials = {trajectories} trajectories in {bundles} bundles\n");
    for (index, block) in plan.blocks.iter().enumerate() {
        let BlockPlan { trials, trajectories, bundles, .. } = block;
        let _fits =
            writeln!(text, "\nblock {index}: {trials} trials = {trajectories} trajectories in {bundles} bundles");
        for axis in &block.axes {
            let names: Vec<&str> = axis.settings.iter().map(|setting| setting.name()).collect();
            let _fits = writeln!(text, "  {:<20} {:>8} ×  {}", names.join("/"), axis.count, axis.values);
        }
        for (setting, value) in &block.constants {
            let _fits = writeln!(text, "  {:<20} {:>8}    {value}", setting.name(), "");
        }
    }
    let _fits =
        write!(text, "\nat most {} updates, about {} on one core", plan.updates_max, duration(plan.core_seconds));
    if plan.blocks.iter().any(stops_early) {
        text.push_str("; early stopping makes it less");
    }
    if plan.saving > 0.0 {
        let _fits = write!(
            text,
            "\ntrials that differ only in when to stop are trained once: {:.0} % less work than the {} updates of each by itself",
            100.0 * plan.saving,
            plan.updates_unshared,
        );
    }
    if reused > 0 {
        let _fits = write!(
            text,
            "\n{reused} of the trials would be taken over from results there are (--no-reuse trains them)"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_reads_in_two_units() {
        assert_eq!(duration(59.4), "59 s");
        assert_eq!(duration(61.0), "1 min 1 s");
        assert_eq!(duration(7_260.0), "2 h 1 min");
        assert_eq!(duration(200_000.0), "2 d 7 h");
        assert_eq!(duration(f64::INFINITY), "1000 years or more");
    }
}
