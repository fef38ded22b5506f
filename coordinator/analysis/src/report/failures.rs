//! Failures by cause, and divergences by configuration.

use std::collections::{BTreeMap, BTreeSet};

use biosweep_common::configuration::Point;
use biosweep_common::grid::Grid;
use biosweep_common::results::outcome::Outcome;
use biosweep_common::results::views::{IncompleteAttempt, IncompleteCause};
use biosweep_common::settings::place::PLACE;
use biosweep_common::settings::{Setting, Value};
use biosweep_common::vocabulary::ids::{TrajectoryIndex, TrialIndex};
use biosweep_common::vocabulary::time::WallTime;

use super::record::{Diverged, Record};
use super::tables::{Entry, Row, Table};
use super::words;

/// Maximum number of rows of a table of failures or divergences.
const ROWS_MAX: usize = 40;
/// Maximum number of characters of a cause.
const CAUSE_MAX: usize = 300;
/// The cause of attempts without a cause.
const UNKNOWN: &str = "the cause is not known";

/// The failed attempts by cause, most frequent first; `None` if no trial failed. The causes are those of all attempts of the
/// sweep, also of attempts that were retried with success. Causes that differ only in digits, or only after their first line,
/// are one. `attempts` are the latest incomplete attempts, latest first. They name a trial of each cause.
pub(super) fn failures(
    record: &Record,
    attempts: &[IncompleteAttempt],
    causes: &[IncompleteCause],
    grid: Option<&Grid>,
) -> Option<Table> {
    if record.failed.is_empty() {
        return None;
    }
    let mut groups: BTreeMap<String, Group<'_>> = BTreeMap::new();
    for one in causes.iter().filter(|one| one.outcome == Outcome::Failed) {
        let cause = one.cause.as_deref().and_then(|cause| cause.lines().next()).unwrap_or(UNKNOWN);
        let none = || Group { cause, attempts: 0, latest: one.latest, trial: None };
        let group = groups.entry(without_digits(cause)).or_insert_with(none);
        (group.attempts, group.latest) = (group.attempts + one.attempts, group.latest.max(one.latest));
    }
    let known = latest_causes(attempts);
    for &trial in &record.failed {
        let trajectory = grid.and_then(|grid| grid.trajectory_of(trial));
        let cause = trajectory.and_then(|trajectory| known.get(&trajectory));
        if let Some(group) = cause.and_then(|cause| groups.get_mut(&without_digits(cause))) {
            group.trial.get_or_insert(trial);
        }
    }
    let mut groups: Vec<Group<'_>> = groups.into_values().collect();
    groups.sort_by_key(|group| std::cmp::Reverse((group.attempts, group.latest)));
    let row = |group: &Group<'_>| Row {
        names: vec![words::cut(group.cause, CAUSE_MAX)],
        entries: vec![
            Entry::plain(words::number(group.attempts)),
            Entry::plain(words::date(group.latest)),
            Entry::plain(group.trial.map_or_else(|| "–".to_owned(), |trial| trial.to_string())),
        ],
    };
    let mut caption = format!("{} failed", words::counted(record.failed.len() as u64, "trial"));
    if !record.wanted().is_empty() {
        caption += "; the causes are those of the whole sweep";
    }
    if groups.len() > ROWS_MAX {
        caption += &format!("; the {ROWS_MAX} most frequent causes");
    }
    let header = ["cause", "failed attempts", "latest", "a trial"].map(str::to_owned).into();
    Some(Table { caption, header, rows: groups.iter().take(ROWS_MAX).map(row).collect(), names: 1, is_text: false })
}

/// Failed attempts with one cause.
struct Group<'a> {
    cause: &'a str,
    attempts: u64,
    latest: WallTime,
    /// A failed trial with this cause, if one is known.
    trial: Option<TrialIndex>,
}

/// The latest cause of each trajectory that failed.
fn latest_causes(attempts: &[IncompleteAttempt]) -> BTreeMap<TrajectoryIndex, &str> {
    let mut causes = BTreeMap::new();
    for attempt in attempts.iter().filter(|attempt| attempt.outcome == Outcome::Failed) {
        if let Some(first_line) = attempt.cause.as_deref().and_then(|cause| cause.lines().next()) {
            causes.entry(attempt.trajectory).or_insert(first_line);
        }
    }
    causes
}

fn without_digits(text: &str) -> String {
    text.chars().filter(|character| !character.is_ascii_digit()).collect()
}

/// The configurations that diverged, in the order of trials; `None` without divergences. A configuration is named by
/// the settings that differ, which `axes` lists.
pub(super) fn divergences(record: &Record, axes: &[Setting]) -> Option<Table> {
    if record.diverged.is_empty() {
        return None;
    }
    let shown: BTreeSet<Setting> = PLACE[1..].iter().chain(axes).copied().collect();
    let row = |one: &Diverged| Row {
        names: vec![name(&one.point, &shown)],
        entries: [words::number(one.count), updates(one.updates), one.trial.to_string()].map(Entry::plain).into(),
    };
    let mut caption = format!("{} diverged", words::counted(record.diverged_count(), "trial"));
    if record.diverged.len() > ROWS_MAX {
        caption += &format!("; the first {ROWS_MAX} of {} configurations", words::number(record.diverged.len() as u64));
    }
    let header = ["configuration", "trials", "at update", "first trial"].map(str::to_owned).into();
    Some(Table {
        caption,
        header,
        rows: record.diverged.iter().take(ROWS_MAX).map(row).collect(),
        names: 1,
        is_text: false,
    })
}

/// `fa, nn, relu, depth 10, learning_rate 0.1`.
fn name(point: &Point, shown: &BTreeSet<Setting>) -> String {
    let part = |(&setting, value): (&Setting, &Value)| match setting {
        Setting::Dataset | Setting::Rule | Setting::Network | Setting::Activation => words::value(setting, value),
        setting => format!("{} {}", setting.name(), words::value(setting, value)),
    };
    let mut parts: Vec<(&Setting, &Value)> = point.iter().filter(|(setting, _)| shown.contains(setting)).collect();
    // The rule comes first: readers look for it.
    parts.sort_by_key(|(setting, _)| **setting != Setting::Rule);
    parts.into_iter().map(part).collect::<Vec<_>>().join(", ")
}

fn updates((least, most): (u64, u64)) -> String {
    match least == most {
        true => words::number(least),
        false => format!("{} to {}", words::number(least), words::number(most)),
    }
}
