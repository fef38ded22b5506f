//! The results of a sweep in memory, for tables, comparisons and figures.

use biosweep_analysis::replicates::Replicates;
use biosweep_analysis::report::Spec;
use biosweep_common::configuration::Point;
use biosweep_common::grid::Grid;
use biosweep_common::results::views::SweepView;

use super::failure::Failure;
use crate::client::Client;

/// Maximum number of trials of an unfinished sweep whose missing replicates are counted.
const PLANNED_MAX: u64 = 1_000_000;

/// The results of a sweep with these settings. They are read in pages.
pub(super) async fn of_sweep(
    client: &mut Client,
    sweep: &SweepView,
    spec: &Spec,
    only: Point,
) -> Result<Replicates, Failure> {
    let mut replicates = Replicates::only(only);
    let mut pages = client.each_result(&sweep.id.to_string()).await?;
    while let Some(page) = pages.next().await? {
        page.iter().try_for_each(|result| replicates.add(result)).map_err(Failure::environment)?;
    }
    if let Some(grid) = planned(sweep, spec) {
        replicates.plan(grid);
    }
    Ok(replicates)
}

/// The grid by which missing replicates are counted; `None` if none is missing, or if there are too many trials to count them.
pub(super) fn planned<'a>(sweep: &SweepView, spec: &'a Spec) -> Option<&'a Grid> {
    let has_missing = sweep.ended() < sweep.trials && sweep.trials <= PLANNED_MAX;
    spec.parsed().filter(|_| has_missing).map(|spec| &spec.grid)
}
