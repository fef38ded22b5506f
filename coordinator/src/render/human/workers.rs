//! The workers and what they train.

use std::fmt::Write as _;

use biosweep_common::results::names::TrialNames;
use biosweep_common::results::views::WorkerView;
use biosweep_common::workers::capability::Capabilities;

use super::amounts::counted;
use super::percentage;

pub(crate) fn workers(workers: &[WorkerView]) -> String {
    if workers.is_empty() {
        return "no workers; start one with `biosweep-worker --coordinator URL`".to_owned();
    }
    let names = TrialNames::of(None);
    let line = |worker: &WorkerView| {
        let sweep = worker.training.first().map(|lane| format!("  of {}", lane.sweep)).unwrap_or_default();
        format!("{}  {}{sweep}  [{}]\n", worker.id, worker_line(worker, &names, "idle"), capability(worker))
    };
    workers.iter().map(line).collect()
}

/// What sweeps can require of a worker, and its number of lanes.
fn capability(worker: &WorkerView) -> String {
    let Capabilities { device, memory_bytes, labels } = &worker.capabilities;
    if device.is_empty() {
        return "not connected since the coordinator started".to_owned();
    }
    let lanes = counted(worker.lanes.into(), "lane", "lanes");
    let memory = (*memory_bytes > 0).then(|| format!("{:.1} GB", *memory_bytes as f64 / 1e9));
    let device = [device.clone(), lanes].into_iter();
    device.chain(memory).chain(labels.iter().cloned()).collect::<Vec<_>>().join(", ")
}

pub(crate) fn released(worker: &WorkerView) -> String {
    format!("{} ({}) is released from quarantine", worker.name, worker.id)
}

/// The text for a worker that trains nothing of the shown sweep.
pub(crate) const NOTHING_OF_IT: &str = "trains nothing of this sweep";

/// One worker: what it trains, its progress and its latest evaluation; the text `nothing` if it trains nothing.
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
    if worker.training_count > 1 {
        let _fits = write!(text, "  and {} more", worker.training_count - 1);
    }
    text
}
