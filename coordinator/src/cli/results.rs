//! `biosweep results`: a sweep's results, as a table for people or as rows for programs.

use std::io::{self, Write};
use std::path::Path;

use biosweep_analysis::aggregate;
use biosweep_analysis::export::{self, Format};
use biosweep_analysis::replicates::Divergence;
use biosweep_common::results::views::{CurveView, SweepView};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::answer::answer;
use super::failure::{Exit, Failure};
use super::{Coordinator, Output, replicates};
use crate::client::Client;
use crate::render::{human, table};
use crate::terminal::{say, stdout_width};

#[derive(Debug, Args)]
pub(crate) struct ResultsArgs {
    /// A sweep's id, the start of an id, or a name
    sweep: String,
    /// Format of the rows [default: a table of means; with --output json, a JSON array of rows]
    #[arg(long, value_parser = format())]
    format: Option<Format>,
    /// Print the table of means in Markdown
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

/// Parses a format by its name; the help lists the names.
fn format() -> impl TypedValueParser<Value = Format> {
    PossibleValuesParser::new(Format::NAMES).try_map(|name| name.parse::<Format>())
}

pub(super) async fn run(args: &ResultsArgs, home: &Path, output: Output) -> Result<Exit, Failure> {
    let mut client = Client::connect_to_read(args.coordinator.target(home)).await?;
    let sweep = client.show(&args.sweep).await?.sweep;
    let written = if args.curves {
        write_curves(args, &sweep, &mut client, output).await
    } else if args.diagnostics {
        write_diagnostics(args, &sweep, &mut client, output).await
    } else {
        write_results(args, &sweep, &mut client, output).await
    };
    client.close().await?;
    written
}

async fn write_results(
    args: &ResultsArgs,
    sweep: &SweepView,
    client: &mut Client,
    output: Output,
) -> Result<Exit, Failure> {
    let (format, array) = match (args.format, output) {
        (Some(format), _) => (format, Array::No),
        (None, Output::Json) if !args.markdown => (Format::Jsonl, Array::Yes),
        (None, _) => return write_table(args, sweep, client).await,
    };
    let mut pages = client.each_result(&sweep.id.to_string()).await?;
    let mut out = Stdout::new(array);
    let mut written = Ok(());
    let mut export = export::Results::new(format, &mut out).map_err(unwritten)?;
    while written.is_ok()
        && let Some(page) = pages.next().await?
    {
        written = page.iter().try_for_each(|result| export.write(result));
    }
    let written = written.and_then(|()| export.finish());
    out.end(written)
}

async fn write_table(args: &ResultsArgs, sweep: &SweepView, client: &mut Client) -> Result<Exit, Failure> {
    let divergence = if args.completed_only { Divergence::LeftOut } else { Divergence::Guess };
    let cells = aggregate::cells(&replicates::of_sweep(client, sweep).await?, divergence);
    let so_far = human::so_far(sweep);
    answer(match args.markdown {
        true => table::accuracies_markdown(&cells, divergence, so_far.as_deref()),
        false => table::accuracies(&cells, divergence, so_far.as_deref(), stdout_width()),
    })
}

async fn write_curves(
    args: &ResultsArgs,
    sweep: &SweepView,
    client: &mut Client,
    output: Output,
) -> Result<Exit, Failure> {
    let (format, array) = rows(args, output);
    let mut out = Stdout::new(array);
    let mut export = export::Curves::new(format, &mut out).map_err(unwritten)?;
    let written = each_curve(sweep, client, |curve| export.write(curve)).await?;
    let written = written.and_then(|()| export.finish());
    out.end(written)
}

async fn write_diagnostics(
    args: &ResultsArgs,
    sweep: &SweepView,
    client: &mut Client,
    output: Output,
) -> Result<Exit, Failure> {
    let (format, array) = rows(args, output);
    let mut out = Stdout::new(array);
    let mut is_empty = true;
    let mut export = export::Diagnostics::new(format, &mut out).map_err(unwritten)?;
    let written = each_curve(sweep, client, |curve| {
        is_empty &= curve.diagnostics.is_empty();
        export.write(curve)
    });
    let written = written.await?.and_then(|()| export.finish());
    if is_empty {
        let message = format!("sweep `{}` has no layer diagnostics so far", args.sweep);
        say(format_args!("{message}; turn them on in a spec with a line such as measure = [\"update_angle\"]"));
    }
    out.end(written)
}

/// Writes the curves of a sweep as they arrive.
async fn each_curve(
    sweep: &SweepView,
    client: &mut Client,
    mut write: impl FnMut(&CurveView) -> io::Result<()>,
) -> Result<io::Result<()>, Failure> {
    let mut curves = client.each_curve(&sweep.id.to_string()).await?;
    let mut written = Ok(());
    while written.is_ok()
        && let Some(curve) = curves.next().await?
    {
        written = write(&curve);
    }
    Ok(written)
}

/// The requested format: by default CSV for people and a JSON array for programs.
const fn rows(args: &ResultsArgs, output: Output) -> (Format, Array) {
    match (args.format, output) {
        (Some(format), _) => (format, Array::No),
        (None, Output::Human) => (Format::Csv, Array::No),
        (None, Output::Json) => (Format::Jsonl, Array::Yes),
    }
}

/// Whether JSON lines are joined to one JSON array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Array {
    Yes,
    No,
}

/// Writes rows to stdout as they arrive, because all rows may need more memory than there is.
struct Stdout {
    out: io::BufWriter<io::Stdout>,
    array: Array,
    state: ArrayState,
}

/// The state of an array in the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ArrayState {
    Unbegun,
    InRow,
    AfterRow,
}

impl Stdout {
    fn new(array: Array) -> Self {
        Self { out: io::BufWriter::new(io::stdout()), array, state: ArrayState::Unbegun }
    }

    fn end(mut self, written: io::Result<()>) -> Result<Exit, Failure> {
        let end = match (self.array, self.state) {
            (Array::No, _) => "",
            (Array::Yes, ArrayState::Unbegun) => "[]\n",
            (Array::Yes, _) => "]\n",
        };
        match written.and_then(|()| self.out.write_all(end.as_bytes())).and_then(|()| self.out.flush()) {
            Ok(()) => Ok(Exit::Done),
            // The reader, such as `head`, has closed the pipe because it needs no more.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Done),
            Err(error) => Err(unwritten(error)),
        }
    }
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.array == Array::No {
            return self.out.write(bytes);
        }
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            match self.state {
                ArrayState::Unbegun => self.out.write_all(b"[")?,
                ArrayState::InRow => {}
                ArrayState::AfterRow => self.out.write_all(b",\n")?,
            }
            let row = line.strip_suffix(b"\n");
            self.state = if row.is_some() { ArrayState::AfterRow } else { ArrayState::InRow };
            self.out.write_all(row.unwrap_or(line))?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn unwritten(error: io::Error) -> Failure {
    Failure::environment(format!("cannot write the rows: {error}"))
}
