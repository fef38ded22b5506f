//! `biosweep figures`: the figures of a sweep as SVG, PNG or PDF.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use biosweep_analysis::aggregate;
use biosweep_analysis::axes::importance::importance;
use biosweep_analysis::axes::sensitivity;
use biosweep_analysis::figures::{self, Figure, Format, Width};
use biosweep_analysis::replicates::{Divergence, Replicates};
use biosweep_common::names;
use biosweep_common::results::views::CurveView;
use biosweep_common::vocabulary::diagnostics::Measure;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::json;

use super::Output;
use super::analysis::AnalysisArgs;
use super::answer::answer;
use super::failure::{Exit, Failure};
use crate::client::Client;
use crate::new_file::{Earlier, NewFile};
use crate::render::json;
use crate::terminal::say;

names! {
    /// The kind of a figure.
    Kind("kind of figure") {
        /// Test accuracy by depth, the paper's Figure 1.
        AccuracyByDepth = "accuracy-by-depth",
        /// Test accuracies of all settings, sorted, the paper's Figure 2.
        Sensitivity = "sensitivity",
        /// Test accuracy by learning rate.
        LearningRate = "learning-rate",
        /// Test accuracy by the number of settings tried.
        TuningBudget = "tuning-budget",
        /// How much each axis matters.
        Importance = "importance",
        /// Validation accuracy by updates.
        LearningCurves = "learning-curves",
        /// Diagnostics of each layer by updates, a figure for each measure.
        Diagnostics = "diagnostics",
    }
}

#[derive(Debug, Args)]
pub(crate) struct FiguresArgs {
    #[command(flatten)]
    pub(super) analysis: AnalysisArgs,
    /// The figures to draw [default: all that the results allow]
    #[arg(long, value_parser = kind(), value_delimiter = ',')]
    kind: Vec<Kind>,
    /// Format of the files
    #[arg(long, value_parser = format(), default_value = "svg")]
    format: Format,
    /// Width at which the figure is printed, in inches; text has at least 7 points there
    #[arg(long, value_parser = width, default_value = "6.8in", value_name = "WIDTH")]
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
    let kinds = kinds(args)?;
    let (title, replicates) = args.analysis.titled(home).await?;
    let curves = match args.analysis.sweep().zip(args.analysis.asks()) {
        Some((sweep, coordinator)) if kinds.iter().any(|kind| kind.is_of_curves()) => {
            let mut client = Client::connect_to_read(coordinator.target(home)).await?;
            let curves = client.curves(sweep).await?;
            client.close().await?;
            curves
        }
        _ => Vec::new(),
    };
    fs::create_dir_all(&args.to)
        .map_err(|error| Failure::environment(format!("cannot create the folder {}: {error}", args.to.display())))?;
    let material = Material { title: &title, replicates: &replicates, curves: &curves, width: args.width };
    let mut paths = Vec::new();
    for kind in kinds {
        let figures = material.figures(kind);
        if figures.is_empty() && args.kind.contains(&kind) {
            let why = format!("the sweep has no {kind}: its spec measures none; see `diagnostics` in docs/spec.md");
            return Err(Failure::bad_input(why));
        }
        for (name, figure) in figures {
            warn_of_missing(&figure, args.format);
            paths.push(write(args, &name, &figure)?);
        }
    }
    answer(match output {
        Output::Human => paths.iter().map(|path| format!("figure  {}\n", path.display())).collect(),
        Output::Json => json::pretty(&json!({ "figures": paths })),
    })
}

impl Kind {
    /// Whether it shows learning curves or diagnostics, which a file of results has not.
    const fn is_of_curves(self) -> bool {
        matches!(self, Self::LearningCurves | Self::Diagnostics)
    }
}

/// The kinds to draw.
fn kinds(args: &FiguresArgs) -> Result<Vec<Kind>, Failure> {
    let has_curves = args.analysis.sweep().is_some();
    if let Some(kind) = args.kind.iter().find(|kind| !has_curves && kind.is_of_curves()) {
        return Err(Failure::bad_input(format!(
            "a file of results has no {kind}; name the sweep in place of --from, or another --kind"
        )));
    }
    Ok(match args.kind.as_slice() {
        [] => Kind::ALL.iter().copied().filter(|kind| has_curves || !kind.is_of_curves()).collect(),
        asked => asked.to_vec(),
    })
}

/// What figures are drawn from.
struct Material<'a> {
    title: &'a str,
    replicates: &'a Replicates,
    curves: &'a [CurveView],
    width: Width,
}

impl Material<'_> {
    /// The figures of a kind with the names of their files.
    fn figures(&self, kind: Kind) -> Vec<(String, Figure)> {
        let Self { title, replicates, curves, width } = *self;
        let cells = || aggregate::cells(replicates, Divergence::Guess);
        let figure = match kind {
            Kind::AccuracyByDepth => figures::accuracy_by_depth(title, &cells(), width),
            Kind::Sensitivity => figures::sensitivity(title, &sensitivity::sorted(replicates), width),
            Kind::LearningRate => figures::accuracy_by_learning_rate(title, replicates, width),
            Kind::TuningBudget => figures::tuning_budget(title, &sensitivity::spreads(replicates), width),
            Kind::Importance => figures::importance(title, importance(replicates).as_ref(), width),
            Kind::LearningCurves => figures::learning_curves(title, &cells(), curves, width),
            Kind::Diagnostics => {
                let name = |measure: Measure| measure.name().replace('_', "-");
                let figures = figures::diagnostics(title, &cells(), curves, width);
                return figures.into_iter().map(|(measure, figure)| (name(measure), figure)).collect();
            }
        };
        vec![(kind.name().to_owned(), figure)]
    }
}

fn write(args: &FiguresArgs, name: &str, figure: &Figure) -> Result<PathBuf, Failure> {
    let bytes = figure.encode(args.format).map_err(Failure::bad_input)?;
    let path = args.to.join(format!("{name}.{}", args.format.extension()));
    let earlier = if args.force { Earlier::Replace } else { Earlier::Keep };
    let mut file = NewFile::create(&path, earlier)?;
    let written = file.write_all(&bytes);
    Ok(file.keep(written)?)
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
    use super::*;

    #[test]
    fn a_width_is_in_inches_and_has_limits() {
        assert_eq!((width("3.3in"), width("6.8")), (Ok(Width::COLUMN), Ok(Width::PAGE)));
        assert!(width("wide").expect_err("bad").contains("such as 3.3in"));
        assert!(width("1in").expect_err("bad").contains("from 3 to 20 in"));
    }
}
