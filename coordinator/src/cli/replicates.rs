//! The results of a sweep in memory, for tables, comparisons and figures.

use biosweep_analysis::replicates::Replicates;
use biosweep_common::grid::Grid;
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
    if let Some(grid) = planned(sweep, spec) {
        replicates.plan(&grid);
    }
    Ok(replicates)
}

/// The margin of equivalence of a sweep.
pub(super) fn margin(spec: &SpecView) -> f64 {
    spec.spec().map_or(EQUIVALENCE_MARGIN, |spec| spec.execution.equivalence_margin)
}

/// The grid by which missing replicates are counted; `None` if none is missing, or if there are too many trials to count them.
pub(super) fn planned(sweep: &SweepView, spec: &SpecView) -> Option<Grid> {
    let has_missing = sweep.ended() < sweep.trials && sweep.trials <= PLANNED_MAX;
    has_missing.then(|| spec.spec()).flatten().map(|spec| spec.grid)
}
