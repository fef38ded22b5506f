//! The lines of the progress on a terminal: a bar, the counts, the running trajectories.
//!
//! ```text
//! ━━━━━━━━━━━━━━━━━━━━━━━━━━╸───────────────  640/1000 trials  12 min 3 s
//! 612 completed, 27 diverged, 1 failed, 8 in training, 53.1/min, 6 min 47 s left
//!   dtp dn relu 10 · learning_rate 0.001    1200/5000 updates  validation 93.1 %
//!   and 7 more
//! ```

use biosweep_analysis::report::words::duration;
use biosweep_common::results::names::TrialNames;
use biosweep_common::results::views::{LaneView, SweepStatus, WATCHED_TRAJECTORIES, WorkerView};
use unicode_width::UnicodeWidthStr as _;

use crate::render::human;
use crate::render::rate::Rate;
use crate::terminal::Size;
use crate::terminal::escape::escaped;
use crate::terminal::prose::{cut, cut_inside};

/// Maximum columns of the bar.
const BAR_MAX: usize = 40;
/// Columns below which there is no bar.
const BAR_MIN: usize = 4;
/// Maximum lines of counts.
const COUNT_LINES_MAX: usize = 3;

/// A line without a line break; no line is wider than the terminal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Line {
    pieces: Vec<(Colour, String)>,
}

/// The colour of a part of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    Plain,
    /// What is done.
    Cyan,
    /// What is not done yet.
    Dim,
    /// Diverged trials.
    Yellow,
    /// Failed trials.
    Red,
}

impl Line {
    fn add(&mut self, colour: Colour, text: impl Into<String>) {
        let text = text.into();
        if !text.is_empty() {
            self.pieces.push((colour, text));
        }
    }

    /// Columns of the line.
    pub(super) fn width(&self) -> usize {
        self.pieces.iter().map(|(_, text)| text.width()).sum()
    }

    fn cut(mut self, width: usize) -> Self {
        let mut left = width;
        for (_, text) in &mut self.pieces {
            *text = cut(text, left);
            left -= text.width();
        }
        self
    }

    /// The text, with or without the sequences of colours.
    pub(super) fn text(&self, has_colours: bool) -> String {
        let piece = |(colour, text): &(Colour, String)| {
            let code = match colour {
                Colour::Plain => "",
                Colour::Cyan => "36",
                Colour::Dim => "2",
                Colour::Yellow => "33",
                Colour::Red => "31",
            };
            if has_colours && !code.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.clone() }
        };
        self.pieces.iter().map(piece).collect()
    }
}

/// The lines for a terminal of this size. The cursor stands at the end of the last one, so the last column stays free.
pub(super) fn frame(status: &SweepStatus, rate: &Rate, elapsed_s: f64, names: &TrialNames, size: Size) -> Vec<Line> {
    let width = size.columns.saturating_sub(1);
    let rows = size.rows.saturating_sub(1).max(1);
    let mut lines = vec![bar(status, elapsed_s, width)];
    lines.extend(counts(status, rate, width));
    let left = rows.saturating_sub(lines.len());
    lines.extend(running(status, names, width, left));
    lines.into_iter().take(rows).map(|line| line.cut(width)).collect()
}

fn bar(status: &SweepStatus, elapsed_s: f64, width: usize) -> Line {
    let (ended, trials) = (status.sweep.ended(), status.sweep.trials);
    let text = format!("{ended}/{trials} trials  {}", duration(elapsed_s));
    let mut line = Line::default();
    let columns = width.saturating_sub(text.width() + 2).min(BAR_MAX);
    if columns >= BAR_MIN {
        let done = (columns as u64 * ended / trials.max(1)) as usize;
        let tip = usize::from(done < columns && ended > 0);
        line.add(Colour::Cyan, "━".repeat(done) + &"╸".repeat(tip));
        line.add(Colour::Dim, "─".repeat(columns - done - tip));
        line.add(Colour::Plain, "  ");
    }
    line.add(Colour::Plain, text);
    line
}

/// The counts of trials and the speed, on as many lines as they need.
fn counts(status: &SweepStatus, rate: &Rate, width: usize) -> Vec<Line> {
    let sweep = &status.sweep;
    let counts = [
        (sweep.completed, "completed", Colour::Plain),
        (sweep.diverged, "diverged", Colour::Yellow),
        (sweep.failed, "failed", Colour::Red),
        (sweep.running, "in training", Colour::Plain),
    ];
    // A count of zero is shown only where a reader waits for it to grow.
    let shown = counts.into_iter().filter(|&(count, what, _)| count > 0 || what == "completed");
    let mut parts: Vec<(Colour, String)> =
        shown.map(|(count, what, colour)| (colour, format!("{count} {what}"))).collect();
    let speed = human::rate(rate);
    parts.extend((!speed.is_empty()).then_some((Colour::Plain, speed)));
    let mut lines = vec![Line::default()];
    for (colour, text) in parts {
        let may_break = lines.len() < COUNT_LINES_MAX;
        let line = lines.last_mut().expect("there is a line");
        let is_first = line.pieces.is_empty();
        // A comma may follow.
        if !is_first && may_break && line.width() + 2 + text.width() + 1 > width {
            line.add(Colour::Plain, ",");
            let mut next = Line::default();
            next.add(colour, text);
            lines.push(next);
            continue;
        }
        if !is_first {
            line.add(Colour::Plain, ", ");
        }
        line.add(colour, text);
    }
    lines
}

/// Running trajectories, at most eight and at most as many as fit on `rows` lines, and the number of the others.
fn running(status: &SweepStatus, names: &TrialNames, width: usize, rows: usize) -> Vec<Line> {
    let is_of_sweep = |worker: &&WorkerView| worker.training.iter().any(|lane| lane.sweep == status.sweep.id);
    let workers: Vec<&WorkerView> = status.workers.iter().filter(is_of_sweep).collect();
    let total: usize = workers.iter().map(|worker| worker.training_count as usize).sum();
    let lanes = workers.iter().flat_map(|worker| &worker.training).filter(|lane| lane.sweep == status.sweep.id);
    let room = if total <= rows.min(WATCHED_TRAJECTORIES) { rows } else { rows.saturating_sub(1) };
    let lanes: Vec<&LaneView> = lanes.take(room.min(WATCHED_TRAJECTORIES)).collect();
    let trajectories: Vec<String> = lanes.iter().map(|lane| escaped(&names.name(&lane.point)).into_owned()).collect();
    let longest = |texts: &[String]| texts.iter().map(|text| text.width()).max().unwrap_or(0);
    let room_beside = |numbers: &[String]| width.saturating_sub(longest(numbers) + 4);
    let mut numbers = aligned(&lanes, true);
    // The settings of a trajectory are more important than the words at its numbers.
    if room_beside(&numbers) < longest(&trajectories) {
        numbers = aligned(&lanes, false);
    }
    let of_names = room_beside(&numbers);
    let trajectories: Vec<String> = trajectories.iter().map(|name| cut_inside(name, of_names)).collect();
    let longest = longest(&trajectories);
    let mut lines: Vec<Line> = Vec::new();
    for (name, numbers) in trajectories.iter().zip(&numbers) {
        let mut line = Line::default();
        line.add(Colour::Plain, format!("  {name}{}  {numbers}", " ".repeat(longest - name.width())));
        lines.push(line);
    }
    let more = total.saturating_sub(lanes.len());
    if more > 0 && rows > 0 && !lines.is_empty() {
        let mut line = Line::default();
        line.add(Colour::Dim, format!("  and {more} more"));
        lines.push(line);
    }
    lines
}

/// The updates and the latest validation accuracy of each trajectory, in columns.
fn aligned(lanes: &[&LaneView], has_names: bool) -> Vec<String> {
    let updates: Vec<String> = lanes.iter().map(|lane| format!("{}/{}", lane.updates, lane.max_updates)).collect();
    let longest = updates.iter().map(String::len).max().unwrap_or(0);
    let (of_updates, of_accuracy) = if has_names { (" updates", "validation ") } else { ("", "") };
    let line = |(lane, updates): (&&LaneView, &String)| {
        let accuracy =
            lane.latest.map_or_else(|| "–".to_owned(), |latest| human::percentage(latest.validation_accuracy));
        format!("{updates:>longest$}{of_updates}  {of_accuracy}{accuracy:>7}")
    };
    lanes.iter().zip(&updates).map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{RATE, many};
    use super::*;

    fn drawn(status: &SweepStatus, columns: usize, rows: usize) -> Vec<String> {
        let frame = frame(status, &RATE, 723.0, &TrialNames::of(None), Size { columns, rows });
        assert!(frame.len() < rows.max(2), "{frame:?}");
        let text = |line: &Line| {
            assert!(line.width() < columns, "{line:?}");
            line.text(false)
        };
        frame.iter().map(text).collect()
    }

    #[test]
    fn a_terminal_of_80_columns_shows_counts_and_eight_trajectories() {
        let lines = drawn(&many(20), 80, 24);
        assert_eq!(lines[0], format!("{}╸{}  61200/100000 trials  12 min 3 s", "━".repeat(24), "─".repeat(15)));
        assert_eq!(lines[1], "60000 completed, 1000 diverged, 200 failed, 20 in training,");
        assert_eq!(lines[2], "53.1/min, 12 h 10 min left");
        assert_eq!(lines[3], "  dtp dn relu 10  1200/5000 updates  validation  93.1 %");
        assert_eq!((lines.len(), lines[11].as_str()), (12, "  and 12 more"));
    }

    #[test]
    fn a_small_terminal_shows_fewer_trajectories_in_shorter_lines() {
        let lines = drawn(&many(20), 40, 10);
        assert_eq!(lines[0], "━━━╸──  61200/100000 trials  12 min 3 s");
        assert_eq!(
            lines[1..4].join("\n"),
            "60000 completed, 1000 diverged,\n200 failed, 20 in training,\n53.1/min, 12 h 10 min left"
        );
        assert_eq!(lines[4], "  dtp dn relu 10  1200/5000   93.1 %");
        assert_eq!((lines.len(), lines[8].as_str()), (9, "  and 16 more"));
    }

    #[test]
    fn eight_trajectories_need_no_line_for_more() {
        assert_eq!(drawn(&many(8), 80, 24).len(), 3 + 8);
        assert_eq!(drawn(&many(0), 80, 24).len(), 2);
    }

    #[test]
    fn no_line_is_wider_or_lower_than_any_terminal() {
        for (columns, rows) in (1..120).flat_map(|columns| (1..30).map(move |rows| (columns, rows))) {
            let _checked = drawn(&many(20), columns, rows);
        }
    }

    #[test]
    fn only_diverged_and_failed_trials_and_the_bar_have_colours() {
        let frame = frame(&many(1), &RATE, 1.0, &TrialNames::of(None), Size { columns: 80, rows: 24 });
        let coloured = frame[1].text(true);
        assert!(
            coloured.contains("\x1b[33m1000 diverged\x1b[0m, \x1b[31m200 failed\x1b[0m, 1 in training"),
            "{coloured:?}"
        );
        assert!(!frame.iter().any(|line| line.text(false).contains('\x1b')));
    }
}
