//! What is drawn on a terminal and when: at most ten times a second, whatever arrives.
//!
//! The code is pure: it takes the time and the size as arguments and returns the bytes to write.

use std::fmt::Write as _;

use biosweep_common::results::names::TrialNames;
use biosweep_common::results::outcome::SweepState;
use biosweep_common::results::views::{SweepStatus, SweepView};
use biosweep_common::spec::SweepSpec;
use biosweep_common::vocabulary::time::{Tick, WallTime};

use super::frame::frame;
use super::taskbar::Taskbar;
use crate::render::human;
use crate::render::rate::Rate;
use crate::terminal::Size;
use crate::terminal::escape::escaped;
use crate::terminal::prose::wrapped;

/// Minimum milliseconds between two drawings.
const PACE_MS: u64 = 100;
/// Milliseconds after which the elapsed time is drawn again, even if nothing has changed.
const IDLE_MS: u64 = 1_000;
/// Maximum number of messages between two drawings.
const MESSAGES_MAX: usize = 1_000;

/// What a terminal can show.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Abilities {
    /// Whether text has colours.
    pub(super) has_colours: bool,
    /// Whether the terminal shows progress in its tab.
    pub(super) has_taskbar: bool,
}

/// The bar with its lines, the messages above it, and what was drawn last.
pub(super) struct Picture {
    names: TrialNames,
    abilities: Abilities,
    latest: Option<(SweepStatus, Rate)>,
    /// Messages that were not drawn so far, and the number of those that were left out.
    messages: Vec<String>,
    left_out: u64,
    is_changed: bool,
    drawn_at: Option<Tick>,
    /// The width of each line of the last drawing.
    drawn: Vec<usize>,
    taskbar: Taskbar,
    has_ended: bool,
}

impl Picture {
    /// A picture without anything on it.
    pub(super) fn new(spec: Option<&SweepSpec>, abilities: Abilities) -> Self {
        Self {
            names: TrialNames::of(spec),
            abilities,
            latest: None,
            messages: Vec::new(),
            left_out: 0,
            is_changed: false,
            drawn_at: None,
            drawn: Vec::new(),
            taskbar: Taskbar::Clear,
            has_ended: false,
        }
    }

    /// Takes the sweep's current state.
    pub(super) fn show(&mut self, status: &SweepStatus, rate: Rate) {
        self.latest = Some((status.clone(), rate));
        self.is_changed = true;
    }

    /// Takes a message that is printed above the bar.
    pub(super) fn note(&mut self, message: String) {
        if self.messages.len() < MESSAGES_MAX {
            self.messages.push(message);
        } else {
            self.left_out += 1;
        }
        self.is_changed = true;
    }

    /// Prints what runs above the bar.
    pub(super) fn ask(&mut self, now: WallTime) {
        if let Some((status, _)) = &self.latest {
            let standing = human::standing(status, &self.names, now);
            self.note(standing);
        }
    }

    /// Whether nothing is drawn any more.
    pub(super) const fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// The bytes that draw the picture; `None` if it is too early, or if nothing has changed. Ticks count from the start of
    /// the picture.
    pub(super) fn bytes(&mut self, now: Tick, size: Size) -> Option<String> {
        let passed_ms = self.drawn_at.map_or(u64::MAX, |at| now.since_ms(at));
        let is_due = passed_ms >= PACE_MS && (self.is_changed || passed_ms >= IDLE_MS);
        if self.has_ended || !is_due {
            return None;
        }
        self.is_changed = false;
        self.drawn_at = Some(now);
        let mut text = self.above(size);
        if let Some((status, rate)) = &self.latest {
            let lines = frame(status, rate, now.0 as f64 / 1e3, &self.names, size);
            let texts: Vec<String> = lines.iter().map(|line| line.text(self.abilities.has_colours)).collect();
            text.push_str(&texts.join("\r\n"));
            self.drawn = lines.iter().map(super::frame::Line::width).collect();
            let taskbar = taskbar(&status.sweep);
            if self.abilities.has_taskbar && taskbar != self.taskbar {
                text.push_str(&taskbar.sequence());
                self.taskbar = taskbar;
            }
        }
        Some(text)
    }

    /// The bytes that remove the bar and print the last messages. A tab keeps its error only if the sweep ended with one.
    pub(super) fn end(&mut self, size: Size) -> String {
        if self.has_ended {
            return String::new();
        }
        self.has_ended = true;
        let mut text = self.above(size);
        let finished = self.latest.as_ref().map(|(status, _)| &status.sweep);
        let has_failed = finished.is_some_and(|sweep| sweep.state == SweepState::Finished && sweep.failed > 0);
        let last = if has_failed { Taskbar::Error(100) } else { Taskbar::Clear };
        if self.abilities.has_taskbar && last != self.taskbar {
            text.push_str(&last.sequence());
        }
        text
    }

    /// Removes what was drawn, and prints the messages in its place.
    fn above(&mut self, size: Size) -> String {
        // A narrower terminal has broken the lines.
        let columns = size.columns.max(1);
        let rows: usize = self.drawn.iter().map(|width| width.div_ceil(columns).max(1)).sum();
        let mut text = "\r".to_owned();
        if rows > 1 {
            let _fits = write!(text, "\x1b[{}A", (rows - 1).min(size.rows));
        }
        text.push_str("\x1b[J");
        self.drawn.clear();
        for message in self.messages.drain(..) {
            for line in wrapped(&escaped(&message), columns).lines() {
                let _fits = write!(text, "{line}\r\n");
            }
        }
        if self.left_out > 0 {
            let _fits = write!(text, "and {} more messages\r\n", self.left_out);
            self.left_out = 0;
        }
        text
    }
}

fn taskbar(sweep: &SweepView) -> Taskbar {
    let percent = 100 * sweep.ended() / sweep.trials.max(1);
    match sweep.state {
        SweepState::Paused => Taskbar::Paused(percent),
        _ if sweep.failed > 0 => Taskbar::Error(percent),
        _ => Taskbar::Normal(percent),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{RATE, many};
    use super::*;

    const SIZE: Size = Size { columns: 80, rows: 24 };

    fn picture(has_taskbar: bool) -> Picture {
        Picture::new(None, Abilities { has_colours: false, has_taskbar })
    }

    #[test]
    fn a_sweep_of_100_000_trials_is_drawn_ten_times_a_second_however_often_it_changes() {
        let mut picture = picture(true);
        let mut sizes = Vec::new();
        for ms in 0..10_000 {
            let mut status = many(64);
            status.sweep.completed += ms;
            picture.show(&status, RATE);
            sizes.extend(picture.bytes(Tick(ms), SIZE).map(|bytes| bytes.len()));
        }
        assert_eq!(sizes.len(), 100);
        assert!(sizes.iter().all(|&bytes| bytes < 2_000), "{sizes:?}");
    }

    #[test]
    fn a_message_cannot_change_the_terminal() {
        let mut picture = picture(false);
        picture.show(&many(1), RATE);
        picture.note("failed: \u{202e}a\u{1b}[2J".to_owned());
        let bytes = picture.bytes(Tick(200), SIZE).expect("a drawing");
        assert!(bytes.contains("failed: \\u{202e}a\\u{1b}[2J"), "{bytes:?}");
    }

    #[test]
    fn messages_are_drawn_ten_times_a_second_too_and_none_is_lost() {
        let mut picture = picture(false);
        picture.show(&many(1), RATE);
        let mut drawn = Vec::new();
        for ms in 0..1_000 {
            picture.note(format!("message {ms};"));
            drawn.extend(picture.bytes(Tick(ms), SIZE));
        }
        assert_eq!(drawn.len(), 10);
        let all = drawn.concat() + &picture.end(SIZE);
        assert!((0..1_000).all(|ms| all.contains(&format!("message {ms};\r\n"))));
    }

    #[test]
    fn messages_that_do_not_fit_between_two_drawings_are_counted() {
        let mut picture = picture(false);
        (0..1_200).for_each(|_| picture.note("failed".to_owned()));
        assert!(picture.bytes(Tick(0), SIZE).expect("drawn").ends_with("and 200 more messages\r\n"));
    }

    #[test]
    fn without_news_only_the_elapsed_time_is_drawn_once_a_second() {
        let mut picture = picture(false);
        picture.show(&many(1), RATE);
        let drawn: Vec<String> = (0..10_000).filter_map(|ms| picture.bytes(Tick(ms), SIZE)).collect();
        assert_eq!(drawn.len(), 10);
        assert!(drawn[9].contains("trials  9 s"), "{drawn:?}");
    }

    #[test]
    fn a_drawing_removes_the_one_before_and_a_message_takes_its_place() {
        let mut picture = picture(false);
        picture.show(&many(0), RATE);
        assert_eq!(picture.bytes(Tick(0), SIZE).expect("drawn").matches("\r\n").count(), 1);
        picture.note("failed on a: fa".to_owned());
        let second = picture.bytes(Tick(100), SIZE).expect("drawn");
        assert!(second.starts_with("\r\x1b[1A\x1b[Jfailed on a: fa\r\n━"), "{second:?}");
        let narrow = picture.bytes(Tick(1_100), Size { columns: 40, rows: 10 }).expect("drawn");
        assert!(narrow.starts_with("\r\x1b[3A\x1b[J"), "the terminal has broken two lines: {narrow:?}");
    }

    #[test]
    fn at_the_end_the_bar_is_gone_and_the_tab_shows_only_failures_of_an_ended_sweep() {
        let end = |failed: u64, state: SweepState, has_taskbar: bool| {
            let mut picture = picture(has_taskbar);
            let mut status = many(0);
            (status.sweep.failed, status.sweep.state) = (failed, state);
            picture.show(&status, RATE);
            let drawn = picture.bytes(Tick(0), SIZE).expect("drawn");
            (drawn.contains("\x1b]9;4;"), picture.end(SIZE))
        };
        let removed = "\r\x1b[1A\x1b[J";
        assert_eq!(end(0, SweepState::Finished, true), (true, format!("{removed}\x1b]9;4;0;0\x1b\\")));
        assert_eq!(end(3, SweepState::Running, true), (true, format!("{removed}\x1b]9;4;0;0\x1b\\")));
        assert_eq!(end(3, SweepState::Finished, true), (true, format!("{removed}\x1b]9;4;2;100\x1b\\")));
        assert_eq!(end(3, SweepState::Finished, false), (false, removed.to_owned()));
    }

    #[test]
    fn the_status_names_the_sweep_its_age_and_counts_by_cause() {
        let mut picture = picture(false);
        let status = many(20);
        let now = WallTime(status.sweep.submitted_at.0 + 3 * 3_600_000);
        picture.show(&status, RATE);
        picture.ask(now);
        let drawn = picture.bytes(Tick(0), SIZE).expect("drawn");
        for part in
            ["wide (", "submitted 3 h 0 min ago", "2 worker-lost", "1 failed: no such file", "and 12 more workers"]
        {
            assert!(drawn.contains(part), "{part}: {drawn}");
        }
    }
}
