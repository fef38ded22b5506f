//! The status of a sweep while it is followed: what runs, since when, and what went wrong.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use biosweep_analysis::report::words::duration;
use biosweep_common::results::names::TrialNames;
use biosweep_common::results::views::SweepStatus;
use biosweep_common::vocabulary::time::WallTime;

use super::amounts::counted;
use super::workers::{NOTHING_OF_IT, worker_line};
use super::{headline, tally};

/// Maximum number of workers in a status.
const WORKERS_MAX: usize = 8;

/// Several lines about a sweep: its age, its counts, its workers, and its latest incomplete attempts by outcome and cause.
pub(crate) fn standing(status: &SweepStatus, names: &TrialNames, now: WallTime) -> String {
    let sweep = &status.sweep;
    let age = duration(now.0.saturating_sub(sweep.submitted_at.0) as f64 / 1e3);
    let mut text = format!("{} ({}), submitted {age} ago\n{}\n", sweep.name, sweep.id, tally(sweep));
    if let Some(degraded) = &status.degraded {
        let _fits = writeln!(text, "{degraded}");
    }
    for worker in status.workers.iter().take(WORKERS_MAX) {
        let _fits = writeln!(text, "{}", worker_line(worker, names, NOTHING_OF_IT));
    }
    let others = status.workers.len().saturating_sub(WORKERS_MAX);
    if others > 0 {
        let _fits = writeln!(text, "and {}", counted(others as u64, "more worker", "more workers"));
    }
    if !status.incomplete_attempts.is_empty() {
        let mut causes: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for one in &status.incomplete_attempts {
            *causes.entry((one.outcome.name(), headline(one.cause.as_deref()).unwrap_or_default())).or_default() += 1;
        }
        text.push_str("the latest incomplete attempts:\n");
        for ((outcome, cause), count) in causes {
            let cause = if cause.is_empty() { String::new() } else { format!(": {cause}") };
            let _fits = writeln!(text, "{count} {outcome}{cause}");
        }
    }
    text
}
