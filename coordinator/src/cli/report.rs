//! `biosweep report`: the report of a sweep as one HTML page.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use biosweep_analysis::compare::{Comparison, verdicts};
use biosweep_analysis::figures::Material;
use biosweep_analysis::report::{self, Contents, Record, Spec, Subject, illustrations};
use biosweep_common::configuration::Point;
use biosweep_common::results::views::{CurveView, SweepStatus};
use biosweep_host::clock::Clock;
use clap::Args;

use super::analysis::{AnalysisArgs, no_results, titled};
use super::answer::answer;
use super::failure::{Exit, Failure};
use super::files::Files;
use super::{Coordinator, Output, replicates};
use crate::client::Client;
use crate::files::folder;
use crate::files::new_file::{Earlier, NewFile};
use crate::render::{human, json};

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    #[command(flatten)]
    pub(super) analysis: AnalysisArgs,
    /// Path of the file [default: report-NAME.html]
    #[arg(long, value_name = "PATH")]
    to: Option<PathBuf>,
    /// Replace an existing file
    #[arg(long)]
    force: bool,
}

pub(super) async fn run(args: &ReportArgs, home: &Path, output: Output) -> Result<Exit, Failure> {
    let only = args.analysis.only()?;
    let (name, html) = match (args.analysis.asks(), args.analysis.sweep()) {
        (Some(coordinator), Some(sweep)) => of_sweep(sweep, coordinator, home, only).await?,
        _ => of_file(&args.analysis, only)?,
    };
    let default = || PathBuf::from(format!("report-{}.html", folder::file_name(&name)));
    let earlier = if args.force { Earlier::Replace } else { Earlier::Keep };
    let mut file = NewFile::create(&args.to.clone().unwrap_or_else(default), earlier)?;
    let written = file.write_all(html.as_bytes());
    let path = file.keep(written)?;
    answer(match output {
        Output::Human => human::reported(&path),
        Output::Json => json::reported(&path),
    })
}

/// The name of a sweep, and its report.
async fn of_sweep(
    sweep: &str,
    coordinator: &Coordinator,
    home: &Path,
    only: Point,
) -> Result<(String, String), Failure> {
    let mut client = Client::connect_to_read(coordinator.target(home)).await?;
    let status = client.show(sweep).await?;
    let id = status.sweep.id.to_string();
    let spec = Spec::of(client.spec(&id).await?);
    let mut record = Record::only(only.clone());
    let mut pages = client.each_result(&id).await?;
    while let Some(page) = pages.next().await? {
        page.iter().try_for_each(|result| record.add(result)).map_err(Failure::environment)?;
    }
    if let Some(grid) = replicates::planned(&status.sweep, &spec) {
        record.plan(grid);
    }
    if record.is_empty() {
        return Err(no_results(sweep, Some(sweep), &only));
    }
    let mut curves = Vec::new();
    let mut answers = client.each_curve(&id).await?;
    while let Some(curve) = answers.next().await? {
        curves.extend(Some(curve).filter(|curve| record.has(curve)));
    }
    client.close().await?;
    let comparison = verdicts(record.replicates(), &spec.analysis());
    let title = titled(folder::title(&status.sweep), &only);
    let html = written(subject(&status, &spec), &record, &comparison, &title, Some(&curves));
    Ok((status.sweep.name, html))
}

/// The title of files of results, and their report.
fn of_file(analysis: &AnalysisArgs, only: Point) -> Result<(String, String), Failure> {
    let Files { title: name, results, plan } = analysis.files()?;
    let mut record = Record::only(only.clone());
    results.iter().try_for_each(|result| record.add(result)).map_err(Failure::environment)?;
    if record.is_empty() {
        return Err(no_results(&name, None, &only));
    }
    let comparison = verdicts(record.replicates(), &plan?);
    let html = written(Subject::File { name: &name }, &record, &comparison, &titled(name.clone(), &only), None);
    Ok((name, html))
}

/// The report of a sweep.
pub(super) fn html(
    status: &SweepStatus,
    spec: &Spec,
    record: &Record,
    comparison: &Comparison,
    curves: &[CurveView],
) -> String {
    written(subject(status, spec), record, comparison, &folder::title(&status.sweep), Some(curves))
}

const fn subject<'a>(status: &'a SweepStatus, spec: &'a Spec) -> Subject<'a> {
    let SweepStatus { sweep, incomplete_attempts: attempts, incomplete_causes: causes, .. } = status;
    Subject::Sweep { sweep, spec, attempts: attempts.as_slice(), causes: causes.as_slice() }
}

fn written(
    subject: Subject<'_>,
    record: &Record,
    comparison: &Comparison,
    title: &str,
    curves: Option<&[CurveView]>,
) -> String {
    let material = Material { title, replicates: record.replicates(), comparison, curves };
    let illustrations = illustrations(material);
    let (now, version) = (Clock::start().wall(), env!("CARGO_PKG_VERSION"));
    report::html(&Contents { subject, record, comparison, illustrations: &illustrations, now, version })
}
