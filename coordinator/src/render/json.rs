//! Answers for programs. The field names are a stable interface, documented in docs/json.md.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use biosweep_analysis::aggregate::Cell;
use biosweep_analysis::compare::{Contrast, sentence};
use biosweep_common::configuration::Point;
use biosweep_common::grid::Grid;
use biosweep_common::plan::Plan;
use biosweep_common::plan::dataset_summary::DatasetSummary;
use biosweep_common::plan::widths::ResolvedWidth;
use biosweep_common::results::views::{
    IncompleteAttempt, IncompleteCause, LaneView, PlannedDataset, SpecView, SweepStatus, SweepView, WorkerView,
};
use biosweep_common::settings::Level;
use biosweep_common::spec::presets::Preset;
use biosweep_common::spec::{ExecutionOptions, PlannedContrast, Reuse, SpecText, SweepSpec};
use serde::Serialize;
use serde_json::{Value, json};

use crate::cli::SlurmJob;
use crate::export::mlflow::Summary;
use crate::files::archive::writing::WrittenFile;
use crate::files::archive::{Counts, Imported};
use crate::files::folder::ResultsFolder;
use crate::terminal::escape::escaped;

/// Any answer as indented JSON. Characters that would change what a terminal shows are codes, which JSON reads as the same
/// characters.
pub(crate) fn pretty(answer: &impl Serialize) -> String {
    let text = serde_json::to_string_pretty(answer).expect("answers have text keys only");
    // All of them have codes of four digits.
    match escaped(&text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(_) => text.chars().map(coded).collect(),
    }
}

/// The character as it is, or as its code if it would change what a terminal shows.
fn coded(character: char) -> Cow<'static, str> {
    let text = character.to_string();
    match escaped(&text) {
        Cow::Borrowed(_) => Cow::Owned(text),
        Cow::Owned(_) => Cow::Owned(format!("\\u{:04x}", u32::from(character))),
    }
}

pub(crate) fn sweeps(sweeps: &[SweepView]) -> String {
    pretty(&sweeps.iter().map(sweep_value).collect::<Vec<_>>())
}

pub(crate) fn sweep(sweep: &SweepView) -> String {
    pretty(&sweep_value(sweep))
}

pub(crate) fn submitted(sweep: &SweepView, found: bool) -> String {
    let mut value = sweep_value(sweep);
    value["found"] = found.into();
    pretty(&value)
}

/// Workers that were submitted to Slurm, or with `script` the script of a dry run.
pub(crate) fn slurm_jobs(sweep: &SweepView, jobs: &[SlurmJob], script: Option<&str>) -> String {
    let mut value = sweep_value(sweep);
    value["jobs"] = jobs.iter().map(|SlurmJob { id, workers }| json!({ "id": id, "workers": workers })).collect();
    value["script"] = json!(script);
    pretty(&value)
}

pub(crate) fn status(status: &SweepStatus, text: &SpecView) -> String {
    let mut value = sweep_value(&status.sweep);
    value["workers"] = status.workers.iter().map(worker_value).collect();
    value["incomplete_attempts"] = status.incomplete_attempts.iter().map(incomplete_attempt_value).collect();
    value["incomplete_causes"] = status.incomplete_causes.iter().map(incomplete_cause_value).collect();
    value["degraded"] = json!(status.degraded);
    let SpecText { text: submitted, format, resolved } = &text.text;
    value["spec"] = submitted.as_str().into();
    value["format"] = format.name().into();
    value["resolved"] = resolved.as_str().into();
    value["execution"] = json!(text.spec().map(|spec| execution_value(&spec)));
    let extension = |SpecText { text, format, resolved }: &SpecText| json!({ "spec": text, "format": format.name(), "resolved": resolved });
    value["extensions"] = text.extensions.iter().map(extension).collect();
    pretty(&value)
}

pub(crate) fn retried(sweep: &SweepView, trials: u64) -> String {
    let mut value = sweep_value(sweep);
    value["retried"] = trials.into();
    pretty(&value)
}

pub(crate) fn extended(sweep: &SweepView, added: u64) -> String {
    let mut value = sweep_value(sweep);
    value["added"] = added.into();
    pretty(&value)
}

pub(crate) fn deleted(sweep: &SweepView, reused: u64, removed: &[PathBuf]) -> String {
    let mut value = sweep_value(sweep);
    value["taken_over"] = reused.into();
    value["removed"] = removed.iter().map(|folder| folder.display().to_string()).collect();
    pretty(&value)
}

pub(crate) fn archived(path: &Path, file: &WrittenFile) -> String {
    let WrittenFile { written, bytes, digest } = file;
    let mut value = counts_value(written.counts);
    let submission = &written.sweep.row.submission;
    value["id"] = submission.id.to_string().into();
    value["name"] = submission.name.as_str().into();
    value["trials"] = submission.trials.into();
    value["path"] = path.display().to_string().into();
    value["bytes"] = (*bytes).into();
    value["digest"] = digest.to_string().into();
    pretty(&value)
}

pub(crate) fn imported(sweep: &SweepView, counts: Counts, imported: Imported) -> String {
    let mut value = sweep_value(sweep);
    value["imported"] = (imported == Imported::New).into();
    value["entries"] = counts_value(counts);
    pretty(&value)
}

fn counts_value(Counts { results, curves, attempts, late }: Counts) -> Value {
    json!({ "results": results, "curves": curves, "attempts": attempts, "late_reports": late })
}

pub(crate) fn exported(path: &Path, rows: u64) -> String {
    pretty(&json!({ "path": path.display().to_string(), "rows": rows }))
}

pub(crate) fn exported_runs(path: &Path, files: u64) -> String {
    pretty(&json!({ "path": path.display().to_string(), "files": files }))
}

pub(crate) fn reported(path: &Path) -> String {
    pretty(&json!({ "report": path.display().to_string() }))
}

pub(crate) fn exported_to_server(summary: &Summary) -> String {
    let Summary { url, experiment, experiment_id, created, continued, unchanged, metrics } = summary;
    pretty(&json!({
        "url": url,
        "experiment": experiment,
        "experiment_id": experiment_id,
        "created": created,
        "continued": continued,
        "unchanged": unchanged,
        "metrics": metrics,
    }))
}

pub(crate) fn completions(shell: &str, script: &str) -> String {
    pretty(&json!({ "shell": shell, "script": script }))
}

pub(crate) fn manual(folder: &Path, pages: u64) -> String {
    pretty(&json!({ "path": folder.display().to_string(), "pages": pages }))
}

pub(crate) fn workers(workers: &[WorkerView]) -> String {
    pretty(&workers.iter().map(worker_value).collect::<Vec<_>>())
}

pub(crate) fn worker(worker: &WorkerView) -> String {
    pretty(&worker_value(worker))
}

pub(crate) fn outcome(sweep: &SweepView, cells: &[Cell], verdicts: &[&Contrast], folder: &ResultsFolder) -> String {
    let mut value = sweep_value(sweep);
    value["cells"] = cells.iter().map(cell_value).collect();
    let verdict = |contrast: &&Contrast| {
        let mut value = json!(contrast);
        value["sentence"] = sentence(contrast).into();
        value
    };
    value["verdicts"] = verdicts.iter().map(verdict).collect();
    value["results"] = folder.results.display().to_string().into();
    value["curves"] = folder.curves.display().to_string().into();
    value["figures"] = folder.figures.iter().map(|figure| figure.display().to_string()).collect();
    value["report"] = folder.report.display().to_string().into();
    pretty(&value)
}

pub(crate) fn plan(
    spec: &SweepSpec,
    plan: &Plan,
    datasets: &[PlannedDataset],
    widths: &[ResolvedWidth],
    reused: u64,
) -> String {
    let mut value = json!(plan);
    value["contrasts"] = spec.analysis.contrasts.iter().map(|one| planned_contrast(one, &spec.grid)).collect();
    value["datasets"] = datasets.iter().map(planned_dataset).collect();
    value["warnings"] =
        datasets.iter().filter_map(|dataset| dataset.summary.as_ref()).flat_map(DatasetSummary::warnings).collect();
    value["widths"] = json!(widths);
    value["reused"] = reused.into();
    pretty(&value)
}

pub(crate) fn presets(presets: &[Preset]) -> String {
    pretty(&presets.iter().map(|preset| json!({"name": preset.name, "summary": preset.summary})).collect::<Vec<_>>())
}

pub(crate) fn preset(preset: &Preset) -> String {
    pretty(&json!({"name": preset.name, "summary": preset.summary, "spec": preset.text, "format": "toml"}))
}

/// A planned contrast, and the number of pairs that it will have.
fn planned_contrast(contrast: &PlannedContrast, grid: &Grid) -> Value {
    let PlannedContrast { question, quantity, arms, shared } = contrast;
    let settings =
        |point: &Point| point.iter().map(|(setting, value)| (setting.name(), json!(value))).collect::<Value>();
    json!({
        "question": question,
        "measure": quantity,
        "arms": arms.each_ref().map(settings),
        "where": settings(shared),
        "pairs": contrast.pairs(grid),
    })
}

/// A dataset, its summary if known, and why it cannot be used.
fn planned_dataset(dataset: &PlannedDataset) -> Value {
    let mut value =
        dataset.summary.as_ref().map_or_else(|| json!({ "dataset": dataset.dataset }), |summary| json!(summary));
    value["lacking"] = json!(dataset.lacking);
    value
}

fn sweep_value(sweep: &SweepView) -> Value {
    json!({
        "id": sweep.id,
        "name": sweep.name,
        "state": sweep.state,
        "reason": sweep.reason,
        "trials": sweep.trials,
        "trajectories": sweep.trajectories,
        "completed": sweep.completed,
        "diverged": sweep.diverged,
        "failed": sweep.failed,
        "reused": sweep.reused,
        "running": sweep.running,
        "submitted_at_ms": sweep.submitted_at,
        "state_at_ms": sweep.state_at,
        "note": sweep.note,
    })
}

/// The execution options under their names in a spec.
fn execution_value(spec: &SweepSpec) -> Value {
    let ExecutionOptions { retries_max, checkpoint_every_s, share, reuse, priority, weight, require } = &spec.execution;
    json!({
        "retries": retries_max,
        "checkpoint_every_s": checkpoint_every_s,
        "share": share,
        "reuse": match reuse {
            Reuse::Always => json!(true),
            Reuse::SameCpuClass => json!(reuse.to_string()),
            Reuse::Never => json!(false),
        },
        "priority": priority,
        "weight": weight,
        "require": {
            "device": require.device,
            "memory_gb": require.memory_bytes as f64 / 1e9,
            "labels": require.labels,
        },
        "equivalence_margin": spec.analysis.equivalence_margin,
    })
}

fn worker_value(worker: &WorkerView) -> Value {
    json!({
        "id": worker.id,
        "name": worker.name,
        "device": worker.capabilities.device,
        "memory_bytes": worker.capabilities.memory_bytes,
        "labels": worker.capabilities.labels,
        "lanes": worker.lanes,
        "connected": worker.connected,
        "quarantined": worker.quarantined,
        "training": worker.training.iter().map(lane_value).collect::<Vec<_>>(),
    })
}

fn lane_value(lane: &LaneView) -> Value {
    let settings: serde_json::Map<String, Value> = lane
        .point
        .iter()
        .filter(|(setting, _)| setting.level() != Level::Stop)
        .map(|(setting, value)| (setting.name().to_owned(), json!(value)))
        .collect();
    json!({
        "sweep": lane.sweep,
        "trajectory": lane.trajectory,
        "attempt": lane.attempt,
        "settings": settings,
        "updates": lane.updates,
        "max_updates": lane.max_updates,
        "latest": lane.latest,
    })
}

fn incomplete_attempt_value(incomplete_attempt: &IncompleteAttempt) -> Value {
    json!({
        "trajectory": incomplete_attempt.trajectory,
        "attempt": incomplete_attempt.attempt,
        "worker": incomplete_attempt.worker_name,
        "outcome": incomplete_attempt.outcome,
        "cause": incomplete_attempt.cause,
        "at_ms": incomplete_attempt.at,
    })
}

fn incomplete_cause_value(cause: &IncompleteCause) -> Value {
    json!({
        "outcome": cause.outcome,
        "cause": cause.cause,
        "attempts": cause.attempts,
        "latest_at_ms": cause.latest,
    })
}

fn cell_value(cell: &Cell) -> Value {
    json!(cell)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_change_a_terminal_are_codes_of_the_same_value() {
        let name = "a\u{202e}b\u{1b}c\u{9b}ש";
        let text = pretty(&json!({ "name": name }));
        assert!(text.contains(r"a\u202eb\u001bc\u009bש"), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON")["name"], name);
    }
}
