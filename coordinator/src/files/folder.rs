//! The folder with the files of a run: results, learning curves, figures, report.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use biosweep_analysis::aggregate::Cell;
use biosweep_analysis::export::{self, Format, Provenance};
use biosweep_analysis::figures::{self, Width};
use biosweep_common::results::views::{CurveView, ResultView, SweepView};
use biosweep_common::vocabulary::ids::SweepId;

use crate::render::human::so_far;

/// Number of id characters that distinguish sweeps: the time stamp, to the millisecond.
const ID_CHARACTERS: usize = 13;
/// Maximum bytes of the sweep's name in a folder name. With the id it fits every file system.
const NAME_BYTES_MAX: usize = 100;

/// A file of a run could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {path}: {source}; the results are safe in the store; export them with `biosweep results`")]
pub(crate) struct FolderError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// The files of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ResultsFolder {
    /// The results, one row per trial.
    pub(crate) results: PathBuf,
    /// The learning curves, one row per evaluation.
    pub(crate) curves: PathBuf,
    /// The figures.
    pub(crate) figures: Vec<PathBuf>,
    /// The report, an HTML page.
    pub(crate) report: PathBuf,
}

impl ResultsFolder {
    /// Writes all files of a sweep into its folder in the home, and replaces those of an earlier run.
    pub(crate) fn write(
        home: &Path,
        sweep: &SweepView,
        results: &[ResultView],
        cells: &[Cell],
        curves: &[CurveView],
        report: &str,
    ) -> Result<Self, FolderError> {
        let folder = of(home, sweep);
        fs::create_dir_all(&folder).map_err(|source| FolderError { path: folder.clone(), source })?;
        // CSV has no place for a spec.
        let provenance = Provenance { sweep, spec: None, version: env!("CARGO_PKG_VERSION") };
        let results_path = write(folder.join("results.csv"), |out| {
            let mut export = export::Results::new(Format::Csv, &provenance, out)?;
            results.iter().try_for_each(|result| export.write(result))?;
            export.finish()
        })?;
        let curves_path = write(folder.join("curves.csv"), |out| {
            let mut export = export::Curves::new(Format::Csv, &provenance, out)?;
            curves.iter().try_for_each(|curve| export.write(curve))?;
            export.finish()
        })?;
        let title = title(sweep);
        let pictures = [
            ("accuracy-by-depth.svg", figures::accuracy_by_depth(&title, cells, Width::PAGE)),
            ("learning-curves.svg", figures::learning_curves(&title, cells, curves, Width::PAGE)),
        ];
        let figures = pictures
            .into_iter()
            .map(|(name, figure)| write(folder.join(name), |out| out.write_all(figure.svg().as_bytes())))
            .collect::<Result<_, _>>()?;
        let report = write(folder.join("report.html"), |out| out.write_all(report.as_bytes()))?;
        Ok(Self { results: results_path, curves: curves_path, figures, report })
    }
}

/// The title of a figure. For an unfinished sweep it says so.
pub(crate) fn title(sweep: &SweepView) -> String {
    match so_far(sweep) {
        Some(so_far) => format!("{} ({so_far})", sweep.name),
        None => sweep.name.clone(),
    }
}

/// The folder of a sweep.
pub(crate) fn of(home: &Path, sweep: &SweepView) -> PathBuf {
    home.join("results").join(folder_name(&sweep.name, sweep.id))
}

fn write(
    path: PathBuf,
    content: impl FnOnce(&mut (dyn Write + Send)) -> io::Result<()>,
) -> Result<PathBuf, FolderError> {
    let written = File::create(&path).and_then(|file| {
        let mut out = BufWriter::new(file);
        content(&mut out)?;
        out.flush()
    });
    match written {
        Ok(()) => Ok(path),
        Err(source) => Err(FolderError { path, source }),
    }
}

/// The name of a sweep's folder: its name with special characters replaced, and the part of its id that distinguishes
/// it. If the name has to be cut, the complete id.
fn folder_name(name: &str, id: SweepId) -> String {
    let cut = file_name(name);
    let id = id.to_string();
    if cut.chars().count() < name.chars().count() {
        format!("{cut}-{id}")
    } else {
        format!("{cut}-{}", &id[..ID_CHARACTERS])
    }
}

/// A sweep's name as the start of a file name: with special characters replaced, and cut if it is long.
pub(crate) fn file_name(name: &str) -> String {
    let replaced = |c: char| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' };
    let mut name: String = name.chars().map(replaced).collect();
    name.truncate(name.floor_char_boundary(NAME_BYTES_MAX));
    name
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_longest_name_of_a_sweep_gives_a_valid_folder_name() {
        let id = |number: u128| SweepId(Uuid::from_u128(number));
        let name = "漢".repeat(128);
        let folder = folder_name(&name, id(1));
        assert!(folder.len() <= 143, "{} bytes", folder.len());
        let place = tempfile::tempdir().expect("a folder");
        fs::create_dir(place.path().join(&folder)).expect("its name is not too long");
        assert_ne!(folder, folder_name(&name, id(2)));
        assert_eq!(folder_name("a/b c", id(1)), "a-b-c-00000000-0000");
    }

    #[test]
    fn no_name_of_a_sweep_leads_out_of_its_folder() {
        for name in ["..", ".", "../x", "a/../..", "\u{202e}", "~"] {
            let folder = folder_name(name, SweepId(Uuid::from_u128(1)));
            for file in [folder, format!("report-{}.html", file_name(name)), format!("{}-tensorboard", file_name(name))]
            {
                let parts: Vec<_> = Path::new(&file).components().collect();
                assert!(matches!(parts.as_slice(), [std::path::Component::Normal(_)]), "{name}: {file}");
                assert!(!file.contains('\u{202e}'), "{file}");
            }
        }
    }
}
