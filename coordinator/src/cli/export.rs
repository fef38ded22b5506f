//! `biosweep export`: a sweep's results, curves or diagnostics for other programs, as files or on an MLflow server.

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use biosweep_analysis::export::Format;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::answer::{Array, Stdout, answer};
use super::failure::{Exit, Failure};
use super::{Coordinator, Output};
use crate::client::Client;
use crate::export::event_files::EventFolder;
use crate::export::mlflow::{self, Credentials, Server};
use crate::files::folder;
use crate::files::new_file::{Earlier, NewFile};
use crate::render::{human, json};
use crate::rows::{self, Origin, What};

/// The names beside the formats of rows: TensorBoard's event files, and the runs of an MLflow server.
const TENSORBOARD: &str = "tensorboard";
const MLFLOW: &str = "mlflow";

/// The time for which a call is repeated if an MLflow server does not answer or fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// The format of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ExportFormat {
    /// A file of rows.
    Rows(Format),
    /// A folder of TensorBoard event files.
    TensorBoard,
    /// Runs on an MLflow tracking server.
    Mlflow,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// A sweep's id, the start of an id, or a name
    sweep: String,
    /// Format of the file, or tensorboard for a folder of event files, or mlflow for an MLflow tracking server
    #[arg(long, value_parser = export_format())]
    format: ExportFormat,
    /// Rows of the file [default: results]
    #[arg(long, value_parser = what())]
    what: Option<What>,
    /// Path of the file [default: stdout for csv and jsonl, otherwise NAME-WHAT.parquet or the folder NAME-tensorboard];
    /// for mlflow the address of the server, such as http://127.0.0.1:5000
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

fn export_format() -> impl TypedValueParser<Value = ExportFormat> {
    let names = Format::NAMES.iter().copied().chain([TENSORBOARD, MLFLOW]);
    PossibleValuesParser::new(names).try_map(|name| match name.as_str() {
        TENSORBOARD => Ok(ExportFormat::TensorBoard),
        MLFLOW => Ok(ExportFormat::Mlflow),
        name => name.parse().map(ExportFormat::Rows),
    })
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
    match args.format {
        ExportFormat::Rows(format) => export_rows(args, format, client, output).await,
        ExportFormat::TensorBoard => export_runs(args, client, output).await,
        ExportFormat::Mlflow => export_to_server(args, client, output).await,
    }
}

async fn export_rows(args: &ExportArgs, format: Format, client: &mut Client, output: Output) -> Result<Exit, Failure> {
    let origin = Origin::of(&args.sweep, client).await?;
    let what = args.what.unwrap_or(What::Results);
    let path = match &args.to {
        Some(path) => path.clone(),
        None if format.is_text() => {
            let mut out = Stdout::new(Array::No);
            let written = rows::write(what, format, &origin, client, &mut out).await?;
            return out.end(written.map(drop));
        }
        None => PathBuf::from(format!("{}-{what}.{format}", folder::file_name(&origin.sweep.name))),
    };
    let earlier = if args.force { Earlier::Replace } else { Earlier::Keep };
    let mut file = NewFile::create(&path, earlier)?;
    let (written, rows) = match rows::write(what, format, &origin, client, &mut file).await? {
        Ok(rows) => (Ok(()), rows),
        Err(error) => (Err(error), 0),
    };
    let path = file.keep(written)?;
    answer(match output {
        Output::Human => human::exported(&path, rows),
        Output::Json => json::exported(&path, rows),
    })
}

async fn export_runs(args: &ExportArgs, client: &mut Client, output: Output) -> Result<Exit, Failure> {
    refuse_options(args, TENSORBOARD, "event files have results and curves, and a folder is never replaced")?;
    let sweep = client.show(&args.sweep).await?.sweep;
    let path = match &args.to {
        Some(path) => path.clone(),
        None => PathBuf::from(format!("{}-{TENSORBOARD}", folder::file_name(&sweep.name))),
    };
    let mut folder = EventFolder::create(&path)?;
    let written = folder.write(&sweep, client).await?;
    let files = folder.keep(written)?;
    answer(match output {
        Output::Human => human::exported_runs(&path, files),
        Output::Json => json::exported_runs(&path, files),
    })
}

async fn export_to_server(args: &ExportArgs, client: &mut Client, output: Output) -> Result<Exit, Failure> {
    refuse_options(args, MLFLOW, "a run has results and curves, and nothing on a server is replaced")?;
    let Some(url) = args.to.as_ref().and_then(|url| url.to_str()) else {
        let why = "give the address of the server, such as --to http://127.0.0.1:5000";
        return Err(Failure::bad_input(format!("--format {MLFLOW} needs --to: {why}")));
    };
    let server = Server::new(url, Credentials::of_environment()?, PATIENCE)?;
    let sweep = client.show(&args.sweep).await?.sweep;
    let summary = mlflow::export(&sweep, client, server).await??;
    answer(match output {
        Output::Human => human::exported_to_server(&summary),
        Output::Json => json::exported_to_server(&summary),
    })
}

/// Refuses the options of files of rows.
fn refuse_options(args: &ExportArgs, format: &str, why: &str) -> Result<(), Failure> {
    let option = match (args.force, args.what) {
        (true, _) => "--force",
        (false, Some(_)) => "--what",
        (false, None) => return Ok(()),
    };
    Err(Failure::bad_input(format!("{option} does not go with --format {format}: {why}; omit it")))
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
