//! Messages about workers on a Slurm cluster.

use biosweep_common::results::views::SweepView;

use crate::cli::SlurmJob;

/// Workers were submitted.
pub(crate) fn workers_submitted(sweep: &SweepView, jobs: &[SlurmJob]) -> String {
    let SweepView { name, id, .. } = sweep;
    if jobs.is_empty() {
        return format!("no workers were submitted for {name} ({id})");
    }
    let ids: Vec<&str> = jobs.iter().map(|job| job.id.as_str()).collect();
    let workers: u32 = jobs.iter().map(|job| job.workers).sum();
    let (workers, are) =
        if workers == 1 { ("1 worker".to_owned(), "is") } else { (format!("{workers} workers"), "are") };
    let word = if jobs.len() == 1 { "job" } else { "jobs" };
    format!(
        "{workers} for {name} ({id}) {are} submitted as {word} {}\n\
         `squeue --jobs={}` lists them, `biosweep watch {id}` follows the sweep, `scancel {}` ends the workers",
        ids.join(", "),
        ids.join(","),
        ids.join(" ")
    )
}

/// The sweep has ended.
pub(crate) fn nothing_for_workers(sweep: &SweepView) -> String {
    let SweepView { name, id, state, .. } = sweep;
    let state = state.name();
    format!(
        "{name} ({id}) is {state}, so workers would have nothing to do; `biosweep extend` adds trials to a finished sweep"
    )
}

/// The sweep is paused.
pub(crate) fn paused_for_workers(sweep: &SweepView) -> String {
    let SweepView { name, id, .. } = sweep;
    format!("warning: {name} ({id}) is paused: workers get none of its trials until `biosweep resume {id}`")
}

/// The address is for this machine alone.
pub(crate) fn only_on_this_machine(url: &str, host: &str) -> String {
    format!(
        "warning: {url} reaches the coordinator from this machine only, so workers on other nodes never connect; let `biosweep serve \
         --listen` listen on an address of the network, and name it with --coordinator, such as http://{host}:7465"
    )
}

/// The program of the workers is not on this machine.
pub(crate) fn program_is_not_here(path: &str) -> String {
    format!("warning: there is no file {path} on this machine; each node needs the worker's program at this path")
}

/// A dry run prints the script of one array of several.
pub(crate) fn several_arrays(arrays: &[u32], first: u32) -> String {
    let sizes: Vec<String> = arrays.iter().map(u32::to_string).collect();
    format!(
        "the workers are {} arrays, of {} workers, because the cluster's MaxArraySize is {first}; this is the script of the first",
        arrays.len(),
        sizes.join(", ")
    )
}
