//! The top of every page of a sweep: its state, its progress, its workers and its commands.

use biosweep_analysis::report::words::{counted, cut, date, duration, number, percent};
use biosweep_common::results::names::TrialNames;
use biosweep_common::results::note::NOTE_CHARACTERS_MAX;
use biosweep_common::results::outcome::SweepState;
use biosweep_common::results::views::{IncompleteCause, LaneView, SweepView, WorkerView};
use biosweep_common::spec::SweepSpec;
use biosweep_common::vocabulary::ids::{SweepId, TrajectoryIndex};

use crate::page::Page;
use crate::page::error::PageError;
use crate::queries;

/// Maximum number of workers that a page lists, and of trajectories of each.
const WORKERS_MAX: usize = 40;
const LANES_MAX: usize = 4;
/// Maximum number of causes that a page lists, and of characters of each.
const CAUSES_MAX: usize = 12;
const CAUSE_CHARACTERS: usize = 240;

/// The progress of a sweep as numbers and as a bar.
pub(super) struct Progress {
    /// What it says without the picture.
    pub(super) label: String,
    /// The parts of the bar: class, start and width in percent.
    pub(super) parts: Vec<(&'static str, String, String)>,
}

/// The top of a page.
pub(super) struct Head {
    pub(super) id: SweepId,
    pub(super) name: String,
    pub(super) state: &'static str,
    pub(super) has_ended: bool,
    pub(super) reason: Option<String>,
    pub(super) submitted: String,
    pub(super) progress: Progress,
    /// Class, number and word of each count.
    pub(super) counts: Vec<(&'static str, String, &'static str)>,
    pub(super) left: Option<String>,
    pub(super) degraded: Option<String>,
    pub(super) workers: Workers,
    /// The trajectories in training.
    pub(super) running: Vec<TrajectoryIndex>,
    pub(super) causes: Vec<Cause>,
    /// Number of causes that are not listed.
    pub(super) more_causes: usize,
    pub(super) note: Option<String>,
    /// Maximum number of characters of a note.
    pub(super) note_max: usize,
    /// When it ended, and after how long.
    pub(super) ended: Option<String>,
    pub(super) commands: Vec<Command>,
    /// The pages of the sweep: address, name, and whether it is this one.
    pub(super) tabs: Vec<(String, &'static str, bool)>,
}

/// Workers, those that train first.
pub(super) struct Workers {
    pub(super) rows: Vec<Worker>,
    /// How many are not shown, and why; empty if all are.
    pub(super) note: String,
}

/// A worker with what it trains.
pub(super) struct Worker {
    pub(super) name: String,
    pub(super) state: &'static str,
    pub(super) why: Option<String>,
    pub(super) lanes: String,
    /// Name, progress in percent and latest accuracy of each trajectory.
    pub(super) training: Vec<Training>,
    pub(super) more: usize,
}

/// A trajectory in training.
pub(super) struct Training {
    pub(super) name: String,
    pub(super) percent: String,
    pub(super) accuracy: Option<String>,
}

/// A cause of incomplete attempts.
pub(super) struct Cause {
    pub(super) outcome: &'static str,
    pub(super) cause: String,
    pub(super) attempts: String,
    pub(super) latest: String,
}

/// A command for a sweep, with the question before it.
pub(super) struct Command {
    pub(super) verb: &'static str,
    pub(super) label: &'static str,
    pub(super) question: String,
    pub(super) is_final: bool,
}

/// The pages of a sweep: end of the address, and name.
const TABS: [(&str, &str); 4] =
    [("", "Results"), ("/curves", "Learning curves"), ("/axes", "Axes"), ("/findings", "Findings")];

impl Head {
    /// The top of the page with the address `tab`.
    pub(super) async fn of(page: &Page, id: SweepId, spec: Option<&SweepSpec>, tab: &str) -> Result<Self, PageError> {
        let status = queries::status(&page.commands.handle, id).await?;
        let names = TrialNames::of(spec);
        let causes = queries::causes(&page.commands.handle, id).await?;
        let SweepView { name, state, reason, submitted_at, note, .. } = &status.sweep;
        let left = page.changes.left_s(id, status.sweep.trials).filter(|_| *state == SweepState::Running);
        let (training, idle): (Vec<_>, Vec<_>) = status.workers.iter().partition(|worker| worker.training_count > 0);
        let lanes = training.iter().flat_map(|worker| &worker.training);
        let running = lanes.map(|lane| lane.trajectory).collect();
        let has_ended = state.has_ended();
        let workers = if has_ended { Vec::new() } else { training };
        let mut workers = Workers::of(workers.into_iter(), &names);
        if !has_ended && workers.note.is_empty() && !idle.is_empty() {
            workers.note = format!("{} without a trial of this sweep.", counted(idle.len() as u64, "worker"));
        }
        Ok(Self {
            id,
            name: name.clone(),
            state: state.name(),
            has_ended,
            reason: reason.clone(),
            submitted: date(*submitted_at),
            progress: Progress::of(&status.sweep),
            counts: counts(&status.sweep),
            left: left.map(|left| format!("{} left", duration(left))),
            degraded: status.degraded,
            workers,
            running,
            causes: causes.iter().take(CAUSES_MAX).map(cause).collect(),
            more_causes: causes.len().saturating_sub(CAUSES_MAX),
            note: note.clone(),
            note_max: NOTE_CHARACTERS_MAX,
            ended: has_ended.then(|| ended(&status.sweep)),
            commands: commands(&status.sweep),
            tabs: TABS.iter().map(|&(end, name)| (format!("/sweeps/{id}{end}"), name, end == tab)).collect(),
        })
    }
}

impl Progress {
    pub(super) fn of(sweep: &SweepView) -> Self {
        let SweepView { trials, completed, diverged, failed, running, .. } = sweep;
        let mut from = 0.0;
        let parts = [("completed", completed), ("diverged", diverged), ("failed", failed), ("running", running)];
        let part = |(class, &count): (&'static str, &u64)| {
            let width = 100.0 * count as f64 / (*trials).max(1) as f64;
            let start = from;
            from += width;
            (count > 0).then(|| (class, format!("{start:.3}"), format!("{width:.3}")))
        };
        let label = format!("{} of {} ended", number(sweep.ended()), counted(*trials, "trial"));
        Self { label, parts: parts.into_iter().filter_map(part).collect() }
    }
}

fn counts(sweep: &SweepView) -> Vec<(&'static str, String, &'static str)> {
    let left = sweep.trials.saturating_sub(sweep.ended() + sweep.running);
    let all = [
        ("completed", sweep.completed, "completed"),
        ("diverged", sweep.diverged, "diverged"),
        ("failed", sweep.failed, "failed"),
        ("running", sweep.running, "in training"),
        ("waiting", left, if sweep.state == SweepState::Cancelled { "not run" } else { "waiting" }),
        ("reused", sweep.reused, "of them reused"),
    ];
    let shown = all.into_iter().filter(|&(class, count, _)| count > 0 || class == "completed");
    shown.map(|(class, count, word)| (class, number(count), word)).collect()
}

fn ended(sweep: &SweepView) -> String {
    let after_ms = sweep.state_at.0.saturating_sub(sweep.submitted_at.0);
    format!("{} {} after {}", sweep.state.name(), date(sweep.state_at), duration(after_ms as f64 / 1e3))
}

fn commands(sweep: &SweepView) -> Vec<Command> {
    let left = sweep.trials.saturating_sub(sweep.ended());
    let mut commands = Vec::new();
    let mut add = |verb, label, question: String, is_final| {
        commands.push(Command { verb, label, question, is_final });
    };
    match sweep.state {
        SweepState::Running => {
            let what = "Workers stop training it; checkpoints are kept.";
            add("pause", "Pause", format!("Pause this sweep? {what}"), false);
        }
        SweepState::Paused => {
            add("resume", "Resume", format!("Resume this sweep? {} left.", counted(left, "trial")), false)
        }
        SweepState::Finished | SweepState::Cancelled => {}
    }
    if sweep.failed > 0 && sweep.state != SweepState::Cancelled {
        add("retry", "Retry failed", format!("Run {} again?", counted(sweep.failed, "failed trial")), false);
    }
    if !sweep.state.has_ended() {
        let question =
            format!("Cancel this sweep for good? {} will not run. Results so far are kept.", counted(left, "trial"));
        add("cancel", "Cancel sweep", question, true);
    }
    commands
}

impl Workers {
    /// The workers, those that train first.
    pub(super) fn of<'a>(workers: impl Iterator<Item = &'a WorkerView>, names: &TrialNames) -> Self {
        let mut workers: Vec<&WorkerView> = workers.collect();
        workers.sort_by_key(|worker| (worker.training_count == 0, !worker.connected));
        let note = match workers.len() {
            all if all > WORKERS_MAX => {
                format!("{WORKERS_MAX} of {} workers shown; list all with `biosweep workers`.", number(all as u64))
            }
            _ => String::new(),
        };
        Self { rows: workers.into_iter().take(WORKERS_MAX).map(|worker| Worker::of(worker, names)).collect(), note }
    }
}

impl Worker {
    fn of(worker: &WorkerView, names: &TrialNames) -> Self {
        let state = match worker {
            WorkerView { quarantined: Some(_), .. } => "quarantined",
            WorkerView { connected: false, .. } => "disconnected",
            WorkerView { training_count: 0, .. } => "idle",
            _ => "training",
        };
        let training: Vec<Training> =
            worker.training.iter().take(LANES_MAX).map(|lane| Training::of(lane, names)).collect();
        Self {
            name: worker.name.clone(),
            state,
            why: worker.quarantined.clone(),
            lanes: format!("{} of {}", worker.training_count, counted(u64::from(worker.lanes), "lane")),
            more: (worker.training_count as usize).saturating_sub(training.len()),
            training,
        }
    }
}

impl Training {
    fn of(lane: &LaneView, names: &TrialNames) -> Self {
        Self {
            name: names.name(&lane.point),
            percent: format!("{:.0}", 100.0 * lane.updates as f64 / lane.max_updates.max(1) as f64),
            accuracy: lane.latest.map(|latest| percent(latest.validation_accuracy)),
        }
    }
}

fn cause(one: &IncompleteCause) -> Cause {
    let first_line = one.cause.as_deref().and_then(|cause| cause.lines().next()).unwrap_or_default();
    Cause {
        outcome: one.outcome.name(),
        cause: cut(first_line, CAUSE_CHARACTERS),
        attempts: number(one.attempts),
        latest: date(one.latest),
    }
}
