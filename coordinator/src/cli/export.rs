//! `biosweep export`: a sweep's results, curves or diagnostics as a file for other programs.

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

use biosweep_analysis::export::Format;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::answer::answer;
use super::failure::{Exit, Failure};
use super::results::{Array, Stdout};
use super::{Coordinator, Output};
use crate::client::Client;
use crate::folder;
use crate::new_file::{Earlier, NewFile};
use crate::render::{human, json};
use crate::rows::{self, Origin, What};

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// A sweep's id, the start of an id, or a name
    sweep: String,
    /// Format of the file
    #[arg(long, value_parser = format())]
    format: Format,
    /// Rows of the file
    #[arg(long, value_parser = what(), default_value = "results")]
    what: What,
    /// Path of the file [default: stdout for csv and jsonl, otherwise NAME-WHAT.FORMAT in the current folder]
    #[arg(long, value_name = "PATH")]
    to: Option<PathBuf>,
    /// Replace an existing file
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    pub(super) coordinator: Coordinator,
}

/// Parses a format by its name; the help lists the names.
pub(super) fn format() -> impl TypedValueParser<Value = Format> {
    PossibleValuesParser::new(Format::NAMES).try_map(|name| name.parse::<Format>())
}

fn what() -> impl TypedValueParser<Value = What> {
    PossibleValuesParser::new(What::NAMES).try_map(|name| name.parse::<What>())
}

pub(super) async fn run(args: &ExportArgs, home: &Path, output: Output) -> Result<Exit, Failure> {
    let mut client = Client::connect_to_read(args.coordinator.target(home)).await?;
    let exported = export(args, &mut client, output).await;
    client.close().await?;
    exported
}

async fn export(args: &ExportArgs, client: &mut Client, output: Output) -> Result<Exit, Failure> {
    let origin = Origin::of(&args.sweep, client).await?;
    let path = match &args.to {
        Some(path) => path.clone(),
        None if args.format.is_text() => {
            let mut out = Stdout::new(Array::No);
            let written = rows::write(args.what, args.format, &origin, client, &mut out).await?;
            return out.end(written.map(drop));
        }
        None => {
            let name = folder::file_name(&origin.sweep.name);
            PathBuf::from(format!("{name}-{}.{}", args.what, args.format))
        }
    };
    let earlier = if args.force { Earlier::Replace } else { Earlier::Keep };
    let mut file = NewFile::create(&path, earlier)?;
    let (written, rows) = match rows::write(args.what, args.format, &origin, client, &mut file).await? {
        Ok(rows) => (Ok(()), rows),
        Err(error) => (Err(error), 0),
    };
    let path = file.keep(written)?;
    answer(match output {
        Output::Human => human::exported(&path, rows),
        Output::Json => json::exported(&path, rows),
    })
}

/// Refuses to write bytes that are no text to a terminal.
pub(super) fn refuse_terminal(sweep: &str, format: Format) -> Result<(), Failure> {
    if format.is_text() || !io::stdout().is_terminal() {
        return Ok(());
    }
    Err(Failure::bad_input(format!(
        "a terminal cannot show {format}; send stdout to a file, or use `biosweep export {sweep} --format {format}`"
    )))
}
