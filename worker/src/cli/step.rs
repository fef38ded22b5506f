//! `biosweep-worker step`: one update on tensors from a file.

use std::path::PathBuf;

use biosweep_engine::step;
use biosweep_engine::torch::device::Device;
use clap::{Args, ValueEnum};

use super::failure::Failure;

#[derive(Debug, Args)]
pub(super) struct StepArgs {
    /// The case: a JSON file with rule, network, activation, depth and, for dtp, target_step and noise_std
    #[arg(long, value_name = "JSON")]
    case: PathBuf,
    /// The tensors: param.L.weight, param.L.bias, feedback.L.weight, decoder.J.weight, decoder.J.bias, auxiliary.L.weight,
    /// auxiliary.L.bias, noise.J, x, y
    #[arg(long, value_name = "SAFETENSORS")]
    tensors: PathBuf,
    /// The file for the results
    #[arg(long, value_name = "SAFETENSORS")]
    out: PathBuf,
    /// The precision
    #[arg(long, value_enum, default_value_t = Dtype::Float64)]
    dtype: Dtype,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Dtype {
    /// As in training
    Float32,
    /// To compare with exact references
    Float64,
}

pub(super) fn run(args: &StepArgs) -> Result<(), Failure> {
    Device::Cpu.prepare();
    let step = match args.dtype {
        Dtype::Float32 => step::run::<f32>,
        Dtype::Float64 => step::run::<f64>,
    };
    step(&args.case, &args.tensors, &args.out).map_err(Failure::bad_input)
}
