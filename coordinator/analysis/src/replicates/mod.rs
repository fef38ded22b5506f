//! The results of a sweep in memory: each configuration with its replicates.
//!
//! `fold` and `seed` make *replicates*: repetitions of one experiment. All other settings are the *configuration*. A diverged
//! replicate has a score: an accuracy of 1/classes, that of a guess. A failed replicate has none, because a failure does not
//! depend on the settings. Neither has one that has not ended.
//!
//! Scores are integers: multiples of 1 / (images · classes). Differences of scores are therefore exact.

pub mod mean;
mod points;

use std::collections::{BTreeMap, BTreeSet};

use biosweep_common::configuration::Point;
use biosweep_common::grid::Grid;
use biosweep_common::results::outcome::TrialStatus;
use biosweep_common::results::views::ResultView;
use biosweep_common::settings::{Setting, Value};
use biosweep_common::vocabulary::dataset::DatasetSize;
use biosweep_common::vocabulary::ids::TrialIndex;

pub(crate) use self::points::{by_name, group_by, has_all, is_trained_with, key, part};
pub use biosweep_common::settings::place::REPLICATES;

/// The counts of a dataset are not known, so that a divergence has no score.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the number of classes and images of the dataset `{dataset}` is not stored: it was trained by an earlier version of \
     biosweep; submit the spec again, which trains one trial at least, and the counts are stored"
)]
pub struct UnknownSize {
    /// The dataset.
    pub dataset: String,
}

/// Configurations with their replicates, in the order of their first trials.
#[derive(Debug, Clone, Default)]
pub struct Replicates {
    only: Point,
    configurations: Vec<Configuration>,
    index: BTreeMap<Vec<(Setting, String)>, usize>,
}

/// One configuration with its replicates.
#[derive(Debug, Clone)]
pub struct Configuration {
    /// Its settings, without those that make replicates.
    pub point: Point,
    /// The counts of its dataset; `None` if no replicate has a score.
    pub size: Option<DatasetSize>,
    /// The replicates that have ended, in the order of trials.
    pub replicates: Vec<Replicate>,
    /// Number of replicates in the grid; 0 if the grid was not given.
    pub planned: u64,
}

/// One replicate that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replicate {
    /// The random split of the training images.
    pub fold: u64,
    /// The seed of all other randomness.
    pub seed: u64,
    /// How it ended.
    pub end: End,
}

/// How a replicate ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It has accuracies, in correct images.
    Completed {
        /// Correct validation images.
        validation: u32,
        /// Correct test images.
        test: u32,
    },
    /// It diverged.
    Diverged,
    /// It failed.
    Failed,
}

/// The images on which an accuracy is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The validation images.
    Validation,
    /// The test images.
    Test,
}

/// How a divergence counts in a mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Divergence {
    /// As an accuracy of 1/classes.
    #[default]
    Guess,
    /// Not at all. Such means are those of survivors and have to be labelled.
    LeftOut,
}

impl Replicates {
    /// The results of a sweep. Points without a fold or a seed are of replicate 0.
    ///
    /// # Errors
    /// A scored result on a dataset whose counts are not known.
    pub fn of<'a>(results: impl IntoIterator<Item = &'a ResultView>) -> Result<Self, UnknownSize> {
        let mut replicates = Self::default();
        results.into_iter().try_for_each(|result| replicates.add(result))?;
        Ok(replicates)
    }

    /// Takes only results with all of these settings; `fold` and `seed` are among them.
    #[must_use]
    pub fn only(settings: Point) -> Self {
        Self { only: settings, ..Self::default() }
    }

    /// The settings that all results have, if only these were wanted.
    #[must_use]
    pub const fn wanted(&self) -> &Point {
        &self.only
    }

    /// Adds one result. A result with other settings is ignored.
    ///
    /// # Errors
    /// A scored result on a dataset whose counts are not known.
    pub fn add(&mut self, result: &ResultView) -> Result<(), UnknownSize> {
        if !has_all(&result.point, &self.only) {
            return Ok(());
        }
        let end = match (result.status, result.score, result.dataset_size) {
            (TrialStatus::Failed, ..) | (TrialStatus::Completed, None, _) => End::Failed,
            (.., None) => return Err(UnknownSize { dataset: text(&result.point, Setting::Dataset) }),
            (TrialStatus::Diverged, ..) => End::Diverged,
            (TrialStatus::Completed, Some(score), Some(size)) => End::Completed {
                validation: correct(score.validation_accuracy, size.validation_images),
                test: correct(score.test_accuracy, size.test_images),
            },
        };
        let (fold, seed) = replicate(&result.point);
        let replicate = Replicate { fold, seed, end };
        let configuration = self.configuration(&result.point);
        configuration.size = configuration.size.or(result.dataset_size);
        configuration.replicates.push(replicate);
        Ok(())
    }

    /// Counts the replicates of a grid, so that missing ones of these configurations are known. This takes time in proportion
    /// to the trials.
    pub fn plan(&mut self, grid: &Grid) {
        for point in (0..grid.trials()).filter_map(|trial| grid.point(TrialIndex(trial))) {
            let place = self.index.get(&key(&point, |setting| !REPLICATES.contains(&setting)));
            if let Some(&place) = place.filter(|_| has_all(&point, &self.only)) {
                self.configurations[place].planned += 1;
            }
        }
    }

    /// The configurations, in the order of their first trials.
    pub fn configurations(&self) -> &[Configuration] {
        &self.configurations
    }

    /// The values of a setting, in the order of the first trials that have them.
    pub fn values(&self, setting: Setting) -> Vec<Value> {
        let mut seen = BTreeSet::new();
        let values = self.configurations.iter().filter_map(|configuration| configuration.point.get(&setting));
        values.filter(|value| seen.insert(value.to_string())).cloned().collect()
    }

    /// The configurations with all of these settings.
    #[must_use]
    pub fn filtered(self, settings: &Point) -> Self {
        let configurations: Vec<_> =
            self.configurations.into_iter().filter(|one| has_all(&one.point, settings)).collect();
        let index = configurations.iter().enumerate().map(|(place, one)| (key(&one.point, |_| true), place)).collect();
        Self { only: self.only, configurations, index }
    }

    fn configuration(&mut self, point: &Point) -> &mut Configuration {
        let key = key(point, |setting| !REPLICATES.contains(&setting));
        let next = self.configurations.len();
        let place = *self.index.entry(key).or_insert(next);
        if place == next {
            let point = part(point, |setting| !REPLICATES.contains(&setting));
            self.configurations.push(Configuration { point, size: None, replicates: Vec::new(), planned: 0 });
        }
        &mut self.configurations[place]
    }
}

impl Configuration {
    /// The score of an accuracy of 1: images · classes. 0 if no replicate has a score.
    pub fn full_score(&self, part: Part) -> u64 {
        let Some(size) = self.size else { return 0 };
        u64::from(images(size, part)) * u64::from(size.classes)
    }

    /// The score of a replicate; `None` if it has none.
    pub fn score(&self, replicate: &Replicate, part: Part, divergence: Divergence) -> Option<u64> {
        let size = self.size?;
        match (replicate.end, part) {
            (End::Completed { validation, .. }, Part::Validation) => {
                Some(u64::from(validation) * u64::from(size.classes))
            }
            (End::Completed { test, .. }, Part::Test) => Some(u64::from(test) * u64::from(size.classes)),
            (End::Diverged, _) if divergence == Divergence::Guess => Some(u64::from(images(size, part))),
            (End::Diverged | End::Failed, _) => None,
        }
    }

    /// The scores by fold and seed.
    pub fn scores(&self, part: Part, divergence: Divergence) -> BTreeMap<u64, BTreeMap<u64, u64>> {
        let mut folds: BTreeMap<u64, BTreeMap<u64, u64>> = BTreeMap::new();
        for replicate in &self.replicates {
            if let Some(score) = self.score(replicate, part, divergence) {
                folds.entry(replicate.fold).or_default().insert(replicate.seed, score);
            }
        }
        folds
    }

    /// The accuracies, as fractions, by fold and seed.
    pub fn accuracies(&self, part: Part, divergence: Divergence) -> BTreeMap<u64, BTreeMap<u64, f64>> {
        let full = self.full_score(part) as f64;
        let fractions =
            |seeds: BTreeMap<u64, u64>| seeds.into_iter().map(|(seed, score)| (seed, score as f64 / full)).collect();
        self.scores(part, divergence).into_iter().map(|(fold, seeds)| (fold, fractions(seeds))).collect()
    }

    /// The number of replicates with this end.
    pub fn count(&self, is_counted: impl Fn(End) -> bool) -> u64 {
        self.replicates.iter().filter(|replicate| is_counted(replicate.end)).count() as u64
    }

    /// Number of completed replicates.
    pub fn completed(&self) -> u64 {
        self.count(|end| matches!(end, End::Completed { .. }))
    }

    /// Number of diverged replicates.
    pub fn diverged(&self) -> u64 {
        self.count(|end| end == End::Diverged)
    }

    /// Number of failed replicates.
    pub fn failed(&self) -> u64 {
        self.count(|end| end == End::Failed)
    }
}

fn images(size: DatasetSize, part: Part) -> u32 {
    match part {
        Part::Validation => size.validation_images,
        Part::Test => size.test_images,
    }
}

/// The number of correct images. An accuracy is such a number, divided by the images.
fn correct(accuracy: f64, images: u32) -> u32 {
    (accuracy * f64::from(images)).round() as u32
}

/// The fold and the seed of a point; 0 where it has none.
pub(crate) fn replicate(point: &Point) -> (u64, u64) {
    (number(point, Setting::Fold), number(point, Setting::Seed))
}

fn number(point: &Point, setting: Setting) -> u64 {
    match point.get(&setting) {
        Some(&Value::Integer(number)) => number,
        _ => 0,
    }
}

fn text(point: &Point, setting: Setting) -> String {
    point.get(&setting).map(Value::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use biosweep_common::spec::{Format, SweepSpec};

    use super::*;
    use crate::samples::{completed, ended, with};

    fn fold(result: ResultView, fold: u64) -> ResultView {
        with(result, &[("fold", Value::Integer(fold))])
    }

    #[test]
    fn replicates_differ_in_fold_and_seed_only() {
        let results = [
            fold(completed("bp", "nn", 5, 0.9, 0.91), 0),
            fold(completed("bp", "dn", 5, 0.9, 0.92), 0),
            with(completed("bp", "nn", 5, 0.9, 0.93), &[("seed", Value::Integer(4))]),
        ];
        let replicates = Replicates::of(&results).expect("known counts");
        let [nn, dn] = replicates.configurations() else { panic!("two configurations") };
        assert_eq!((nn.replicates.len(), dn.replicates.len()), (2, 1));
        assert_eq!((nn.replicates[1].fold, nn.replicates[1].seed), (0, 4));
        assert_eq!(nn.replicates[0].end, End::Completed { validation: 9_000, test: 9_100 });
        assert!(!nn.point.contains_key(&Setting::Seed));
    }

    #[test]
    fn a_divergence_scores_as_a_guess_and_a_failure_has_no_score() {
        let results = [TrialStatus::Diverged, TrialStatus::Failed].map(|status| ended("fa", "nn", 5, status));
        let replicates = Replicates::of(&results).expect("known counts");
        let [configuration] = replicates.configurations() else { panic!("one configuration") };
        let score =
            |place: usize, divergence| configuration.score(&configuration.replicates[place], Part::Test, divergence);
        assert_eq!(configuration.full_score(Part::Test), 100_000);
        assert_eq!((score(0, Divergence::Guess), score(0, Divergence::LeftOut)), (Some(10_000), None));
        assert_eq!(score(1, Divergence::Guess), None);
    }

    #[test]
    fn a_score_without_the_counts_of_its_dataset_is_an_error_that_names_the_dataset() {
        let without = |status| ResultView { dataset_size: None, ..ended("bp", "nn", 5, status) };
        let error = Replicates::of(&[without(TrialStatus::Diverged)]).expect_err("no counts");
        assert!(error.to_string().contains("`mnist`"), "{error}");
        assert!(Replicates::of(&[without(TrialStatus::Failed)]).is_ok(), "a failure needs no counts");
    }

    #[test]
    fn the_replicates_of_one_fold_can_be_taken_alone() {
        let spec = "name = \"s\"\n[data]\ndataset = \"mnist\"\n[grid]\nrule = \"bp\"\nnetwork = \"nn\"\ndepth = 5\n\
                    fold = [0, 1]\nseed = [0, 1, 2]\n";
        let spec = SweepSpec::parse(spec, Format::Toml, "s").expect("a spec");
        let result = |trial| ResultView {
            point: spec.grid.point(TrialIndex(trial)).expect("a trial"),
            ..completed("bp", "nn", 5, 0.9, 0.9)
        };
        let mut replicates = Replicates::only(Point::from([(Setting::Fold, Value::Integer(1))]));
        (0..5).for_each(|trial| replicates.add(&result(trial)).expect("known counts"));
        replicates.plan(&spec.grid);
        let [one] = replicates.configurations() else { panic!("one configuration") };
        assert!(one.replicates.iter().all(|replicate| replicate.fold == 1), "{:?}", one.replicates);
        assert!(!one.replicates.is_empty() && one.replicates.len() < 5, "the other fold is left out");
        assert_eq!(one.planned, 3, "three seeds of this fold");
    }

    #[test]
    fn a_filter_keeps_the_configurations_with_all_settings() {
        let results = [completed("bp", "nn", 5, 0.9, 0.9), completed("bp", "nn", 6, 0.9, 0.9)];
        let replicates = Replicates::of(&results).expect("known counts");
        assert_eq!(replicates.values(Setting::Depth), [Value::Integer(5), Value::Integer(6)]);
        let filtered = replicates.filtered(&Point::from([(Setting::Depth, Value::Integer(6))]));
        assert_eq!(filtered.values(Setting::Depth), [Value::Integer(6)]);
    }
}
