//! From results to cells: the mean accuracy of each rule on each network, activation and depth.
//!
//! The trials of one cell may differ in two ways. `fold` and `seed` make *replicates*: repetitions of one experiment,
//! from which means and standard deviations are computed. All other settings (learning rate, early-stop start, …) are
//! *tuning*: each distinct choice is a candidate. A cell shows the candidate with the best mean validation accuracy,
//! never the one with the best test accuracy. In this comparison a diverged replicate counts as an accuracy of 0, so
//! that a candidate does not win by one lucky replicate. A failed replicate does not count, because a failure does not
//! depend on the settings. In an unfinished sweep, candidates may have different numbers of replicates. Only those with
//! the most are compared, because a mean of few replicates is more often extreme. Of equal candidates the one with the
//! first trials wins.

use std::collections::BTreeMap;

use biosweep_common::configuration::Point;
use biosweep_common::results::outcome::TrialStatus;
use biosweep_common::results::views::ResultView;
use biosweep_common::rules::Rule;
use biosweep_common::settings::{Setting, Value};
use biosweep_common::vocabulary::dataset::DatasetRef;
use biosweep_common::vocabulary::{ActivationFunction, Network};
use serde::{Serialize, Serializer};

/// The place of a cell in tables. The order is that of tables.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// The dataset.
    pub dataset: DatasetRef,
    /// The learning rule.
    pub rule: Rule,
    /// The network: the kind of layers and their connections.
    pub network: Network,
    /// The activation function of the hidden layers.
    pub activation: ActivationFunction,
    /// Number of hidden layers.
    pub depth: u32,
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
    /// Mean test accuracy of the completed replicates; `None` if none completed.
    #[serde(rename = "test_accuracy")]
    pub test: Option<Mean>,
    /// Mean validation accuracy of the same replicates.
    #[serde(rename = "validation_accuracy")]
    pub validation: Option<Mean>,
    /// Number of diverged replicates.
    pub diverged: u64,
    /// Number of failed replicates.
    pub failed: u64,
}

/// A mean over replicates.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Mean {
    /// The arithmetic mean, as a fraction.
    pub mean: f64,
    /// The sample standard deviation (n − 1), as a fraction; `None` for a single replicate.
    pub spread: Option<f64>,
    /// Number of replicates.
    pub count: u64,
}

/// The cells of these results, ordered by place.
pub fn cells<'a>(results: impl IntoIterator<Item = &'a ResultView>) -> Vec<Cell> {
    let mut aggregate = Aggregate::default();
    results.into_iter().for_each(|result| aggregate.add(result));
    aggregate.cells()
}

/// Collects results one by one. It keeps sums for each candidate, not the results.
#[derive(Debug, Default)]
pub struct Aggregate {
    places: BTreeMap<Place, Vec<Candidate>>,
    /// The index of each candidate in the list of its place.
    index: BTreeMap<(Place, Vec<(Setting, String)>), usize>,
}

#[derive(Debug)]
struct Candidate {
    tuning: Point,
    test: Sums,
    validation: Sums,
    diverged: u64,
    failed: u64,
}

/// Running sums by Welford's method, which is accurate for values that lie close together.
#[derive(Debug, Default)]
struct Sums {
    count: u64,
    mean: f64,
    squares: f64,
}

impl Aggregate {
    /// Adds one result. A point without rule, network or depth is ignored.
    pub fn add(&mut self, result: &ResultView) {
        let Some(place) = Place::of(&result.point) else { return };
        let tuning = tuning(&result.point);
        // Values with real numbers have no total order and cannot be keys. Their texts can, and are equal only for
        // equal values.
        let text = tuning.iter().map(|(&setting, value)| (setting, value.to_string())).collect();
        let candidates = self.places.entry(place.clone()).or_default();
        let index = *self.index.entry((place, text)).or_insert(candidates.len());
        if index == candidates.len() {
            let (test, validation) = (Sums::default(), Sums::default());
            candidates.push(Candidate { tuning, test, validation, diverged: 0, failed: 0 });
        }
        let candidate = &mut candidates[index];
        match (result.status, result.score) {
            (TrialStatus::Completed, Some(score)) => {
                candidate.test.add(score.test_accuracy);
                candidate.validation.add(score.validation_accuracy);
            }
            (TrialStatus::Diverged, _) => candidate.diverged += 1,
            (TrialStatus::Failed, _) | (TrialStatus::Completed, None) => candidate.failed += 1,
        }
    }

    /// The cells, ordered by place.
    pub fn cells(&self) -> Vec<Cell> {
        self.places.iter().filter_map(|(place, candidates)| cell(place.clone(), candidates)).collect()
    }
}

impl Place {
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
            network: name(point, Setting::Network)?,
            activation: name(point, Setting::Activation)?,
            depth: u32::try_from(depth).ok()?,
        })
    }
}

/// The settings of a point that belong neither to its place nor to replicates.
fn tuning(point: &Point) -> Point {
    const PLACE: [Setting; 5] =
        [Setting::Dataset, Setting::Rule, Setting::Network, Setting::Activation, Setting::Depth];
    const REPLICATES: [Setting; 2] = [Setting::Fold, Setting::Seed];
    let is_tuning = |setting: &Setting| !PLACE.contains(setting) && !REPLICATES.contains(setting);
    point.iter().filter(|(setting, _)| is_tuning(setting)).map(|(&setting, value)| (setting, value.clone())).collect()
}

fn cell(place: Place, candidates: &[Candidate]) -> Option<Cell> {
    let most = candidates.iter().map(Candidate::replicates).max()?;
    let compared: Vec<&Candidate> = candidates.iter().filter(|candidate| candidate.replicates() == most).collect();
    let mut best = *compared.first()?;
    for &candidate in &compared {
        if candidate.merit() > best.merit() {
            best = candidate;
        }
    }
    let differs =
        |setting: &Setting| candidates.iter().any(|other| other.tuning.get(setting) != best.tuning.get(setting));
    Some(Cell {
        place,
        chosen: best.tuning.clone().into_iter().filter(|(setting, _)| differs(setting)).collect(),
        candidates: candidates.len(),
        compared: compared.len(),
        test: best.test.mean(),
        validation: best.validation.mean(),
        diverged: best.diverged,
        failed: best.failed,
    })
}

fn by_name<S: Serializer>(point: &Point, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(point.iter().map(|(setting, value)| (setting.name(), value)))
}

impl Cell {
    /// Number of completed replicates.
    pub fn completed(&self) -> u64 {
        self.test.map_or(0, |test| test.count)
    }
}

/// The greatest number of completed replicates of these cells, if cells with completed replicates differ in it. In that
/// case a mean needs its count.
pub fn uneven(cells: &[Cell]) -> Option<u64> {
    let counts = || cells.iter().map(Cell::completed).filter(|&count| count > 0);
    counts().max().filter(|&most| counts().any(|count| count < most))
}

impl Candidate {
    /// Number of replicates that have ended, with any status.
    fn replicates(&self) -> u64 {
        self.validation.count + self.diverged + self.failed
    }

    /// Mean validation accuracy, with 0 for a diverged replicate; below every accuracy if nothing is known.
    fn merit(&self) -> f64 {
        let known = self.validation.count + self.diverged;
        if known == 0 { -1.0 } else { self.validation.mean * self.validation.count as f64 / known as f64 }
    }
}

impl Sums {
    fn add(&mut self, value: f64) {
        self.count += 1;
        let before = value - self.mean;
        self.mean += before / self.count as f64;
        self.squares += before * (value - self.mean);
    }

    fn mean(&self) -> Option<Mean> {
        let spread = (self.count > 1).then(|| (self.squares / (self.count - 1) as f64).sqrt());
        (self.count > 0).then_some(Mean { mean: self.mean, spread, count: self.count })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{completed, ended, with};

    fn near(left: f64, right: f64) -> bool {
        (left - right).abs() < 1e-12
    }

    #[test]
    fn folds_and_seeds_give_a_mean_and_a_sample_standard_deviation() {
        let result = |fold, seed, test| {
            with(completed("bp", "nn", 5, 0.9, test), &[("fold", Value::Integer(fold)), ("seed", Value::Integer(seed))])
        };
        let cells = cells(&[result(0, 0, 0.90), result(1, 0, 0.92), result(0, 1, 0.94)]);
        assert_eq!((cells.len(), cells[0].candidates), (1, 1));
        let test = cells[0].test.expect("completed");
        assert!(near(test.mean, 0.92) && near(test.spread.expect("three"), 0.02) && test.count == 3, "{test:?}");
        assert_eq!(cells[0].chosen, Point::new());
    }

    #[test]
    fn a_single_replicate_has_no_spread() {
        let cells = cells(&[completed("bp", "nn", 5, 0.9, 0.8)]);
        assert_eq!(cells[0].test, Some(Mean { mean: 0.8, spread: None, count: 1 }));
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
        assert_eq!((cells[0].candidates, cells[0].compared, cells[0].completed()), (3, 2, 10));
    }

    #[test]
    fn cells_are_uneven_where_some_have_fewer_completed_replicates() {
        let fold = |result, fold| with(result, &[("fold", Value::Integer(fold))]);
        let mut results: Vec<_> = (0..3).map(|index| fold(completed("bp", "nn", 5, 0.9, 0.9), index)).collect();
        results.push(ended("fa", "nn", 5, TrialStatus::Diverged));
        assert_eq!(uneven(&cells(&results)), None, "a cell without a mean needs no count");
        results.push(fold(completed("fa", "nn", 5, 0.5, 0.5), 1));
        assert_eq!(uneven(&cells(&results)), Some(3));
    }

    #[test]
    fn a_place_without_completed_trials_has_their_counts() {
        let cells = cells(&[ended("dtp", "nn", 5, TrialStatus::Diverged), ended("dtp", "nn", 6, TrialStatus::Failed)]);
        assert_eq!(
            cells.iter().map(|cell| (cell.test, cell.diverged, cell.failed)).collect::<Vec<_>>(),
            [(None, 1, 0), (None, 0, 1),]
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
                "test_accuracy": {"mean": 0.5, "spread": null, "count": 1},
                "validation_accuracy": {"mean": 0.9, "spread": null, "count": 1},
                "diverged": 0, "failed": 0,
            })
        );
    }
}
