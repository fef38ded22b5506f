//! `biosweep results`: a sweep's results, as a table for people or as rows for programs.

use std::io::{self, Write};
use std::path::Path;

use biosweep_analysis::aggregate;
use biosweep_analysis::export::Format;
use biosweep_analysis::replicates::Divergence;
use clap::Args;

use super::answer::answer;
use super::export::{format, refuse_terminal};
use super::failure::{Exit, Failure};
use super::{Coordinator, Output, replicates};
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

pub(super) async fn run(args: &ResultsArgs, home: &Path, output: Output) -> Result<Exit, Failure> {
    if let Some(format) = args.format {
        refuse_terminal(&args.sweep, format)?;
    }
    let mut client = Client::connect_to_read(args.coordinator.target(home)).await?;
    let what = match (args.curves, args.diagnostics) {
        (true, _) => What::Curves,
        (_, true) => What::Diagnostics,
        _ => What::Results,
    };
    let is_table = what == What::Results && args.format.is_none() && (args.markdown || output == Output::Human);
    let written = match is_table {
        true => means(args, &mut client).await,
        false => write_rows(args, what, &mut client, output).await,
    };
    client.close().await?;
    written
}

async fn means(args: &ResultsArgs, client: &mut Client) -> Result<Exit, Failure> {
    let sweep = client.show(&args.sweep).await?.sweep;
    let divergence = if args.completed_only { Divergence::LeftOut } else { Divergence::Guess };
    let cells = aggregate::cells(&replicates::of_sweep(client, &sweep).await?, divergence);
    let so_far = human::so_far(&sweep);
    answer(match args.markdown {
        true => table::accuracies_markdown(&cells, divergence, so_far.as_deref()),
        false => table::accuracies(&cells, divergence, so_far.as_deref(), stdout_width()),
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

/// Whether JSON lines are joined to one JSON array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Array {
    Yes,
    No,
}

/// Writes rows to stdout as they arrive, because all rows may need more memory than there is.
pub(super) struct Stdout {
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
    pub(super) fn new(array: Array) -> Self {
        Self { out: io::BufWriter::new(io::stdout()), array, state: ArrayState::Unbegun }
    }

    pub(super) fn end(mut self, written: io::Result<()>) -> Result<Exit, Failure> {
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
