//! The progress of a sweep: a bar and a line per worker on a terminal, plain lines elsewhere.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{self, IsTerminal as _};
use std::time::Duration;

use biosweep_common::results::outcome::{Outcome, SweepState};
use biosweep_common::results::views::{IncompleteAttempt, SweepStatus, SweepView, WorkerView};
use biosweep_common::spec::SweepSpec;
use biosweep_common::vocabulary::ids::WorkerId;
use biosweep_host::clock::Clock;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::human::{self, TrialNames};
use super::rate::Pace;
use crate::terminal::say;

/// Maximum seconds between two plain lines.
const QUIET_S: f64 = 15.0;

/// Shows the progress of a sweep on stderr.
pub(crate) struct Progress {
    names: TrialNames,
    spec: Option<SweepSpec>,
    pace: Pace,
    clock: Clock,
    /// The last message about why the sweep makes no progress.
    reported: Option<String>,
    /// Whether workers will certainly connect.
    expects_workers: bool,
    face: Face,
}

enum Face {
    Terminal { all: MultiProgress, trials: ProgressBar, workers: BTreeMap<WorkerId, ProgressBar> },
    Lines { last: Option<(u64, f64)> },
}

impl Progress {
    /// Starts to show this sweep, with a bar if stderr is a terminal.
    pub(crate) fn new(sweep: &SweepView, spec: Option<SweepSpec>) -> Self {
        let names = TrialNames::of(spec.as_ref());
        let face = if io::stderr().is_terminal() { Face::terminal(sweep.trials) } else { Face::Lines { last: None } };
        Self { names, spec, pace: Pace::default(), clock: Clock::start(), reported: None, expects_workers: false, face }
    }

    /// The same while workers are started, so that no message says that there are none.
    pub(crate) fn expecting_workers(self) -> Self {
        Self { expects_workers: true, ..self }
    }

    /// Shows the sweep's current state.
    pub(crate) fn state(&mut self, status: &SweepStatus) {
        let sweep = &status.sweep;
        let waits = || human::why_waiting(sweep).filter(|_| !self.expects_workers || !status.workers.is_empty());
        let standing = status.degraded.clone().or_else(|| human::why_paused(sweep)).or_else(waits);
        if standing != self.reported {
            if let Some(line) = change(standing.as_deref(), sweep.state) {
                self.note(line);
            }
            self.reported = standing;
        }
        let now_s = self.clock.seconds();
        let rate = self.pace.rate(now_s, sweep.ended() as f64 + status.in_training_done, sweep.trials);
        match &mut self.face {
            Face::Terminal { all, trials, workers } => {
                trials.set_position(sweep.ended());
                trials.set_message(human::rate(&rate));
                show_workers(all, workers, &status.workers, &self.names);
            }
            Face::Lines { last } => {
                let due = last.is_none_or(|(ended, at_s)| ended != sweep.ended() || now_s - at_s >= QUIET_S);
                if due {
                    *last = Some((sweep.ended(), now_s));
                    say(human::counts(sweep, &rate));
                }
            }
        }
    }

    /// Shows an incomplete attempt.
    pub(crate) fn incomplete_attempt(&mut self, incomplete_attempt: &IncompleteAttempt) {
        // After the user stopped the sweep, attempts that were handed back are no news.
        if matches!(incomplete_attempt.outcome, Outcome::Preempted | Outcome::Cancelled) {
            return;
        }
        let name = self.names.trajectory(self.spec.as_ref(), incomplete_attempt.trajectory);
        self.note(human::incomplete_attempt(&name, incomplete_attempt));
    }

    /// Prints a message above the bar.
    pub(crate) fn note(&self, line: impl Display) {
        match &self.face {
            // An error means that the terminal is gone.
            Face::Terminal { all, .. } => drop(all.println(line.to_string())),
            Face::Lines { .. } => say(line),
        }
    }

    /// Removes the bar.
    pub(crate) fn finish(&mut self) {
        if let Face::Terminal { all, trials, workers } = &self.face {
            workers.values().for_each(ProgressBar::finish_and_clear);
            trials.finish_and_clear();
            drop(all.clear());
        }
    }
}

impl Face {
    fn terminal(trials: u64) -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        let style = ProgressStyle::with_template("{bar:40.cyan/blue} {pos}/{len} trials  {elapsed}  {msg}")
            .expect("the template is valid")
            .progress_chars("━╸─");
        let bar = all.add(ProgressBar::new(trials).with_style(style));
        bar.enable_steady_tick(Duration::from_millis(500));
        Self::Terminal { all, trials: bar, workers: BTreeMap::new() }
    }
}

fn show_workers(
    all: &MultiProgress,
    bars: &mut BTreeMap<WorkerId, ProgressBar>,
    workers: &[WorkerView],
    names: &TrialNames,
) {
    bars.retain(|id, bar| {
        let known = workers.iter().any(|worker| worker.id == *id);
        if !known {
            bar.finish_and_clear();
            all.remove(bar);
        }
        known
    });
    for worker in workers {
        let bar = bars.entry(worker.id).or_insert_with(|| {
            let style = ProgressStyle::with_template("  {msg}").expect("the template is valid");
            all.add(ProgressBar::new_spinner().with_style(style))
        });
        bar.set_message(human::worker_line(worker, names, human::NOTHING_OF_IT));
    }
}

/// The message after a change of why a sweep makes no progress. A sweep that has ended does not continue.
fn change(standing: Option<&str>, state: SweepState) -> Option<&str> {
    standing.or_else(|| (!state.has_ended()).then_some("it continues"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_sweep_that_has_not_ended_is_said_to_continue() {
        assert_eq!(change(Some("it waits"), SweepState::Running), Some("it waits"));
        assert_eq!(change(None, SweepState::Running), Some("it continues"));
        assert_eq!(change(None, SweepState::Cancelled), None);
    }
}
