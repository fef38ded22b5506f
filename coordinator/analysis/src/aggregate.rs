//! From results to cells: the mean accuracy of each rule on each network, activation and depth.
//!
//! Configurations of one cell differ in *tuning* settings (learning rate, early-stop start, …): each is a candidate. A cell
//! shows the candidate with the best mean validation accuracy, never the one with the best test accuracy. In an unfinished
//! sweep, candidates may have different numbers of replicates. Only those with the most are compared, because a mean of few
//! replicates is more often extreme. Of equal candidates the one with the first trials wins.
//!
//! A mean has one value per fold: the mean over the seeds of the fold. Folds are independent; seeds of one fold share their
//! data. With a single fold, each seed is a value.

use std::collections::BTreeMap;

use biosweep_common::configuration::Point;
use biosweep_common::rules::Rule;
use biosweep_common::settings::place::{PLACE, is_unset_unless_named};
use biosweep_common::settings::{Setting, Value};
use biosweep_common::vocabulary::dataset::DatasetRef;
use biosweep_common::vocabulary::{ActivationFunction, Network, ParametersAs, PcSolver};
use serde::Serialize;

use crate::replicates::mean::{Mean, mean};
use crate::replicates::{Configuration, Divergence, End, Part, Replicates, by_name};
use crate::selection::{best, distinctive};

/// The place of a cell in tables: one value of each setting in [`PLACE`], in its order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// The dataset.
    pub dataset: DatasetRef,
    /// The learning rule.
    pub rule: Rule,
    /// The solver of predictive coding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pc_solver: Option<PcSolver>,
    /// The network: the kind of layers and their connections.
    pub network: Network,
    /// The network whose number of parameters it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters_as: Option<ParametersAs>,
    /// The activation function of the hidden layers.
    pub activation: ActivationFunction,
    /// Number of hidden layers.
    pub depth: u32,
}

/// What learns: a rule and a network, each with the setting that makes it another one. The order is that of tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Learner {
    /// The learning rule.
    pub rule: Rule,
    /// The solver of predictive coding.
    pub pc_solver: Option<PcSolver>,
    /// The network.
    pub network: Network,
    /// The network whose number of parameters it has.
    pub parameters_as: Option<ParametersAs>,
}

impl Learner {
    /// The solver, if it is not the usual one.
    #[must_use]
    pub fn unusual_solver(&self) -> Option<PcSolver> {
        self.pc_solver.filter(|solver| !Setting::PcSolver.is_implied(&Value::Name(solver.name().into())))
    }

    /// The rule and what makes it another one, such as `pc (error)`.
    #[must_use]
    pub fn rule_name(&self) -> String {
        self.unusual_solver().map_or_else(|| self.rule.to_string(), |solver| format!("{} ({solver})", self.rule))
    }

    /// The network and what makes it another one, such as `nn as dn`.
    #[must_use]
    pub fn network_name(&self) -> String {
        self.parameters_as.map_or_else(|| self.network.to_string(), |other| format!("{} as {other}", self.network))
    }
}

/// The settings of a place that differ between these results.
#[must_use]
pub fn differing_places(replicates: &Replicates) -> Vec<Setting> {
    let is_absent = |setting: Setting| {
        let mut points = replicates.configurations().iter().map(|one| &one.point);
        points.any(|point| !point.contains_key(&setting) && setting.applies(|other| point.get(&other)))
    };
    let differs = |setting: Setting| match replicates.values(setting).len() {
        0 => false,
        1 => is_unset_unless_named(setting) && is_absent(setting),
        _ => true,
    };
    PLACE.into_iter().filter(|&setting| differs(setting)).collect()
}

/// The replicates of the best candidate for one place.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cell {
    /// The place.
    #[serde(flatten)]
    pub place: Place,
    /// The tuning settings of the candidate that differ between the candidates of this place.
    #[serde(serialize_with = "by_name")]
    pub chosen: Point,
    /// Number of candidates with results, at least 1.
    pub candidates: usize,
    /// Number of candidates with the most replicates, among which the best was chosen.
    pub compared: usize,
    /// Mean test accuracy; `None` if no replicate has a score.
    #[serde(rename = "test_accuracy")]
    pub test: Option<Mean>,
    /// Mean validation accuracy of the same replicates.
    #[serde(rename = "validation_accuracy")]
    pub validation: Option<Mean>,
    /// Number of completed replicates.
    pub completed: u64,
    /// Number of diverged replicates.
    pub diverged: u64,
    /// The folds and seeds of the diverged replicates.
    #[serde(skip)]
    pub(crate) diverged_in: Vec<(u64, u64)>,
    /// Number of failed replicates.
    pub failed: u64,
    /// Number of replicates that have no score: they failed, were cancelled or have not ended.
    pub missing: u64,
}

/// The cells of these results, ordered by place. A configuration without a place is ignored.
pub fn cells(replicates: &Replicates, divergence: Divergence) -> Vec<Cell> {
    let mut places: BTreeMap<Place, Vec<&Configuration>> = BTreeMap::new();
    for configuration in replicates.configurations() {
        if let Some(place) = Place::of(&configuration.point) {
            places.entry(place).or_default().push(configuration);
        }
    }
    let cells = places.into_iter().filter_map(|(place, candidates)| cell(place, &candidates, divergence));
    cells.collect()
}

impl Place {
    /// What learns at this place.
    #[must_use]
    pub const fn learner(&self) -> Learner {
        let Self { rule, pc_solver, network, parameters_as, .. } = *self;
        Learner { rule, pc_solver, network, parameters_as }
    }

    /// The place of a point; `None` if it has none.
    pub fn of(point: &Point) -> Option<Self> {
        fn name<T: std::str::FromStr>(point: &Point, setting: Setting) -> Option<T> {
            match point.get(&setting)? {
                Value::Name(name) => name.parse().ok(),
                _ => None,
            }
        }
        let Some(&Value::Integer(depth)) = point.get(&Setting::Depth) else { return None };
        Some(Self {
            dataset: name(point, Setting::Dataset)?,
            rule: name(point, Setting::Rule)?,
            pc_solver: name(point, Setting::PcSolver),
            network: name(point, Setting::Network)?,
            parameters_as: name(point, Setting::ParametersAs),
            activation: name(point, Setting::Activation)?,
            depth: u32::try_from(depth).ok()?,
        })
    }
}

fn cell(place: Place, candidates: &[&Configuration], divergence: Divergence) -> Option<Cell> {
    let tried: Vec<&Configuration> =
        candidates.iter().copied().filter(|candidate| !candidate.replicates.is_empty()).collect();
    let (best, compared) = best(&tried, divergence)?;
    let (completed, diverged, failed) = (best.completed(), best.diverged(), best.failed());
    Some(Cell {
        place,
        chosen: distinctive(best, &tried),
        candidates: tried.len(),
        compared,
        test: mean(best, Part::Test, divergence),
        validation: mean(best, Part::Validation, divergence),
        completed,
        diverged,
        diverged_in: diverged_in(best),
        failed,
        missing: best.planned.max(completed + diverged + failed) - completed - diverged,
    })
}

fn diverged_in(configuration: &Configuration) -> Vec<(u64, u64)> {
    let diverged = configuration.replicates.iter().filter(|one| one.end == End::Diverged);
    diverged.map(|one| (one.fold, one.seed)).collect()
}

impl Cell {
    /// Number of replicates with a score, or without one: all that are known.
    pub fn replicates(&self) -> u64 {
        self.completed + self.diverged + self.missing
    }
}

/// The greatest number of values in the means of these cells, if cells with means differ in it. In that case a mean needs its
/// count.
pub fn uneven<'a>(cells: impl IntoIterator<Item = &'a Cell> + Clone) -> Option<u64> {
    let counts = || cells.clone().into_iter().filter_map(|cell| cell.test).map(|test| test.count);
    counts().max().filter(|&most| counts().any(|count| count < most))
}

#[cfg(test)]
mod tests {
    use biosweep_common::results::outcome::TrialStatus;
    use biosweep_common::results::views::ResultView;
    use biosweep_common::spec::{Format, SweepSpec};
    use biosweep_common::vocabulary::ids::TrialIndex;

    use super::*;
    use crate::replicates::mean::Unit;
    use crate::samples::{completed, ended, with};

    fn cells(results: &[ResultView]) -> Vec<Cell> {
        super::cells(&Replicates::of(results).expect("known counts"), Divergence::Guess)
    }

    fn near(left: f64, right: f64) -> bool {
        (left - right).abs() < 1e-12
    }

    #[test]
    fn a_fold_counts_as_the_mean_of_its_seeds() {
        let result = |fold, seed, test| {
            with(completed("bp", "nn", 5, 0.9, test), &[("fold", Value::Integer(fold)), ("seed", Value::Integer(seed))])
        };
        let cells = cells(&[result(0, 0, 0.90), result(1, 0, 0.92), result(0, 1, 0.94), result(2, 0, 0.92)]);
        assert_eq!((cells.len(), cells[0].candidates, &cells[0].chosen), (1, 1, &Point::new()));
        let test = cells[0].test.expect("completed");
        assert_eq!((test.count, test.unit), (3, Unit::Fold));
        assert!(near(test.mean, 0.92) && near(test.spread.expect("three"), 0.0), "{test:?}");
    }

    #[test]
    fn an_interval_is_students_and_seeds_of_one_fold_are_values() {
        let result = |seed, test| with(completed("bp", "nn", 5, 0.9, test), &[("seed", Value::Integer(seed))]);
        let test = cells(&[result(0, 0.90), result(1, 0.92), result(2, 0.94)])[0].test.expect("completed");
        assert_eq!((test.count, test.unit), (3, Unit::Seed));
        assert!(near(test.mean, 0.92) && near(test.spread.expect("three"), 0.02), "{test:?}");
        // t(2) at 97.5 % is 4.302652729749464.
        assert!(near(test.half_width.expect("three"), 4.302_652_729_749_464 * 0.02 / 3.0_f64.sqrt()), "{test:?}");
    }

    #[test]
    fn a_single_replicate_has_no_spread() {
        let cells = cells(&[completed("bp", "nn", 5, 0.9, 0.8)]);
        assert_eq!(cells[0].test, Some(Mean { mean: 0.8, spread: None, half_width: None, count: 1, unit: Unit::Seed }));
    }

    #[test]
    fn the_candidate_is_chosen_by_validation_and_never_by_test() {
        let result = |rate, validation, test| {
            with(completed("fa", "dn", 5, validation, test), &[("learning_rate", Value::Real(rate))])
        };
        let cells = cells(&[result(1e-3, 0.95, 0.90), result(1e-4, 0.94, 0.99), result(1e-5, 0.95, 0.91)]);
        assert_eq!(
            cells[0].chosen,
            Point::from([(Setting::LearningRate, Value::Real(1e-3))]),
            "the first of equal candidates"
        );
        assert_eq!((cells[0].candidates, cells[0].test.map(|test| test.mean)), (3, Some(0.90)));
    }

    #[test]
    fn a_candidate_with_diverged_replicates_does_not_win_by_one_good_one() {
        let settings = |rate, fold| [("learning_rate", Value::Real(rate)), ("fold", Value::Integer(fold))];
        let cells = cells(&[
            with(completed("fa", "nn", 5, 0.99, 0.99), &settings(1e-1, 0)),
            with(ended("fa", "nn", 5, TrialStatus::Diverged), &settings(1e-1, 1)),
            with(completed("fa", "nn", 5, 0.90, 0.90), &settings(1e-3, 0)),
            with(ended("fa", "nn", 5, TrialStatus::Failed), &settings(1e-3, 1)),
        ]);
        assert_eq!(cells[0].chosen, Point::from([(Setting::LearningRate, Value::Real(1e-3))]));
        assert_eq!((cells[0].diverged, cells[0].failed, cells[0].test.map(|test| test.count)), (0, 1, Some(1)));
    }

    #[test]
    fn a_divergence_counts_as_a_guess_unless_survivors_alone_are_asked_for() {
        let fold = |result, fold| with(result, &[("fold", Value::Integer(fold))]);
        let results =
            [fold(completed("fa", "nn", 5, 0.8, 0.9), 0), fold(ended("fa", "nn", 5, TrialStatus::Diverged), 1)];
        let replicates = Replicates::of(&results).expect("known counts");
        let test = |divergence| super::cells(&replicates, divergence)[0].test.expect("a score");
        assert!(near(test(Divergence::Guess).mean, 0.5), "the mean of 0.9 and 1/10");
        assert!(near(test(Divergence::LeftOut).mean, 0.9) && test(Divergence::LeftOut).count == 1);
    }

    #[test]
    fn replicates_of_the_grid_that_have_no_score_are_missing() {
        let spec = "name = \"s\"\n[data]\ndataset = \"mnist\"\n[grid]\nrule = \"bp\"\nnetwork = \"nn\"\ndepth = 5\n\
                    fold = [0, 1, 2, 3]\n";
        let spec = SweepSpec::parse(spec, Format::Toml, "s").expect("a spec");
        let result = |trial, status| ResultView {
            point: spec.grid.point(TrialIndex(trial)).expect("a trial"),
            ..ended("bp", "nn", 5, status)
        };
        let mut replicates =
            Replicates::of(&[result(0, TrialStatus::Diverged), result(1, TrialStatus::Failed)]).expect("known counts");
        replicates.plan(&spec.grid);
        let cell = &super::cells(&replicates, Divergence::Guess)[0];
        assert_eq!((cell.completed, cell.diverged, cell.failed, cell.missing), (0, 1, 1, 3));
    }

    #[test]
    fn a_candidate_with_fewer_replicates_is_not_preferred_to_one_with_more() {
        let result = |rate, fold, accuracy| {
            let settings = [("learning_rate", Value::Real(rate)), ("fold", Value::Integer(fold))];
            with(completed("fa", "nn", 5, accuracy, accuracy), &settings)
        };
        let few = (0..2).map(|fold| result(1e-2, fold, 0.97));
        let many = (0..10).flat_map(|fold| [result(1e-3, fold, 0.95), result(1e-4, fold, 0.94)]);
        let results: Vec<_> = few.chain(many).collect();
        let cells = cells(&results);
        assert_eq!(cells[0].chosen, Point::from([(Setting::LearningRate, Value::Real(1e-3))]));
        assert_eq!((cells[0].candidates, cells[0].compared, cells[0].completed), (3, 2, 10));
    }

    #[test]
    fn cells_are_uneven_where_some_means_have_fewer_values() {
        let fold = |result, fold| with(result, &[("fold", Value::Integer(fold))]);
        let mut results: Vec<_> = (0..3).map(|index| fold(completed("bp", "nn", 5, 0.9, 0.9), index)).collect();
        results.push(ended("fa", "nn", 5, TrialStatus::Failed));
        assert_eq!(uneven(&cells(&results)), None, "a cell without a mean needs no count");
        results.push(fold(completed("fa", "nn", 5, 0.5, 0.5), 1));
        assert_eq!(uneven(&cells(&results)), Some(3));
    }

    #[test]
    fn a_place_without_completed_trials_has_their_counts() {
        let cells = cells(&[ended("dtp", "nn", 5, TrialStatus::Diverged), ended("dtp", "nn", 6, TrialStatus::Failed)]);
        assert_eq!(
            cells.iter().map(|cell| (cell.test.map(|test| test.mean), cell.diverged, cell.failed)).collect::<Vec<_>>(),
            [(Some(0.1), 1, 0), (None, 0, 1)]
        );
    }

    #[test]
    fn cells_have_the_order_of_the_vocabulary_whatever_the_order_of_results() {
        let cells = cells(&[
            completed("dtp", "nn", 5, 0.9, 0.9),
            completed("bp", "dn", 10, 0.9, 0.9),
            completed("bp", "nn", 5, 0.9, 0.9),
            completed("bp", "dn", 5, 0.9, 0.9),
        ]);
        let places = cells.iter().map(|cell| (cell.place.rule.name(), cell.place.network.name(), cell.place.depth));
        assert_eq!(places.collect::<Vec<_>>(), [("bp", "nn", 5), ("bp", "dn", 5), ("bp", "dn", 10), ("dtp", "nn", 5)]);
    }

    #[test]
    fn a_cell_in_json_has_the_names_of_its_settings() {
        let result = |rate| with(completed("bp", "nn", 5, 0.9, rate), &[("learning_rate", Value::Real(rate))]);
        let cells = serde_json::to_value(cells(&[result(0.5), result(0.25)])).expect("text keys");
        assert_eq!(
            cells[0],
            serde_json::json!({
                "dataset": "mnist", "rule": "bp", "network": "nn", "activation": "relu", "depth": 5,
                "chosen": {"learning_rate": 0.5}, "candidates": 2, "compared": 2,
                "test_accuracy": {"mean": 0.5, "spread": null, "half_width": null, "count": 1, "unit": "seed"},
                "validation_accuracy": {"mean": 0.9, "spread": null, "half_width": null, "count": 1, "unit": "seed"},
                "completed": 1, "diverged": 0, "failed": 0, "missing": 0,
            })
        );
    }
}
