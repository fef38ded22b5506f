//! The size and cost of a sweep before it runs.

use std::fmt::Write as _;

use biosweep_analysis::report::words::duration;
use biosweep_common::plan::widths::ResolvedWidth;
use biosweep_common::plan::{BlockPlan, Plan};
use biosweep_common::results::views::PlannedDataset;
use biosweep_common::settings::{Setting, short_real};
use biosweep_common::spec::presets::Preset;

use super::amounts::{self, counted};

pub(crate) fn presets(presets: &[Preset]) -> String {
    let width = presets.iter().map(|preset| preset.name.len()).max().unwrap_or(0);
    let line = |preset: &Preset| format!("{:<width$}  {}\n", preset.name, preset.summary);
    presets.iter().map(line).collect()
}

fn contents(trials: u64, trajectories: u64, bundles: u64) -> String {
    let trajectories = counted(trajectories, "trajectory", "trajectories");
    format!("{} = {trajectories} in {}", amounts::trials(trials), counted(bundles, "bundle", "bundles"))
}

fn stops_early(block: &BlockPlan) -> bool {
    let named =
        block.axes.iter().flat_map(|axis| &axis.settings).chain(block.constants.iter().map(|(setting, _)| setting));
    named.into_iter().any(|&setting| setting == Setting::EarlyStopStart)
}

/// The maximum number of widths that are listed.
const WIDTHS_MAX: usize = 20;

/// The size and cost of a sweep.
pub(crate) fn plan(
    name: &str,
    plan: &Plan,
    datasets: &[PlannedDataset],
    widths: &[ResolvedWidth],
    reused: u64,
) -> String {
    let mut text = format!("{name}: {}\n", contents(plan.trials, plan.trajectories, plan.bundles));
    for PlannedDataset { dataset, summary, lacking } in datasets {
        let parts: Vec<String> = summary.iter().map(ToString::to_string).chain(lacking.clone()).collect();
        let _fits = writeln!(text, "data {}: {}", dataset.label(), parts.join("; "));
    }
    for width in widths.iter().take(WIDTHS_MAX) {
        let ResolvedWidth { dataset, network, depth, parameters_as, hidden, units, .. } = width;
        let _fits = writeln!(
            text,
            "units of {network} with {depth} hidden layers on {}, as large as {parameters_as} with {hidden}: {units} \
             ({} parameters; {parameters_as} has {})",
            dataset.label(),
            width.parameters,
            width.parameters_wanted
        );
    }
    if widths.len() > WIDTHS_MAX {
        let _fits = writeln!(text, "and {} more (--output json lists all)", widths.len() - WIDTHS_MAX);
    }
    for (index, block) in plan.blocks.iter().enumerate() {
        let contents = contents(block.trials, block.trajectories, block.bundles);
        let _fits = writeln!(text, "\nblock {index}: {contents}");
        for axis in &block.axes {
            let names: Vec<&str> = axis.settings.iter().map(|setting| setting.name()).collect();
            let _fits = writeln!(text, "  {:<20} {:>8} ×  {}", names.join("/"), axis.count, axis.values);
        }
        for (setting, value) in &block.constants {
            let _fits = writeln!(text, "  {:<20} {:>8}    {value}", setting.name(), "");
        }
    }
    let _fits = write!(
        text,
        "\nat most {} updates, about {} on one core",
        short_real(plan.updates_max),
        duration(plan.core_seconds)
    );
    if plan.blocks.iter().any(stops_early) {
        text.push_str("; early stopping reduces this");
    }
    if plan.saving > 0.0 {
        let _fits = write!(
            text,
            "\nsharing saves {:.0} % of the work: without it there are {} updates",
            100.0 * plan.saving,
            short_real(plan.updates_unshared),
        );
    }
    if reused > 0 {
        let _fits = write!(text, "\n{reused} of the trials would reuse stored results (--no-reuse trains them)");
    }
    text
}
