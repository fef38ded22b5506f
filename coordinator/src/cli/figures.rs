//! `biosweep figures`: the figures of a sweep as SVG, PNG or PDF.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use biosweep_analysis::compare::{Comparison, Question, compare, verdicts};
use biosweep_analysis::figures::{Figure, Format, Kind, Material, Width};
use biosweep_common::results::views::CurveView;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::json;

use super::Output;
use super::analysis::{Analysed, AnalysisArgs, ArmsArgs, Curves};
use super::answer::answer;
use super::failure::{Exit, Failure};
use crate::files::new_file::{Earlier, NewFile};
use crate::render::json;
use crate::terminal::say;

#[derive(Debug, Args)]
pub(crate) struct FiguresArgs {
    #[command(flatten)]
    pub(super) analysis: AnalysisArgs,
    #[command(flatten)]
    arms: ArmsArgs,
    /// The figures to draw [default: all that the results allow]
    #[arg(long, value_parser = kind(), value_delimiter = ',')]
    kind: Vec<Kind>,
    /// Format of the files
    #[arg(long, value_parser = format(), default_value = "svg")]
    format: Format,
    /// Width at which the figure is printed, in inches; text has at least 7 points there
    #[arg(long, value_parser = width, default_value = "6.8in", value_name = "WIDTH", allow_hyphen_values = true)]
    width: Width,
    /// Folder of the files
    #[arg(long, default_value = ".", value_name = "DIR")]
    to: PathBuf,
    /// Replace existing files
    #[arg(long)]
    force: bool,
}

fn kind() -> impl TypedValueParser<Value = Kind> {
    PossibleValuesParser::new(Kind::NAMES).try_map(|name| name.parse::<Kind>())
}

fn format() -> impl TypedValueParser<Value = Format> {
    let names = Format::ALL.iter().map(|format| format.extension());
    PossibleValuesParser::new(names).try_map(|name| {
        let format = Format::ALL.iter().copied().find(|format| format.extension() == name);
        format.ok_or_else(|| format!("`{name}` is no format"))
    })
}

/// Parses `3.3in` or `3.3`.
fn width(text: &str) -> Result<Width, String> {
    let inches = text.strip_suffix("in").unwrap_or(text).trim().parse::<f64>();
    let inches = inches.map_err(|_| "write it in inches, such as 3.3in for a column or 6.8in for a page".to_owned())?;
    Width::from_inches(inches).map_err(|error| error.to_string())
}

pub(super) async fn run(args: &FiguresArgs, home: &Path, output: Output) -> Result<Exit, Failure> {
    check_kinds(args)?;
    let needs_curves = args.kind.is_empty() || args.kind.iter().any(|kind| kind.is_of_curves());
    let needed = if needs_curves { Curves::Read } else { Curves::Unread };
    let Analysed { title, replicates, plan, curves } = args.analysis.analysed(home, needed).await?;
    let needs_plan = args.kind.is_empty() || args.kind.contains(&Kind::Contrasts);
    let comparison = match (needs_plan, args.arms.are_given()) {
        (false, _) => Comparison::default(),
        (true, true) => compare(&replicates, &Question { margin: plan?.equivalence_margin, ..args.arms.question()? })
            .map_err(Failure::bad_input)?,
        (true, false) => verdicts(&replicates, &plan?),
    };
    create_folder(&args.to)?;
    let material =
        Material { title: &title, replicates: &replicates, comparison: &comparison, curves: curves.as_deref() };
    let kinds = if args.kind.is_empty() { material.kinds() } else { args.kind.clone() };
    let mut drawn = Vec::new();
    for kind in kinds {
        let figures = material.figures(kind, args.width);
        if figures.is_empty() {
            return Err(Failure::bad_input(format!("there are no {kind}: {}", why_none(curves.as_deref()))));
        }
        drawn.extend(figures);
    }
    // Every file is started before the first one is kept, so that an earlier file refuses all of them.
    let files = drawn.into_iter().map(|(name, figure)| Ok((start(args, &name)?, figure)));
    let mut paths = Vec::new();
    for (mut file, figure) in files.collect::<Result<Vec<_>, Failure>>()? {
        warn_of_missing(&figure, args.format);
        let bytes = figure.encode(args.format).map_err(Failure::bad_input)?;
        let written = file.write_all(&bytes);
        paths.push(file.keep(written)?);
    }
    answer(match output {
        Output::Human => paths.iter().map(|path| format!("figure  {}\n", path.display())).collect(),
        Output::Json => json::pretty(&json!({ "figures": paths })),
    })
}

/// Creates the folder of the files, if there is none.
fn create_folder(folder: &Path) -> Result<(), Failure> {
    if folder.exists() && !folder.is_dir() {
        let path = folder.display();
        return Err(Failure::bad_input(format!(
            "--to {path}: it is a file, and figures need a folder; name another one"
        )));
    }
    fs::create_dir_all(folder).map_err(|error| {
        let path = folder.display();
        Failure::environment(format!("cannot create the folder {path}: {error}; name another one with --to"))
    })
}

/// Why a sweep with these curves has no figures of diagnostics. Figures of other kinds are always drawn, and say why a panel
/// is empty.
fn why_none(curves: Option<&[CurveView]>) -> &'static str {
    let curves = curves.unwrap_or_default();
    if curves.is_empty() {
        "no trial has a learning curve yet; draw them once trials have been evaluated"
    } else if curves.iter().all(|curve| curve.diagnostics.is_empty()) {
        "the curves have no diagnostics, which a spec turns on with `measure`; see Layer diagnostics in docs/spec.md"
    } else {
        "only other settings than those shown have diagnostics: figures show the chosen settings at the greatest depth; \
         choose others with --where"
    }
}

/// A file of results has no curves.
fn check_kinds(args: &FiguresArgs) -> Result<(), Failure> {
    match args.kind.iter().find(|kind| args.analysis.sweep().is_none() && kind.is_of_curves()) {
        Some(kind) => Err(Failure::bad_input(format!(
            "a file of results has no {kind}; name the sweep in place of --from, or another --kind"
        ))),
        None => Ok(()),
    }
}

/// Starts the file of a figure.
fn start(args: &FiguresArgs, name: &str) -> Result<NewFile, Failure> {
    let path = args.to.join(format!("{name}.{}", args.format.extension()));
    let earlier = if args.force { Earlier::Replace } else { Earlier::Keep };
    Ok(NewFile::create(&path, earlier)?)
}

/// The bundled font lacks some scripts. In SVG the reader's fonts draw them.
fn warn_of_missing(figure: &Figure, format: Format) {
    let missing = figure.missing_characters();
    if format != Format::Svg && !missing.is_empty() {
        let missing: String = missing.into_iter().collect();
        say(format_args!("warning: the font of figures lacks {missing}; they are empty boxes, but not in SVG"));
    }
}

#[cfg(test)]
mod tests {
    use biosweep_analysis::samples::{curves, paper};
    use biosweep_common::vocabulary::diagnostics::{DiagnosticPoint, Measure};
    use clap::Parser as _;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn a_width_is_in_inches_and_has_limits() {
        assert_eq!((width("3.3in"), width("6.8")), (Ok(Width::COLUMN), Ok(Width::PAGE)));
        assert!(width("wide").expect_err("bad").contains("such as 3.3in"));
        assert!(width("1in").expect_err("bad").contains("from 3 to 20 in"));
        let given = ["biosweep", "figures", "s", "--width", "-1in"];
        let error = Cli::try_parse_from(given).expect_err("a negative width").to_string();
        assert!(error.contains("from 3 to 20 in"), "{error}");
    }

    #[test]
    fn the_cause_of_missing_diagnostics_is_the_true_one() {
        let results = paper(1);
        let mut views = curves(&results[..2]);
        assert!(why_none(None).contains("no trial has a learning curve yet"));
        assert!(why_none(Some(&views)).contains("turns on with `measure`"));
        let point = DiagnosticPoint { update: 390, layer: 1, measure: Measure::UpdateAngle, value: 61.5 };
        views[1].diagnostics.push(point);
        assert!(why_none(Some(&views)).contains("only other settings"));
    }

    #[test]
    fn a_file_in_place_of_the_folder_is_refused_with_a_next_step() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("a-file");
        fs::write(&file, "x").expect("a disk");
        let error = create_folder(&file).expect_err("a file");
        assert!(error.exit == Exit::BadInput && error.to_string().contains("a-file: it is a file"), "{error}");
        let below = create_folder(&file.join("b")).expect_err("below a file").to_string();
        assert!(below.contains("; name another one with --to"), "{below}");
        create_folder(&folder.path().join("a/b")).expect("a new folder");
    }
}
