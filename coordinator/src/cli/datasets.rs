//! The summaries of a sweep's datasets, and whether its trials can be trained on them. Both are printed before
//! training.

use std::path::Path;

use biosweep_common::plan::dataset_summary::DatasetSummary;
use biosweep_common::results::views::PlannedDataset;
use biosweep_common::spec::SweepSpec;
use biosweep_common::vocabulary::Dataset;
use biosweep_common::vocabulary::dataset::DatasetRef;
use biosweep_server::local::{self, LocalError, WorkerOptions};

use super::data::{self, Presence};
use super::failure::Failure;
use crate::terminal::say;

/// Checks that the trials can be trained on the sweep's named datasets. Their summaries are known without their files.
pub(super) fn check_named(spec: &SweepSpec) -> Result<(), Failure> {
    let published = spec.grid.datasets().into_iter().filter_map(|dataset| match dataset {
        DatasetRef::Named(dataset) => Some(DatasetSummary::of_named(dataset)),
        DatasetRef::Custom(_) => None,
    });
    check(&published.collect::<Vec<_>>(), spec)
}

/// Looks at the datasets of a plan. The worker program reads custom data, if it is installed.
pub(super) async fn look(
    spec: &SweepSpec,
    data_dir: Option<&Path>,
    home: Option<&Path>,
) -> Result<Vec<PlannedDataset>, Failure> {
    let mut looks = Vec::new();
    for dataset in spec.grid.datasets() {
        looks.push(match dataset {
            DatasetRef::Named(dataset) => look_at_named(dataset, data_dir, home),
            DatasetRef::Custom(_) => look_at_custom(dataset, data_dir, home).await?,
        });
    }
    let found: Vec<DatasetSummary> = looks.iter().filter_map(|look| look.summary.clone()).collect();
    warn_of(&found);
    check(&found, spec)?;
    Ok(looks)
}

fn look_at_named(dataset: Dataset, data_dir: Option<&Path>, home: Option<&Path>) -> PlannedDataset {
    let lacking = match data::presence(dataset, data_dir, home) {
        Presence::Embedded | Presence::Here(_) => None,
        presence => Some(data::in_words(dataset, &presence)),
    };
    PlannedDataset { dataset: dataset.into(), summary: Some(DatasetSummary::of_named(dataset)), lacking }
}

async fn look_at_custom(
    dataset: DatasetRef,
    data_dir: Option<&Path>,
    home: Option<&Path>,
) -> Result<PlannedDataset, Failure> {
    let found = match local::find_program() {
        Ok(program) => {
            let (device, data_dir) = ("cpu".to_owned(), data_dir.map(Path::to_owned));
            let home = home.unwrap_or(Path::new(".")).to_owned();
            let worker = WorkerOptions { program, device, data_dir, home, deadline: None, memory_bytes: None };
            worker.check(std::slice::from_ref(&dataset)).await
        }
        Err(error) => Err(error),
    };
    match found {
        Ok(mut found) => Ok(PlannedDataset { dataset, summary: found.pop(), lacking: None }),
        // A plan needs no worker program.
        Err(error @ (LocalError::NoProgram | LocalError::Start { .. })) => {
            Ok(PlannedDataset { dataset, summary: None, lacking: Some(format!("not checked: {error}")) })
        }
        Err(error) => Err(error.into()),
    }
}

/// Prints the summaries of the datasets of a sweep that is about to train.
pub(super) fn report(found: &[DatasetSummary], spec: Option<&SweepSpec>) -> Result<(), Failure> {
    found.iter().for_each(|summary| say(format!("{}: {summary}", summary.dataset.label())));
    warn_of(found);
    spec.map_or(Ok(()), |spec| check(found, spec))
}

fn warn_of(found: &[DatasetSummary]) {
    found.iter().flat_map(DatasetSummary::warnings).for_each(|warning| say(format!("warning: {warning}")));
}

/// Checks that every trial of a sweep can be trained on its datasets.
fn check(found: &[DatasetSummary], spec: &SweepSpec) -> Result<(), Failure> {
    let refusals: Vec<String> = found.iter().flat_map(|summary| summary.refusals(&spec.grid)).collect();
    if refusals.is_empty() { Ok(()) } else { Err(Failure::bad_input(refusals.join("\n  "))) }
}
