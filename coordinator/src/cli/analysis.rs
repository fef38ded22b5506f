//! The common options of commands that analyse results: `best`, `compare`, `sensitivity`, `importance`, `figures`, `report`.

use std::fs;
use std::path::{Path, PathBuf};

use biosweep_analysis::compare::Question;
use biosweep_analysis::import;
use biosweep_analysis::replicates::Replicates;
use biosweep_common::configuration::Point;
use biosweep_common::results::views::ResultView;
use biosweep_common::settings::{Setting, Value};
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
    /// Read the results from a Parquet or JSON Lines file of `biosweep export`, in place of a sweep
    #[arg(long, value_name = "FILE", conflicts_with = "sweep")]
    from: Option<PathBuf>,
    /// Only the trials with these settings, such as rule=dtp,depth=10
    #[arg(long = "where", value_name = "SETTING=VALUE", value_delimiter = ',')]
    settings: Vec<String>,
    #[command(flatten)]
    coordinator: Coordinator,
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
    /// The sweep; `None` if the results are in a file.
    pub(super) fn sweep(&self) -> Option<&str> {
        self.sweep.as_deref().filter(|_| self.from.is_none())
    }

    /// The coordinator; `None` if the results are in a file.
    pub(super) fn asks(&self) -> Option<&Coordinator> {
        self.from.is_none().then_some(&self.coordinator)
    }

    /// The settings that the wanted trials have.
    pub(super) fn only(&self) -> Result<Point, Failure> {
        settings::assignments("--where", &self.settings)
    }

    /// The name of the file of `--from` without its ending, and its results.
    pub(super) fn file(&self) -> Result<(String, Vec<ResultView>), Failure> {
        let path = self.from.as_deref().unwrap_or(Path::new(""));
        Ok((path.file_stem().unwrap_or_default().to_string_lossy().into_owned(), of_file(path)?))
    }

    /// The results with the wanted settings. No results are an error.
    pub(super) async fn replicates(&self, home: &Path) -> Result<Replicates, Failure> {
        Ok(self.titled(home).await?.1)
    }

    /// The same with their title: the name of the sweep or of the file, and how complete the sweep is.
    pub(super) async fn titled(&self, home: &Path) -> Result<(String, Replicates), Failure> {
        let only = self.only()?;
        let (title, replicates) = match (&self.from, &self.sweep) {
            (Some(_), _) => {
                let (name, results) = self.file()?;
                (name, Replicates::of(&results).map_err(Failure::environment)?)
            }
            (None, sweep) => {
                let mut client = Client::connect_to_read(self.coordinator.target(home)).await?;
                let sweep = client.show(sweep.as_deref().unwrap_or_default()).await?.sweep;
                let replicates = replicates::of_sweep(&mut client, &sweep).await?;
                client.close().await?;
                (folder::title(&sweep), replicates)
            }
        };
        let replicates = replicates.filtered(&only);
        if replicates.configurations().iter().all(|one| one.replicates.is_empty()) {
            let with = if only.is_empty() { "" } else { " with these settings" };
            return Err(Failure::bad_input(format!("`{title}` has no results{with} yet")));
        }
        Ok((title, replicates))
    }
}

/// The results in an exported file.
fn of_file(path: &Path) -> Result<Vec<ResultView>, Failure> {
    let bad = |why: String| Failure::bad_input(format!("--from {}: {why}", path.display()));
    let bytes = fs::read(path).map_err(|error| bad(error.to_string()))?;
    import::results(bytes).map_err(|error| bad(error.to_string()))
}

impl ArmsArgs {
    /// The question about these arms.
    pub(super) fn question(&self, margin: f64) -> Result<Question, Failure> {
        let text = &self.arms;
        let (name, values) = text.split_once('=').ok_or_else(|| {
            Failure::bad_input(format!("--arms {text}: write it as SETTING=VALUE,VALUE, such as network=nn,dn"))
        })?;
        let setting = settings::named("--arms", name)?;
        let arms = values.split(',').map(|word| settings::value("--arms", setting, word));
        Ok(Question { setting, arms: arms.collect::<Result<Vec<Value>, _>>()?, by: by(self.by.as_deref())?, margin })
    }
}

/// Parses the settings of `--by`.
pub(super) fn by(names: Option<&[String]>) -> Result<Option<Vec<Setting>>, Failure> {
    names.map(|names| names.iter().map(|name| settings::named("--by", name)).collect()).transpose()
}
