//! The size and cost of a sweep before it runs.

use std::fmt::Write as _;

use biosweep_analysis::compare::{ALPHA, in_words};
use biosweep_analysis::report::words::duration;
use biosweep_analysis::statistics::sign_flip::smallest_p;
use biosweep_common::plan::widths::ResolvedWidth;
use biosweep_common::plan::{BlockPlan, Plan};
use biosweep_common::results::views::PlannedDataset;
use biosweep_common::settings::{Setting, short_real};
use biosweep_common::spec::presets::Preset;
use biosweep_common::spec::{PlannedContrast, SweepSpec};
use biosweep_common::vocabulary::Quantity;

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

/// Numbers of pairs that are considered.
const PAIRS_MAX: usize = 20;

/// The maximum number of widths that are listed.
const WIDTHS_MAX: usize = 20;

/// The planned contrasts, and what so many pairs can show.
fn contrasts(spec: &SweepSpec) -> String {
    let planned = &spec.analysis.contrasts;
    let Some(pairs) = planned.iter().map(|contrast| contrast.pairs(&spec.grid)).min() else { return String::new() };
    let mut text = "\nplanned contrasts, the second arm against the first:\n".to_owned();
    for (index, contrast) in planned.iter().enumerate() {
        let PlannedContrast { question, quantity, arms, shared } = contrast;
        let question = question.iter().map(|question| format!("{question} ")).collect::<String>();
        let shared = if shared.is_empty() { String::new() } else { format!("{}: ", in_words(shared)) };
        let slope = if *quantity == Quantity::Slope { ", slopes" } else { "" };
        let [first, second] = arms.each_ref().map(in_words);
        let _fits = writeln!(text, "  {}. {question}{shared}{first} | {second}{slope}", index + 1);
    }
    // The first step of Holm's correction multiplies by the number of contrasts.
    let family = planned.len() as f64;
    let best = |pairs: usize| (family * smallest_p(pairs)).min(1.0);
    let replicates = counted(pairs as u64, "pair of replicates", "pairs of replicates");
    let _fits = match (pairs..=PAIRS_MAX).find(|&pairs| best(pairs) <= ALPHA) {
        Some(enough) if enough > pairs => writeln!(
            text,
            "warning: {replicates} cannot show a difference: p is {:.3} at best with Holm's correction; {enough} can",
            best(pairs)
        ),
        _ => writeln!(text, "{replicates}: p is {:.3} at best with Holm's correction", best(pairs)),
    };
    text
}

/// The size and cost of a sweep.
pub(crate) fn plan(
    spec: &SweepSpec,
    plan: &Plan,
    datasets: &[PlannedDataset],
    widths: &[ResolvedWidth],
    reused: u64,
) -> String {
    let mut text = format!("{}: {}\n", spec.name, contents(plan.trials, plan.trajectories, plan.bundles));
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
    text += &contrasts(spec);
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
