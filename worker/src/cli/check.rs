//! `biosweep-worker check`: checks that the device and the dataset are ready, before any training.

use std::io::Write as _;

use biosweep_common::configuration::NUMERICS_VERSION;
use biosweep_common::vocabulary::dataset::{CustomData, DatasetRef};
use biosweep_data as data;
use biosweep_data::custom::digest;
use biosweep_data::summary::summarise;
use biosweep_engine::torch::device::Device;
use clap::Args;
use serde_json::json;

use super::failure::Failure;
use super::{DataArgs, OutputFormat, answer};

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// The dataset to check; for custom data npy:DIR or idx:DIR
    #[arg(long)]
    dataset: DatasetRef,
    /// The device to check
    #[arg(long, default_value = "cpu")]
    device: String,
    #[command(flatten)]
    data: DataArgs,
    /// The output format
    #[arg(long, value_enum, default_value_t = OutputFormat::Human)]
    output: OutputFormat,
}

pub(super) fn run(args: &CheckArgs) -> Result<(), Failure> {
    let device: Device = args.device.parse().map_err(Failure::from)?;
    device.prepare();
    let dataset = with_digest(&args.dataset)?;
    let loaded = data::load(&dataset, &args.data.places()).map_err(Failure::environment)?;
    let summary = summarise(&dataset, &loaded);
    for warning in summary.warnings() {
        // The result does not matter if stderr is closed.
        drop(writeln!(std::io::stderr(), "warning: {warning}"));
    }
    answer(&match args.output {
        OutputFormat::Human => format!("{dataset} and {device} are ready\n{summary}"),
        OutputFormat::Json => {
            let mut found = serde_json::to_value(&summary).map_err(Failure::environment)?;
            found["digest"] = json!(dataset.digest());
            found["device"] = json!(device.to_string());
            found["numerics_version"] = json!(NUMERICS_VERSION);
            found["version"] = json!(env!("CARGO_PKG_VERSION"));
            found.to_string()
        }
    })
}

/// Custom data without a digest gets the digest of its files.
fn with_digest(dataset: &DatasetRef) -> Result<DatasetRef, Failure> {
    match dataset {
        DatasetRef::Custom(own) if own.digest.is_none() => {
            let digest = digest::digest(own).map_err(Failure::environment)?;
            Ok(DatasetRef::Custom(CustomData { digest: Some(digest), ..own.clone() }))
        }
        dataset => Ok(dataset.clone()),
    }
}
