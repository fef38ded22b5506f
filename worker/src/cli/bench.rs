//! `biosweep-worker bench`: updates per second, and those of the bare matrix products of the same update.

use biosweep_common::configuration::{Convolution, Hyperparameters, Procedure, Shape, Skip};
use biosweep_common::rules::Rule;
use biosweep_common::vocabulary::{ActivationFunction, Dataset, Network, Optimizer};
use biosweep_engine::bench;
use biosweep_engine::torch::device::Device;
use clap::Args;

use super::failure::Failure;
use super::{OutputFormat, answer};

#[derive(Debug, Args)]
pub(super) struct BenchArgs {
    /// The learning rule
    #[arg(long, default_value_t = Rule::Bp)]
    rule: Rule,
    /// The kind of network
    #[arg(long, default_value_t = Network::Nn)]
    network: Network,
    /// The activation function of the hidden layers
    #[arg(long, default_value_t = ActivationFunction::Relu)]
    activation: ActivationFunction,
    /// The number of hidden layers
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    depth: u32,
    /// Units of each hidden layer
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    hidden: u32,
    /// Images in an update
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    batch: u32,
    /// The optimiser
    #[arg(long, default_value_t = Optimizer::Adam)]
    optimizer: Optimizer,
    /// The number of updates to measure
    #[arg(long, default_value_t = 3_000, value_parser = clap::value_parser!(u32).range(1..))]
    updates: u32,
    /// The output format
    #[arg(long, value_enum, default_value_t = OutputFormat::Human)]
    output: OutputFormat,
}

pub(super) fn run(args: &BenchArgs) -> Result<(), Failure> {
    Device::Cpu.prepare();
    let shape = Shape {
        dataset: Dataset::SyntheticDigits.into(),
        network: args.network,
        rule: args.rule,
        activation: args.activation,
        depth: args.depth,
        hidden: args.hidden,
        parameters_as: None,
        convolution: Convolution::default(),
        skip: Skip::default(),
        procedure: Procedure::default(),
        batch_size: args.batch,
        optimizer: args.optimizer,
        eval_every: 390,
    };
    let hyperparameters = Hyperparameters::default();
    let measured = bench::run(&shape, &hyperparameters, args.updates).map_err(Failure::bad_input)?;
    answer(&match args.output {
        OutputFormat::Human => format!(
            "{} {} {} {} with {}: {:.0} updates/s; its bare matrix products alone {:.0}/s; ratio {:.2}; \
             an evaluation of 10,000 images costs {:.1} updates",
            args.rule,
            args.network,
            args.activation,
            args.depth,
            args.optimizer,
            measured.updates_per_s,
            measured.floor_updates_per_s,
            measured.ratio,
            measured.evaluation_updates
        ),
        OutputFormat::Json => serde_json::to_string_pretty(&measured).map_err(Failure::environment)?,
    })
}
