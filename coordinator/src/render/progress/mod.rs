//! The progress of a sweep: a bar with running trajectories on a terminal, plain lines elsewhere.
//!
//! | module | contents |
//! |---|---|
//! | this module | what `run` and `watch` tell the user |
//! | `frame` | the lines of the bar, the counts and the running trajectories |
//! | `picture` | what is drawn, and when |
//! | `live` | the thread that draws and reads keys |
//! | `taskbar` | the progress in the tab of a terminal |

mod frame;
mod live;
mod picture;
mod taskbar;

use std::fmt::Display;

use biosweep_common::results::names::TrialNames;
use biosweep_common::results::outcome::{Outcome, SweepState};
use biosweep_common::results::views::{IncompleteAttempt, SweepStatus};
use biosweep_common::spec::SweepSpec;
use biosweep_host::clock::Clock;

use self::live::Live;
use self::picture::{Abilities, Picture};
use super::human;
use super::rate::Pace;
use crate::terminal::{Size, may_colour, say, stderr_size};

/// Maximum seconds between two plain lines.
const QUIET_S: f64 = 15.0;
/// The smallest terminal with a bar.
const BAR_FROM: Size = Size { columns: 40, rows: 10 };

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
    Terminal(Live),
    Lines { last: Option<(u64, f64)> },
}

impl Progress {
    /// Starts to show a sweep, with a bar if stderr is a terminal that is large enough.
    pub(crate) fn new(spec: Option<SweepSpec>) -> Self {
        let names = TrialNames::of(spec.as_ref());
        let face = Face::of_stderr(spec.as_ref());
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
            Face::Terminal(live) => live.picture().show(status, rate),
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
        if let Face::Terminal(live) = &self.face {
            let mut picture = live.picture();
            if !picture.has_ended() {
                return picture.note(line.to_string());
            }
        }
        say(line);
    }

    /// Removes the bar and restores the terminal.
    pub(crate) fn finish(&mut self) {
        if let Face::Terminal(live) = &mut self.face {
            live.end();
        }
    }
}

impl Face {
    fn of_stderr(spec: Option<&SweepSpec>) -> Self {
        let variable = |name: &str| std::env::var(name).ok();
        let is_large = |size: &Size| size.columns >= BAR_FROM.columns && size.rows >= BAR_FROM.rows;
        let size = stderr_size().filter(is_large).filter(|_| variable("TERM").as_deref() != Some("dumb"));
        let live = size.and_then(|size| {
            let has_taskbar = taskbar::is_shown_with(variable);
            let picture = Picture::new(spec, Abilities { has_colours: may_colour(), has_taskbar });
            Live::start(picture, size).ok()
        });
        live.map_or(Self::Lines { last: None }, Self::Terminal)
    }
}

/// The message after a change of why a sweep makes no progress. A sweep that has ended does not continue.
fn change(standing: Option<&str>, state: SweepState) -> Option<&str> {
    standing.or_else(|| (!state.has_ended()).then_some("it continues"))
}

#[cfg(test)]
mod tests {
    use biosweep_common::configuration::Point;
    use biosweep_common::results::curve::CurvePoint;
    use biosweep_common::results::views::{LaneView, SweepView, WorkerView};
    use biosweep_common::settings::{Setting, Value};
    use biosweep_common::vocabulary::ids::{Attempt, SweepId, TrajectoryIndex, WorkerId};
    use biosweep_common::vocabulary::time::WallTime;
    use biosweep_common::workers::capability::Capabilities;
    use uuid::Uuid;

    use super::*;
    use crate::render::rate::Rate;

    pub(super) const RATE: Rate = Rate { trials_per_minute: Some(53.1), left_s: Some(43_800.0) };

    /// A sweep of 100,000 trials with so many workers, each with one trajectory.
    pub(super) fn many(workers: u64) -> SweepStatus {
        let id = SweepId(Uuid::from_u128(7));
        let name = |name: &'static str| Value::Name(name.into());
        let point = Point::from([
            (Setting::Rule, name("dtp")),
            (Setting::Network, name("dn")),
            (Setting::Activation, name("relu")),
            (Setting::Depth, Value::Integer(10)),
        ]);
        let lane = |trajectory| LaneView {
            sweep: id,
            trajectory: TrajectoryIndex(trajectory),
            attempt: Attempt(1),
            point: point.clone(),
            latest: Some(CurvePoint {
                update: 1_200,
                train_loss: 0.1,
                validation_accuracy: 0.931,
                test_accuracy: None,
            }),
            updates: 1_200,
            max_updates: 5_000,
        };
        let worker = |number: u64| WorkerView {
            id: WorkerId(Uuid::from_u128(number.into())),
            name: format!("host/{number}"),
            capabilities: Capabilities::default(),
            lanes: 1,
            connected: true,
            quarantined: None,
            training: vec![lane(number)],
            training_count: 1,
        };
        let incomplete = |outcome, cause: Option<&str>| IncompleteAttempt {
            trajectory: TrajectoryIndex(3),
            attempt: Attempt(1),
            worker_name: "host/1".to_owned(),
            outcome,
            cause: cause.map(str::to_owned),
            at: WallTime(0),
        };
        let lost = incomplete(Outcome::WorkerLost, None);
        SweepStatus {
            sweep: SweepView {
                id,
                name: "wide".to_owned(),
                state: SweepState::Running,
                reason: None,
                trials: 100_000,
                trajectories: 100_000,
                completed: 60_000,
                diverged: 1_000,
                failed: 200,
                reused: 0,
                running: workers,
                submitted_at: WallTime(1_000_000),
                state_at: WallTime(1_000_000),
                note: None,
            },
            workers: (0..workers).map(worker).collect(),
            incomplete_attempts: vec![lost.clone(), incomplete(Outcome::Failed, Some("no such file\nat line 3")), lost],
            incomplete_causes: Vec::new(),
            degraded: None,
            in_training_done: 0.0,
        }
    }

    #[test]
    fn only_a_sweep_that_has_not_ended_is_said_to_continue() {
        assert_eq!(change(Some("it waits"), SweepState::Running), Some("it waits"));
        assert_eq!(change(None, SweepState::Running), Some("it continues"));
        assert_eq!(change(None, SweepState::Cancelled), None);
    }
}
