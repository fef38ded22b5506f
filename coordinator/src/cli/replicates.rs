//! The results of a sweep in memory, for tables, comparisons and figures.

use biosweep_analysis::replicates::Replicates;
use biosweep_analysis::report::Record;
use biosweep_common::results::views::{SpecView, SweepView};

use super::failure::Failure;
use crate::client::Client;

/// Maximum number of trials of an unfinished sweep whose missing replicates are counted.
const PLANNED_MAX: u64 = 1_000_000;

/// All results of a sweep. They are read in pages.
pub(super) async fn of_sweep(client: &mut Client, sweep: &SweepView) -> Result<Replicates, Failure> {
    let mut replicates = Replicates::default();
    let mut pages = client.each_result(&sweep.id.to_string()).await?;
    while let Some(page) = pages.next().await? {
        page.iter().try_for_each(|result| replicates.add(result)).map_err(Failure::environment)?;
    }
    plan(replicates, client, sweep).await
}

/// Counts the missing replicates of a record, if the sweep has trials without a result.
pub(super) fn plan_record(record: &mut Record, sweep: &SweepView, spec: &SpecView) {
    if has_missing(sweep) {
        spec.spec().iter().for_each(|spec| record.plan(&spec.grid));
    }
}

/// Counts the replicates that are missing, if the sweep has trials without a result.
async fn plan(mut replicates: Replicates, client: &mut Client, sweep: &SweepView) -> Result<Replicates, Failure> {
    if has_missing(sweep) {
        let spec = client.spec(&sweep.id.to_string()).await?.spec();
        spec.iter().for_each(|spec| replicates.plan(&spec.grid));
    }
    Ok(replicates)
}

/// Whether missing replicates are counted.
fn has_missing(sweep: &SweepView) -> bool {
    sweep.ended() < sweep.trials && sweep.trials <= PLANNED_MAX
}
