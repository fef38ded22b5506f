//! `biosweep data`: downloads datasets and lists those on this machine.

use std::env;
use std::path::{Path, PathBuf};

use biosweep_common::vocabulary::Dataset;
use biosweep_data::download::{self, FetchError};
use biosweep_data::downloadable::{Downloadable, DownloadableFile};
use clap::Subcommand;
use serde_json::json;

use super::Output;
use super::answer::answer;
use super::failure::{Exit, Failure};
use crate::render::json;
use crate::terminal::say;

#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// List the datasets, and whether their files are on this machine
    List,
    /// Download a dataset's files into the home folder and verify them
    Fetch {
        /// Name of the dataset
        name: Dataset,
        /// Another address to download from: of the folder with the files, or of the archive for cifar-10; may be
        /// repeated
        #[arg(long, value_name = "URL")]
        mirror: Vec<String>,
    },
}

pub(super) fn run(command: &DataCommand, home: &Path, output: Output) -> Result<Exit, Failure> {
    match command {
        DataCommand::List => list(home, output),
        DataCommand::Fetch { name, mirror } => fetch(*name, mirror, home, output),
    }
}

fn fetch(dataset: Dataset, mirrors: &[String], home: &Path, output: Output) -> Result<Exit, Failure> {
    let published = Downloadable::of(dataset)
        .ok_or_else(|| Failure::bad_input(format!("`{dataset}` needs no files to download")))?;
    let own = published.mirrors.iter().map(|mirror| (*mirror).to_owned()).collect();
    let mirrors = if mirrors.is_empty() { own } else { mirrors.to_vec() };
    let folder = home.join("datasets").join(dataset.name());
    let fetched = download::fetch(published, &mirrors, &folder, say);
    let paths = fetched.map_err(|error: FetchError| Failure::from_environment(error))?;
    answer(match output {
        Output::Human => format!("{dataset} is in {}: {} files, verified", folder.display(), paths.len()),
        Output::Json => json::pretty(&json!({ "dataset": dataset, "folder": folder, "files": paths })),
    })
}

/// Whether a dataset's files are on this machine.
pub(super) enum Presence {
    /// The dataset needs no files.
    Embedded,
    /// All files are there; the folder of the first one.
    Here(PathBuf),
    /// Some files are there: how many, and of how many.
    Partly(usize, usize),
    /// No file is there.
    Absent,
}

fn list(home: &Path, output: Output) -> Result<Exit, Failure> {
    let all = Dataset::ALL.iter().map(|&dataset| (dataset, presence(dataset, None, Some(home))));
    answer(match output {
        Output::Human => {
            let width = Dataset::NAMES.iter().map(|name| name.len()).max().unwrap_or(0);
            all.map(|(dataset, presence)| format!("{dataset:width$}  {}\n", in_words(dataset, &presence))).collect()
        }
        Output::Json => {
            let row = |(dataset, presence): (Dataset, Presence)| {
                let (state, folder) = match presence {
                    Presence::Embedded => ("embedded", None),
                    Presence::Here(folder) => ("here", Some(folder)),
                    Presence::Partly(..) => ("partly", None),
                    Presence::Absent => ("absent", None),
                };
                json!({ "dataset": dataset, "state": state, "folder": folder })
            };
            json::pretty(&all.map(row).collect::<Vec<_>>())
        }
    })
}

pub(super) fn in_words(dataset: Dataset, presence: &Presence) -> String {
    match presence {
        Presence::Embedded => "built in; needs no files".to_owned(),
        Presence::Here(folder) => format!("in {}; verified when used", folder.display()),
        Presence::Partly(here, all) => {
            format!("{here} of {all} files; `biosweep data fetch {dataset}` downloads the rest")
        }
        Presence::Absent => format!("not on this machine; `biosweep data fetch {dataset}` downloads it"),
    }
}

/// Searches the same directories as workers with this `--data-dir`.
pub(super) fn presence(dataset: Dataset, data_dir: Option<&Path>, home: Option<&Path>) -> Presence {
    let Some(published) = Downloadable::of(dataset) else { return Presence::Embedded };
    let variable = env::var_os("BIOSWEEP_DATA").filter(|value| !value.is_empty()).map(PathBuf::from);
    let places = [data_dir.map(Path::to_owned), variable, home.map(|home| home.join("datasets"))].into_iter().flatten();
    let folders: Vec<PathBuf> = places.flat_map(|place| [place.join(dataset.name()), place]).collect();
    let find = |file: &DownloadableFile| folders.iter().find_map(|folder| is_in(folder, file));
    let found: Vec<PathBuf> = published.files.iter().filter_map(find).collect();
    match found.first() {
        Some(folder) if found.len() == published.files.len() => Presence::Here(folder.clone()),
        Some(_) => Presence::Partly(found.len(), published.files.len()),
        None => Presence::Absent,
    }
}

/// The folder of a file that exists there under one of its names.
fn is_in(folder: &Path, file: &DownloadableFile) -> Option<PathBuf> {
    let names = file.names.iter().flat_map(|name| [folder.join(name), folder.join(format!("{name}.gz"))]);
    let path = names.into_iter().find(|path| path.is_file())?;
    path.parent().map(Path::to_owned)
}
