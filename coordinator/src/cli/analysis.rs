//! The common options of commands that analyse results: `best`, `compare`, `sensitivity`, `importance`, `figures`, `report`.

use std::path::{Path, PathBuf};

use biosweep_analysis::compare::{Question, Test};
use biosweep_analysis::replicates::Replicates;
use biosweep_analysis::report::{Record, Spec};
use biosweep_common::configuration::Point;
use biosweep_common::results::views::CurveView;
use biosweep_common::settings::Setting;
use biosweep_common::spec::{AnalysisPlan, EQUIVALENCE_MARGIN};
use clap::Args;

use super::failure::Failure;
use super::files::Files;
use super::{Coordinator, replicates, settings};
use crate::client::Client;
use crate::files::folder;

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
    /// The name of the sweep or of the files, how complete the sweep is, and the wanted settings.
    pub(super) title: String,
    pub(super) replicates: Replicates,
    /// The analysis plan of the spec; an error if the specs of several files differ in it.
    pub(super) plan: Result<AnalysisPlan, Failure>,
    /// The learning curves of the wanted settings with their diagnostics; `None` if they were not read. A file has none.
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
    /// The setting whose values are compared, with these values; the first one is the baseline [default: network=nn,dn]
    #[arg(long, value_name = "SETTING=VALUE,VALUE")]
    arms: Option<String>,
    /// One arm that several settings make, such as network=nn,parameters_as=dn; give it for each arm, the baseline first
    #[arg(long, value_name = "SETTING=VALUE,SETTING=VALUE", conflicts_with = "arms")]
    arm: Vec<String>,
    /// Compare separately for each value of these settings [default: dataset, rule, network, activation, depth, pc_solver and
    /// parameters_as, if they differ]
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

    /// The files of `--from`.
    pub(super) fn files(&self) -> Result<Files, Failure> {
        Files::read(&self.from)
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
                let Files { title, results, plan } = self.files()?;
                let mut replicates = Replicates::only(only.clone());
                results.iter().try_for_each(|result| replicates.add(result)).map_err(Failure::environment)?;
                Analysed { title, replicates, plan, curves: None }
            }
            [] => {
                let mut client = Client::connect_to_read(self.coordinator.target(home)).await?;
                let sweep = client.show(self.sweep.as_deref().unwrap_or_default()).await?.sweep;
                let spec = Spec::of(client.spec(&sweep.id.to_string()).await?);
                let replicates = replicates::of_sweep(&mut client, &sweep, &spec, only.clone()).await?;
                let curves = match curves {
                    Curves::Read => Some(client.curves(&sweep.id.to_string()).await?),
                    Curves::Unread => None,
                };
                client.close().await?;
                Analysed { title: folder::title(&sweep), replicates, plan: Ok(spec.analysis()), curves }
            }
        };
        let Analysed { title, replicates, plan, curves } = analysed;
        if replicates.configurations().iter().all(|one| one.replicates.is_empty()) {
            return Err(no_results(self.sweep().unwrap_or(&title), self.sweep(), &only));
        }
        let title = titled(title, &only);
        let wanted = Record::only(only);
        let curves = curves.map(|curves| curves.into_iter().filter(|curve| wanted.has(curve)).collect());
        Ok(Analysed { title, replicates, plan, curves })
    }
}

impl ArmsArgs {
    /// Whether arms or groups are given.
    pub(super) const fn are_given(&self) -> bool {
        self.arms.is_some() || !self.arm.is_empty() || self.by.is_some()
    }

    /// The question about these arms, with the default margin and test.
    pub(super) fn question(&self) -> Result<Question, Failure> {
        let arms = match self.arm.as_slice() {
            [] => arms_of(self.arms.as_deref().unwrap_or("network=nn,dn"))?,
            arms => arms.iter().map(|arm| arm_of(arm)).collect::<Result<_, _>>()?,
        };
        let (shared, by) = (Point::new(), by(self.by.as_deref())?);
        Ok(Question { shared, arms, by, margin: EQUIVALENCE_MARGIN, test: Test::SignFlip })
    }
}

/// The arms of one setting, such as `network=nn,dn`.
fn arms_of(text: &str) -> Result<Vec<Point>, Failure> {
    let (name, values) = text.split_once('=').ok_or_else(|| {
        Failure::bad_input(format!("--arms {text}: write it as SETTING=VALUE,VALUE, such as network=nn,dn"))
    })?;
    let setting = settings::named("--arms", name)?;
    let values = values.split(',').map(|word| settings::value("--arms", setting, word));
    Ok(Question::arms_of(setting, values.collect::<Result<Vec<_>, _>>()?))
}

/// An arm of several settings, such as `network=nn,parameters_as=dn`.
fn arm_of(text: &str) -> Result<Point, Failure> {
    settings::assignments("--arm", &text.split(',').map(str::to_owned).collect::<Vec<_>>())
}

/// Parses the settings of `--by`.
pub(super) fn by(names: Option<&[String]>) -> Result<Option<Vec<Setting>>, Failure> {
    names.map(|names| names.iter().map(|name| settings::named("--by", name)).collect()).transpose()
}

/// The error for a sweep or files without results that have the wanted settings.
pub(super) fn no_results(name: &str, sweep: Option<&str>, only: &Point) -> Failure {
    let next = match (sweep, only.is_empty()) {
        (Some(sweep), true) => format!("see its progress with `biosweep show {sweep}`"),
        (Some(sweep), false) => format!("see what it has with `biosweep results {sweep}`, and change --where"),
        (None, true) => "export the sweep again once trials have ended".to_owned(),
        (None, false) => "change --where, or add the files that have them to --from".to_owned(),
    };
    let with = if only.is_empty() { "" } else { " with these settings" };
    Failure::bad_input(format!("`{name}` has no results{with} yet; {next}"))
}

/// The title of figures of some of the results: it names the wanted settings.
pub(super) fn titled(title: String, only: &Point) -> String {
    let settings = only.iter().map(|(setting, value)| format!(", {} = {}", setting.name(), value.short()));
    std::iter::once(title).chain(settings).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_names_the_wanted_settings() {
        let only = settings::assignments("--where", &["depth=5".to_owned(), "rule=fa".to_owned()]).expect("settings");
        assert_eq!(titled("paper-mini".to_owned(), &only), "paper-mini, rule = fa, depth = 5");
        assert_eq!(titled("paper-mini".to_owned(), &Point::new()), "paper-mini");
    }

    #[test]
    fn an_error_about_no_results_has_a_next_step() {
        let only = settings::assignments("--where", &["depth=4".to_owned()]).expect("settings");
        let none = Point::new();
        assert_eq!(
            no_results("s", Some("s"), &none).to_string(),
            "error: `s` has no results yet; see its progress with `biosweep show s`"
        );
        assert!(no_results("s", Some("s"), &only).to_string().contains("with these settings yet; see what it has"));
        assert!(no_results("f", None, &none).to_string().contains("export the sweep again"));
        assert!(no_results("f", None, &only).to_string().contains("change --where"));
    }
}
