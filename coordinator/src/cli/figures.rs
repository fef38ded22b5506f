//! `biosweep figures`: the figures of a sweep as SVG, PNG or PDF.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use biosweep_analysis::figures::{Figure, Format, Kind, Material, Width};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::json;

use super::Output;
use super::analysis::{Analysed, AnalysisArgs, Curves};
use super::answer::answer;
use super::failure::{Exit, Failure};
use crate::new_file::{Earlier, NewFile};
use crate::render::json;
use crate::terminal::say;

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
    check_kinds(args)?;
    let needs_curves = args.kind.is_empty() || args.kind.iter().any(|kind| kind.is_of_curves());
    let needed = if needs_curves { Curves::Read } else { Curves::Unread };
    let Analysed { title, replicates, curves, .. } = args.analysis.analysed(home, needed).await?;
    fs::create_dir_all(&args.to)
        .map_err(|error| Failure::environment(format!("cannot create the folder {}: {error}", args.to.display())))?;
    let material = Material { title: &title, replicates: &replicates, curves: curves.as_deref() };
    let kinds = if args.kind.is_empty() { material.kinds() } else { args.kind.clone() };
    let mut drawn = Vec::new();
    for kind in kinds {
        let figures = material.figures(kind, args.width);
        if figures.is_empty() {
            let why =
                format!("the sweep has no {kind}: its spec has no `measure`; see Layer diagnostics in docs/spec.md");
            return Err(Failure::bad_input(why));
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
    use super::*;

    #[test]
    fn a_width_is_in_inches_and_has_limits() {
        assert_eq!((width("3.3in"), width("6.8")), (Ok(Width::COLUMN), Ok(Width::PAGE)));
        assert!(width("wide").expect_err("bad").contains("such as 3.3in"));
        assert!(width("1in").expect_err("bad").contains("from 3 to 20 in"));
    }
}
