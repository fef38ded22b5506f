//! `biosweep-worker check`: whether device and dataset are there, before anything is trained.

use biosweep_common::configuration::NUMERICS_VERSION;
use biosweep_common::dataset::DatasetRef;
use clap::Args;
use serde_json::json;

use super::failure::Failure;
use super::{DataArgs, Output, answer};
use crate::data;
use crate::device::Device;

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// The dataset to look for
    #[arg(long)]
    dataset: DatasetRef,
    /// The device to look for
    #[arg(long, default_value = "cpu")]
    device: String,
    #[command(flatten)]
    data: DataArgs,
    /// How to answer
    #[arg(long, value_enum, default_value_t = Output::Human)]
    output: Output,
}

pub(super) fn run(args: &CheckArgs) -> Result<(), Failure> {
    let device: Device = args.device.parse().map_err(Failure::from)?;
    device.prepare();
    data::load(&args.dataset, &args.data.places()).map_err(Failure::environment)?;
    answer(&match args.output {
        Output::Human => format!("{} and {device} are ready", args.dataset),
        Output::Json => json!({
            "dataset": args.dataset,
            "device": device.to_string(),
            "numerics_version": NUMERICS_VERSION,
            "version": env!("CARGO_PKG_VERSION"),
        })
        .to_string(),
    })
}
