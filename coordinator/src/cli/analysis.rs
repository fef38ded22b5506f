//! The common options of commands that analyse results: `best`, `compare`, `sensitivity`, `importance`, `figures`, `report`.

use std::fs;
use std::path::{Path, PathBuf};

use biosweep_analysis::compare::{Question, Test};
use biosweep_analysis::import::{self, Part};
use biosweep_analysis::replicates::Replicates;
use biosweep_common::configuration::Point;
use biosweep_common::results::views::{CurveView, ResultView};
use biosweep_common::settings::{Setting, Value};
use biosweep_common::spec::EQUIVALENCE_MARGIN;
use clap::Args;

use super::failure::Failure;
use super::{Coordinator, replicates, settings};
use crate::client::Client;
use crate::folder;

/// The results to analyse.
#[derive(Debug, Args)]
pub(crate) struct AnalysisArgs {
    /// A sweep's id, the start of an id, or a name
    #[arg(required_unless_present = "from")]
    sweep: Option<String>,
    /// Read the results from Parquet or JSON Lines files of `biosweep export`, in place of a sweep; several files count
    /// as one sweep
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with = "sweep")]
    from: Vec<PathBuf>,
    /// Only the trials with these settings, such as rule=dtp,depth=10
    #[arg(long = "where", value_name = "SETTING=VALUE", value_delimiter = ',')]
    settings: Vec<String>,
    #[command(flatten)]
    coordinator: Coordinator,
}

/// Results with what is known of their sweep.
pub(super) struct Analysed {
    /// The name of the sweep or of the files, and how complete the sweep is.
    pub(super) title: String,
    pub(super) replicates: Replicates,
    /// The margin of equivalence in the spec. A file has the default.
    pub(super) margin: f64,
    /// The learning curves with their diagnostics; `None` if they were not read. A file has none.
    pub(super) curves: Option<Vec<CurveView>>,
}

/// Whether learning curves are read with results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Curves {
    Read,
    Unread,
}

/// The arms to compare.
#[derive(Debug, Args)]
pub(crate) struct ArmsArgs {
    /// The setting whose values are compared, with these values; the first one is the baseline
    #[arg(long, default_value = "network=nn,dn", value_name = "SETTING=VALUE,VALUE")]
    arms: String,
    /// Compare separately for each value of these settings [default: dataset, rule, network, activation and depth, if they
    /// differ]
    #[arg(long, value_name = "SETTING", value_delimiter = ',')]
    by: Option<Vec<String>>,
}

impl AnalysisArgs {
    /// The sweep; `None` if the results are in files.
    pub(super) fn sweep(&self) -> Option<&str> {
        self.sweep.as_deref().filter(|_| self.from.is_empty())
    }

    /// The coordinator; `None` if the results are in files.
    pub(super) fn asks(&self) -> Option<&Coordinator> {
        self.from.is_empty().then_some(&self.coordinator)
    }

    /// The settings that the wanted trials have.
    pub(super) fn only(&self) -> Result<Point, Failure> {
        settings::assignments("--where", &self.settings)
    }

    /// The title of the files of `--from`, and their results.
    pub(super) fn files(&self) -> Result<(String, Vec<ResultView>), Failure> {
        Ok((title(&self.from), of_files(&self.from)?))
    }

    /// The results with the wanted settings. No results are an error.
    pub(super) async fn replicates(&self, home: &Path) -> Result<Replicates, Failure> {
        Ok(self.analysed(home, Curves::Unread).await?.replicates)
    }

    /// The same with what is known of their sweep, and with its learning curves if they are wanted.
    pub(super) async fn analysed(&self, home: &Path, curves: Curves) -> Result<Analysed, Failure> {
        let only = self.only()?;
        let analysed = match self.from.as_slice() {
            [_, ..] => {
                let (title, results) = self.files()?;
                let replicates = Replicates::of(&results).map_err(Failure::environment)?;
                Analysed { title, replicates, margin: EQUIVALENCE_MARGIN, curves: None }
            }
            [] => {
                let mut client = Client::connect_to_read(self.coordinator.target(home)).await?;
                let sweep = client.show(self.sweep.as_deref().unwrap_or_default()).await?.sweep;
                let spec = client.spec(&sweep.id.to_string()).await?;
                let replicates = replicates::of_sweep(&mut client, &sweep, &spec).await?;
                let curves = match curves {
                    Curves::Read => Some(client.curves(&sweep.id.to_string()).await?),
                    Curves::Unread => None,
                };
                client.close().await?;
                Analysed { title: folder::title(&sweep), replicates, margin: replicates::margin(&spec), curves }
            }
        };
        let Analysed { title, replicates, margin, curves } = analysed;
        let replicates = replicates.filtered(&only);
        if replicates.configurations().iter().all(|one| one.replicates.is_empty()) {
            let with = if only.is_empty() { "" } else { " with these settings" };
            return Err(Failure::bad_input(format!("`{title}` has no results{with} yet")));
        }
        Ok(Analysed { title, replicates, margin, curves })
    }
}

/// The results in exported files.
fn of_files(paths: &[PathBuf]) -> Result<Vec<ResultView>, Failure> {
    let parts = paths.iter().map(|path| Ok(Part { file: path.display().to_string(), results: of_file(path)? }));
    import::combined(parts.collect::<Result<_, Failure>>()?)
        .map_err(|error| Failure::bad_input(format!("--from {}: {error}", error.file)))
}

fn of_file(path: &Path) -> Result<Vec<ResultView>, Failure> {
    let bad = |why: String| Failure::bad_input(format!("--from {}: {why}", path.display()));
    let bytes = fs::read(path).map_err(|error| bad(error.to_string()))?;
    import::results(bytes).map_err(|error| bad(error.to_string()))
}

/// The title of results in files: the common start of their names, or the first name with the number of the others.
fn title(paths: &[PathBuf]) -> String {
    let names: Vec<_> = paths.iter().map(|path| path.file_stem().unwrap_or_default().to_string_lossy()).collect();
    let Some((first, others)) = names.split_first() else { return String::new() };
    if others.iter().all(|other| other == first) {
        return first.clone().into_owned();
    }
    let is_common = |&(place, character): &(usize, char)| {
        others.iter().all(|other| other.get(place..).is_some_and(|rest| rest.starts_with(character)))
    };
    let common: String = first.char_indices().take_while(is_common).map(|(_, character)| character).collect();
    match common.trim_end_matches(['-', '_', '.']) {
        "" => format!("{first} and {} more", others.len()),
        common => common.to_owned(),
    }
}

impl ArmsArgs {
    /// The question about these arms, with the default margin and test.
    pub(super) fn question(&self) -> Result<Question, Failure> {
        let text = &self.arms;
        let (name, values) = text.split_once('=').ok_or_else(|| {
            Failure::bad_input(format!("--arms {text}: write it as SETTING=VALUE,VALUE, such as network=nn,dn"))
        })?;
        let setting = settings::named("--arms", name)?;
        let arms = values.split(',').map(|word| settings::value("--arms", setting, word));
        Ok(Question {
            setting,
            arms: arms.collect::<Result<Vec<Value>, _>>()?,
            by: by(self.by.as_deref())?,
            margin: EQUIVALENCE_MARGIN,
            test: Test::SignFlip,
        })
    }
}

/// Parses the settings of `--by`.
pub(super) fn by(names: Option<&[String]>) -> Result<Option<Vec<Setting>>, Failure> {
    names.map(|names| names.iter().map(|name| settings::named("--by", name)).collect()).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_title_of_files_is_their_common_start_or_the_first_name() {
        let titled = |paths: &[&str]| title(&paths.iter().map(PathBuf::from).collect::<Vec<_>>());
        assert_eq!(titled(&["a/rates-results.parquet"]), "rates-results");
        assert_eq!(titled(&["a/rates.jsonl", "b/rates.parquet"]), "rates", "the folders differ");
        assert_eq!(titled(&["rates_.-1.jsonl", "rates_.-2.jsonl"]), "rates");
        assert_eq!(titled(&["rates.jsonl", "rates-more.jsonl"]), "rates");
        assert_eq!(titled(&["éa.jsonl", "éb.jsonl", "éc.jsonl"]), "é");
        assert_eq!(titled(&["è.jsonl", "é.jsonl"]), "è and 1 more", "they share a byte only");
        assert_eq!(titled(&["-a.jsonl", "-b.jsonl", "c.jsonl"]), "-a and 2 more");
    }
}
