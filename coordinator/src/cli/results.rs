//! `biosweep results`: a sweep's results, as a table for people or as rows for programs.

use std::path::Path;

use biosweep_analysis::aggregate;
use biosweep_analysis::export::Format;
use biosweep_analysis::replicates::Divergence;
use biosweep_analysis::report::Spec;
use biosweep_common::configuration::Point;
use clap::Args;

use super::answer::{Array, Stdout, answer};
use super::export::{format, refuse_terminal};
use super::failure::{Exit, Failure};
use super::{Coordinator, Output, TableFormat, replicates};
use crate::client::Client;
use crate::render::{human, table};
use crate::rows::{self, Origin, What};
use crate::terminal::stdout_width;

#[derive(Debug, Args)]
pub(crate) struct ResultsArgs {
    /// A sweep's id, the start of an id, or a name
    sweep: String,
    /// Format of the rows [default: a table of means; with --output json, a JSON array of rows]
    #[arg(long, value_parser = format())]
    format: Option<Format>,
    /// Print the table of means in Markdown, like --output markdown
    #[arg(long, conflicts_with_all = ["format", "curves"])]
    markdown: bool,
    /// Leave diverged replicates out of the means of the table, in place of counting them as a guess
    #[arg(long, conflicts_with_all = ["format", "curves", "diagnostics"])]
    completed_only: bool,
    /// Print the learning curves, one row per evaluation, in place of the results
    #[arg(long)]
    curves: bool,
    /// Print the layer diagnostics, one row per value, in place of the results
    #[arg(long, alias = "health", conflicts_with_all = ["curves", "markdown"])]
    diagnostics: bool,
    #[command(flatten)]
    pub(super) coordinator: Coordinator,
}

pub(super) async fn run(args: &ResultsArgs, home: &Path, output: TableFormat) -> Result<Exit, Failure> {
    if let Some(format) = args.format {
        refuse_terminal(&args.sweep, format)?;
    }
    let mut client = Client::connect_to_read(args.coordinator.target(home)).await?;
    let what = match (args.curves, args.diagnostics) {
        (true, _) => What::Curves,
        (_, true) => What::Diagnostics,
        _ => What::Results,
    };
    let is_of_means = what == What::Results && args.format.is_none();
    let written = match output {
        _ if is_of_means && args.markdown => means(args, &mut client, TableFormat::Markdown).await,
        TableFormat::Human | TableFormat::Markdown | TableFormat::Latex if is_of_means => {
            means(args, &mut client, output).await
        }
        // Rows are CSV by default.
        TableFormat::Csv => write_rows(args, what, &mut client, Output::Human).await,
        output => match output.plain() {
            Ok(output) => write_rows(args, what, &mut client, output).await,
            Err(error) => Err(error),
        },
    };
    client.close().await?;
    written
}

async fn means(args: &ResultsArgs, client: &mut Client, output: TableFormat) -> Result<Exit, Failure> {
    let sweep = client.show(&args.sweep).await?.sweep;
    let divergence = if args.completed_only { Divergence::LeftOut } else { Divergence::Guess };
    let spec = Spec::of(client.spec(&sweep.id.to_string()).await?);
    let cells = aggregate::cells(&replicates::of_sweep(client, &sweep, &spec, Point::new()).await?, divergence);
    let so_far = human::so_far(&sweep);
    answer(match output {
        TableFormat::Markdown => table::accuracies_markdown(&cells, divergence, so_far.as_deref()),
        TableFormat::Latex => table::accuracies_latex(&cells, divergence, so_far.as_deref()),
        _ => table::accuracies(&cells, divergence, so_far.as_deref(), stdout_width()),
    })
}

async fn write_rows(args: &ResultsArgs, what: What, client: &mut Client, output: Output) -> Result<Exit, Failure> {
    let origin = Origin::of(&args.sweep, client).await?;
    let (format, array) = format_of(args, output);
    let mut out = Stdout::new(array);
    let written = rows::write(what, format, &origin, client, &mut out).await?;
    out.end(written.map(drop))
}

/// The requested format: by default CSV for people and a JSON array for programs.
const fn format_of(args: &ResultsArgs, output: Output) -> (Format, Array) {
    match (args.format, output) {
        (Some(format), _) => (format, Array::No),
        (None, Output::Human) => (Format::Csv, Array::No),
        (None, Output::Json) => (Format::Jsonl, Array::Yes),
    }
}
