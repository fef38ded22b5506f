//! The folder a run leaves its files in: results, learning curves, figures.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use biosweep_common::ids::SweepId;
use biosweep_common::views::{CurveView, ResultView, SweepView};

use super::export::{self, Format};
use super::{aggregate, figures};

/// Characters of an id that tell sweeps apart: its whole time stamp, to the millisecond.
const ID_CHARACTERS: usize = 13;

/// A file of a run could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {path}: {source}; the results are safe in the store, `biosweep results` exports them")]
pub(crate) struct FolderError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// Where the files of a run lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ResultsFolder {
    /// One row a trial.
    pub(crate) results: PathBuf,
    /// One row an evaluation.
    pub(crate) curves: PathBuf,
    /// Pictures.
    pub(crate) figures: Vec<PathBuf>,
}

impl ResultsFolder {
    /// Writes all files of a sweep into its folder of the home, in place of those of an earlier run.
    pub(crate) fn write(
        home: &Path,
        sweep: &SweepView,
        results: &[ResultView],
        curves: &[CurveView],
    ) -> Result<Self, FolderError> {
        let folder = home.join("results").join(format!("{}-{}", file_name(&sweep.name), short(sweep.id)));
        fs::create_dir_all(&folder).map_err(|source| FolderError { path: folder.clone(), source })?;
        let results_path = write(folder.join("results.csv"), |out| {
            let mut export = export::Results::new(Format::Csv, out)?;
            results.iter().try_for_each(|result| export.write(result))?;
            export.finish()
        })?;
        let curves_path = write(folder.join("curves.csv"), |out| {
            let mut export = export::Curves::new(Format::Csv, out)?;
            curves.iter().try_for_each(|curve| export.write(curve))?;
            export.finish()
        })?;
        let cells = aggregate::cells(results);
        let pictures = [
            ("accuracy-by-depth.svg", figures::accuracy_by_depth(&sweep.name, &cells)),
            ("learning-curves.svg", figures::learning_curves(&sweep.name, &cells, curves)),
        ];
        let figures = pictures
            .into_iter()
            .map(|(name, svg)| write(folder.join(name), |out| out.write_all(svg.as_bytes())))
            .collect::<Result<_, _>>()?;
        Ok(Self { results: results_path, curves: curves_path, figures })
    }
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

fn short(id: SweepId) -> String {
    id.to_string().chars().take(ID_CHARACTERS).collect()
}

/// A sweep's name with all that could mean something to a file system replaced.
fn file_name(name: &str) -> String {
    name.chars().map(|c| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' }).collect()
}
