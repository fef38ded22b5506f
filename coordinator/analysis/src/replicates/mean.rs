//! Means of accuracies over replicates, with their intervals.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::replicates::{Configuration, Divergence, Part};
use crate::statistics::{interval, summary};

/// The level of all intervals.
pub const LEVEL: f64 = 0.95;

/// A mean over replicates.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Mean {
    /// The arithmetic mean, as a fraction.
    pub mean: f64,
    /// The sample standard deviation (n − 1), as a fraction; `None` for a single value.
    pub spread: Option<f64>,
    /// Half of the width of the 95 % interval of the mean, as a fraction; `None` for a single value.
    pub half_width: Option<f64>,
    /// Number of values, n.
    pub count: u64,
    /// What each value is of.
    pub unit: Unit,
}

/// What each value of a mean is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// A fold: the mean over its seeds.
    Fold,
    /// A seed of the only fold. Nothing follows for other data.
    Seed,
}

impl Unit {
    /// The word for `count` of them.
    pub const fn word(self, count: u64) -> &'static str {
        match (self, count) {
            (Self::Fold, 1) => "fold",
            (Self::Fold, _) => "folds",
            (Self::Seed, 1) => "seed",
            (Self::Seed, _) => "seeds",
        }
    }
}

/// The number of values of these means in words, such as `8 folds`; `n folds` if they differ in it. `None` without means.
pub fn counted<'a>(means: impl IntoIterator<Item = &'a Mean>) -> Option<String> {
    let means: Vec<&Mean> = means.into_iter().collect();
    let counts = || means.iter().map(|mean| mean.count);
    let (least, most) = (counts().min()?, counts().max()?);
    // A single value is of a seed, also beside means over folds.
    let units: BTreeSet<Unit> = means.iter().filter(|mean| mean.count > 1).map(|mean| mean.unit).collect();
    let units = if units.is_empty() { means.iter().map(|mean| mean.unit).collect() } else { units };
    let words: Vec<&str> = units.into_iter().map(|unit| unit.word(most)).collect();
    let count = if least < most { "n".to_owned() } else { most.to_string() };
    Some(format!("{count} {}", words.join(" or ")))
}

/// The mean accuracy of a configuration; `None` if no replicate has a score.
pub fn mean(configuration: &Configuration, part: Part, divergence: Divergence) -> Option<Mean> {
    let folds = configuration.accuracies(part, divergence).into_values();
    mean_of(folds.map(|seeds| seeds.into_values().collect()).collect())
}

/// The mean of accuracies, given by fold and seed; `None` without any.
pub fn mean_of(mut folds: Vec<Vec<f64>>) -> Option<Mean> {
    let (unit, values) = match folds.len() {
        1 => (Unit::Seed, folds.remove(0)),
        _ => (Unit::Fold, folds.iter().filter_map(|seeds| summary::mean(seeds)).collect()),
    };
    Some(Mean {
        mean: summary::mean(&values)?,
        spread: summary::standard_deviation(&values),
        half_width: interval::of_mean(&values, LEVEL).map(|interval| interval.half_width),
        count: values.len() as u64,
        unit,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_values_is_n_if_means_differ_in_it() {
        let of = |folds: Vec<Vec<f64>>| mean_of(folds).expect("values");
        let (three, two) = (of(vec![vec![0.1]; 3]), of(vec![vec![0.1]; 2]));
        let (seeds, single) = (of(vec![vec![0.1; 3]]), of(vec![vec![0.1]]));
        let words = |means: &[Mean]| counted(means).expect("means");
        assert_eq!((words(&[three, three]), words(&[three, two])), ("3 folds".to_owned(), "n folds".to_owned()));
        assert_eq!((words(&[three, single]), words(&[single])), ("n folds".to_owned(), "1 seed".to_owned()));
        assert_eq!((words(&[three, seeds]), counted([])), ("3 folds or seeds".to_owned(), None));
    }
}
