//! Results → cells: the mean accuracy of each rule on each network, activation and depth.
//!
//! What may differ between the trials of one cell is of two kinds. `fold` and `seed` are *replicates*: the same
//! experiment again, over which means and spreads are taken. Everything else (learning rate, early-stop start, …) is
//! *tuning*: each distinct choice is a candidate, and a cell shows the candidate with the best mean validation accuracy,
//! never the one with the best test accuracy. In that choice a replicate that diverged counts as an accuracy of 0, so
//! that one lucky survivor does not win; one that failed counts nothing, since a failure says nothing of the settings.
//! While a sweep has not finished, candidates may have fewer replicates than others: only those with the most are compared,
//! since the best of few is no match for the mean of many. Equal candidates: the one whose trials come first.

use std::collections::BTreeMap;

use biosweep_common::configuration::Point;
use biosweep_common::dataset::DatasetRef;
use biosweep_common::outcome::TrialStatus;
use biosweep_common::rules::Rule;
use biosweep_common::settings::{Setting, Value};
use biosweep_common::views::ResultView;
use biosweep_common::vocabulary::{ActivationFunction, Network};
use serde::{Serialize, Serializer};

/// What a cell stands for. Orders as tables list it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// What is learned.
    pub dataset: DatasetRef,
    /// What stands in the place of the gradient.
    pub rule: Rule,
    /// The kind of layer and how layers are wired.
    pub network: Network,
    /// The non-linearity of the hidden layers.
    pub activation: ActivationFunction,
    /// Number of hidden layers.
    pub depth: u32,
}

/// The replicates of the best candidate of one place.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cell {
    /// What it stands for.
    #[serde(flatten)]
    pub place: Place,
    /// The candidate's tuning settings, those that differ between the candidates of this place.
    #[serde(serialize_with = "by_name")]
    pub chosen: Point,
    /// Candidates that have results, at least 1.
    pub candidates: usize,
    /// Those of them with the most replicates, from which it was chosen.
    pub compared: usize,
    /// Test accuracy over completed replicates; `None` where none completed.
    #[serde(rename = "test_accuracy")]
    pub test: Option<Mean>,
    /// Validation accuracy over the same.
    #[serde(rename = "validation_accuracy")]
    pub validation: Option<Mean>,
    /// Replicates whose loss ceased to be finite.
    pub diverged: u64,
    /// Replicates that failed for good.
    pub failed: u64,
}

/// A mean over replicates.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Mean {
    /// The arithmetic mean, a fraction.
    pub mean: f64,
    /// The sample standard deviation (n − 1), a fraction; `None` for a single replicate.
    pub spread: Option<f64>,
    /// Replicates.
    pub count: u64,
}

/// The cells of these results, in the order of their places.
pub fn cells<'a>(results: impl IntoIterator<Item = &'a ResultView>) -> Vec<Cell> {
    let mut aggregate = Aggregate::default();
    results.into_iter().for_each(|result| aggregate.add(result));
    aggregate.cells()
}

/// Takes in results one by one; keeps sums for each candidate, not the results.
#[derive(Debug, Default)]
pub struct Aggregate {
    places: BTreeMap<Place, Vec<Candidate>>,
    /// Where each candidate stands in its place's list.
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

/// Running sums after Welford, which lose no digits where values lie close together.
#[derive(Debug, Default)]
struct Sums {
    count: u64,
    mean: f64,
    squares: f64,
}

impl Aggregate {
    /// Takes in one result. A point that names no rule, network or depth has no place and is passed over.
    pub fn add(&mut self, result: &ResultView) {
        let Some(place) = Place::of(&result.point) else { return };
        let tuning = tuning(&result.point);
        // Values are no keys, as quantities have no total order; their texts are, and differ where the values do.
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

    /// The cells, in the order of their places.
    pub fn cells(&self) -> Vec<Cell> {
        self.places.iter().filter_map(|(place, candidates)| cell(place.clone(), candidates)).collect()
    }
}

impl Place {
    /// The place of a point, where it has one.
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

/// The settings of a point that are neither its place nor replicates.
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
    /// Replicates that completed.
    pub fn completed(&self) -> u64 {
        self.test.map_or(0, |test| test.count)
    }
}

/// The most replicates that completed in any of these cells, where another in which some completed has fewer: then a mean
/// says nothing without its count.
pub fn uneven(cells: &[Cell]) -> Option<u64> {
    let counts = || cells.iter().map(Cell::completed).filter(|&count| count > 0);
    counts().max().filter(|&most| counts().any(|count| count < most))
}

impl Candidate {
    /// Replicates that have ended, however.
    fn replicates(&self) -> u64 {
        self.validation.count + self.diverged + self.failed
    }

    /// Mean validation accuracy, a diverged replicate counting as 0; below every accuracy where nothing is known.
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
    fn folds_and_seeds_are_averaged_over_with_their_sample_spread() {
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
        assert_eq!(cells[0].chosen, Point::from([(Setting::LearningRate, Value::Real(1e-3))]), "the earlier of equals");
        assert_eq!((cells[0].candidates, cells[0].test.map(|test| test.mean)), (3, Some(0.90)));
    }

    #[test]
    fn a_lucky_survivor_among_diverged_replicates_does_not_win() {
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
        assert_eq!(uneven(&cells(&results)), None, "what has no mean needs no count");
        results.push(fold(completed("fa", "nn", 5, 0.5, 0.5), 1));
        assert_eq!(uneven(&cells(&results)), Some(3));
    }

    #[test]
    fn a_place_where_nothing_completed_is_shown_with_what_happened() {
        let cells = cells(&[ended("dtp", "nn", 5, TrialStatus::Diverged), ended("dtp", "nn", 6, TrialStatus::Failed)]);
        assert_eq!(
            cells.iter().map(|cell| (cell.test, cell.diverged, cell.failed)).collect::<Vec<_>>(),
            [(None, 1, 0), (None, 0, 1),]
        );
    }

    #[test]
    fn cells_come_in_the_order_of_the_vocabulary_whatever_the_order_of_results() {
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
    fn a_cell_reads_in_json_under_the_names_of_its_settings() {
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
