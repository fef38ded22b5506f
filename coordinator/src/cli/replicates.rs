//! The results of a sweep in memory, for tables, comparisons and figures.

use biosweep_analysis::replicates::Replicates;
use biosweep_analysis::report::Record;
use biosweep_common::results::views::{SpecView, SweepView};
use biosweep_common::spec::EQUIVALENCE_MARGIN;

use super::failure::Failure;
use crate::client::Client;

/// Maximum number of trials of an unfinished sweep whose missing replicates are counted.
const PLANNED_MAX: u64 = 1_000_000;

/// All results of a sweep. They are read in pages.
pub(super) async fn of_sweep(client: &mut Client, sweep: &SweepView, spec: &SpecView) -> Result<Replicates, Failure> {
    let mut replicates = Replicates::default();
    let mut pages = client.each_result(&sweep.id.to_string()).await?;
    while let Some(page) = pages.next().await? {
        page.iter().try_for_each(|result| replicates.add(result)).map_err(Failure::environment)?;
    }
    if has_missing(sweep) {
        spec.spec().iter().for_each(|spec| replicates.plan(&spec.grid));
    }
    Ok(replicates)
}

/// The margin of equivalence of a sweep.
pub(super) fn margin(spec: &SpecView) -> f64 {
    spec.spec().map_or(EQUIVALENCE_MARGIN, |spec| spec.execution.equivalence_margin)
}

/// Counts the missing replicates of a record, if the sweep has trials without a result.
pub(super) fn plan_record(record: &mut Record, sweep: &SweepView, spec: &SpecView) {
    if has_missing(sweep) {
        spec.spec().iter().for_each(|spec| record.plan(&spec.grid));
    }
}

/// Whether missing replicates are counted.
fn has_missing(sweep: &SweepView) -> bool {
    sweep.ended() < sweep.trials && sweep.trials <= PLANNED_MAX
}
