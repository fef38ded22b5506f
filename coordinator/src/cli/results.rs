//! `biosweep results`: a sweep's results, as a table for people or row by row for programs.

use std::io::{self, Write};
use std::path::Path;

use biosweep_common::views::{CurveView, ResultView, SweepView};
use clap::Args;

use super::failure::{Exit, Failure};
use super::{Coordinator, Output};
use crate::client::Client;
use crate::render::{answer, human, say, stdout_width, table};
use crate::results::aggregate;
use crate::results::export::{self, Format};

#[derive(Debug, Args)]
pub(crate) struct ResultsArgs {
    /// A sweep's id, the beginning of one, or a name
    sweep: String,
    /// How to write the rows [default: a table of means; with --output json, an array of the rows]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// The table of means in Markdown
    #[arg(long, conflicts_with_all = ["format", "curves"])]
    markdown: bool,
    /// The learning curves, one row an evaluation, in place of the results
    #[arg(long)]
    curves: bool,
    /// What was measured of layers, one row a value, in place of the results
    #[arg(long, conflicts_with_all = ["curves", "markdown"])]
    health: bool,
    #[command(flatten)]
    pub(super) coordinator: Coordinator,
}

pub(super) async fn run(args: &ResultsArgs, home: &Path, output: Output) -> Result<Exit, Failure> {
    let mut client = Client::connect(args.coordinator.target(home)).await?;
    let sweep = client.show(&args.sweep).await?.sweep;
    let id = sweep.id.to_string();
    if args.curves {
        let curves = client.curves(&id).await;
        client.close().await?;
        write_curves(args, &curves?, output)
    } else if args.health {
        let curves = client.curves(&id).await;
        client.close().await?;
        write_health(args, &curves?, output)
    } else {
        let results = client.results(&id).await;
        client.close().await?;
        write_results(args, &sweep, &results?, output)
    }
}

fn write_results(
    args: &ResultsArgs,
    sweep: &SweepView,
    results: &[ResultView],
    output: Output,
) -> Result<Exit, Failure> {
    let so_far = human::so_far(sweep);
    let rows = |format, out: &mut (dyn Write + Send)| {
        let mut export = export::Results::new(format, out)?;
        results.iter().try_for_each(|result| export.write(result))?;
        export.finish()
    };
    match (args.format, output) {
        (Some(format), _) => to_stdout(|out| rows(format, out)),
        (None, _) if args.markdown => answer(table::accuracies_markdown(&aggregate::cells(results), so_far.as_deref())),
        (None, Output::Human) => {
            answer(table::accuracies(&aggregate::cells(results), so_far.as_deref(), stdout_width()))
        }
        (None, Output::Json) => answer(array(|out| rows(Format::Jsonl, out))?),
    }
}

fn write_curves(args: &ResultsArgs, curves: &[CurveView], output: Output) -> Result<Exit, Failure> {
    let rows = |format, out: &mut (dyn Write + Send)| {
        let mut export = export::Curves::new(format, out)?;
        curves.iter().try_for_each(|curve| export.write(curve))?;
        export.finish()
    };
    write_rows(args, rows, output)
}

fn write_health(args: &ResultsArgs, curves: &[CurveView], output: Output) -> Result<Exit, Failure> {
    if curves.iter().all(|curve| curve.health.is_empty()) {
        let message = format!("nothing was measured of the layers of sweep `{}` so far", args.sweep);
        say(format_args!("{message}; a spec asks for it with a line such as measure = [\"update_angle\"]"));
    }
    let rows = |format, out: &mut (dyn Write + Send)| {
        let mut export = export::Health::new(format, out)?;
        curves.iter().try_for_each(|curve| export.write(curve))?;
        export.finish()
    };
    write_rows(args, rows, output)
}

/// The rows in the format that was asked for: CSV for people, a JSON array for programs.
fn write_rows(
    args: &ResultsArgs,
    rows: impl Fn(Format, &mut (dyn Write + Send)) -> io::Result<()>,
    output: Output,
) -> Result<Exit, Failure> {
    match (args.format, output) {
        (Some(format), _) => to_stdout(|out| rows(format, out)),
        (None, Output::Human) => to_stdout(|out| rows(Format::Csv, out)),
        (None, Output::Json) => answer(array(|out| rows(Format::Jsonl, out))?),
    }
}

fn to_stdout(write: impl FnOnce(&mut (dyn Write + Send)) -> io::Result<()>) -> Result<Exit, Failure> {
    let mut stdout = io::BufWriter::new(io::stdout());
    match write(&mut stdout).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(Exit::Done),
        // Whoever read the rows has read enough, as `head` does.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Done),
        Err(error) => Err(Failure::environment(format!("cannot write the rows: {error}"))),
    }
}

/// JSON lines as one JSON array.
fn array(write: impl FnOnce(&mut (dyn Write + Send)) -> io::Result<()>) -> Result<String, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::environment(format!("cannot write the rows: {error}"));
    let mut lines = Vec::new();
    write(&mut lines).map_err(|error| failed(&error))?;
    let text = String::from_utf8(lines).map_err(|error| failed(&error))?;
    Ok(format!("[{}]", text.lines().collect::<Vec<_>>().join(",\n")))
}
