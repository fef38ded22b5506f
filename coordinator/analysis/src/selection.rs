//! The choice among candidates: by validation accuracy, never by test accuracy.
//!
//! A choice over all folds names one candidate; its interval does not include the choice. A choice in each fold names a
//! candidate per fold, and an interval of their test accuracies includes the choice.

use std::collections::BTreeMap;

use biosweep_common::configuration::Point;
use biosweep_common::settings::Setting;
use serde::Serialize;

use crate::replicates::mean::{Mean, mean, mean_of};
use crate::replicates::{Configuration, Divergence, Part, Replicates, by_name, group_by, part};

/// The best candidate of a group of configurations.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Best {
    /// The settings that distinguish the group.
    #[serde(serialize_with = "by_name")]
    pub group: Point,
    /// The settings of the candidate that differ between candidates of the group.
    #[serde(serialize_with = "by_name")]
    pub chosen: Point,
    /// Number of candidates with results, k in "best of k".
    pub candidates: usize,
    /// Number of candidates with the most replicates, among which it was chosen.
    pub compared: usize,
    /// Mean test accuracy of the candidate; `None` if no replicate has a score.
    #[serde(rename = "test_accuracy")]
    pub test: Option<Mean>,
    /// Mean test accuracy if each fold chooses its own candidate: its interval includes the choice.
    #[serde(rename = "test_accuracy_chosen_by_fold")]
    pub by_fold: Option<Mean>,
    /// Number of completed replicates of the candidate.
    pub completed: u64,
    /// Number of diverged replicates of the candidate.
    pub diverged: u64,
    /// Number of failed replicates of the candidate.
    pub failed: u64,
}

/// The best candidate of each group, in the order of first trials. Configurations with equal values of `by` are a group.
pub fn best_by(replicates: &Replicates, by: &[Setting]) -> Vec<Best> {
    let tried = replicates.configurations().iter().filter(|one| !one.replicates.is_empty());
    let groups = group_by(tried.map(|one| (&one.point, one)), |setting| by.contains(&setting));
    groups.into_iter().filter_map(|(group, candidates)| of_group(group, &candidates)).collect()
}

fn of_group(group: Point, candidates: &[&Configuration]) -> Option<Best> {
    let (chosen, compared) = best(candidates, Divergence::Guess)?;
    let full = candidates.iter().map(|one| one.full_score(Part::Test)).max().unwrap_or(0).max(1) as f64;
    let folds = by_fold(candidates).into_values();
    let folds = folds.map(|seeds| seeds.into_values().map(|score| score as f64 / full).collect()).collect();
    Some(Best {
        group,
        chosen: distinctive(chosen, candidates),
        candidates: candidates.len(),
        compared,
        test: mean(chosen, Part::Test, Divergence::Guess),
        by_fold: mean_of(folds),
        completed: chosen.completed(),
        diverged: chosen.diverged(),
        failed: chosen.failed(),
    })
}

/// The settings of a candidate in which another one differs from it.
pub(crate) fn distinctive(chosen: &Configuration, candidates: &[&Configuration]) -> Point {
    part(&chosen.point, |setting| {
        candidates.iter().any(|other| other.point.get(&setting) != chosen.point.get(&setting))
    })
}

/// The best of these candidates, and how many were compared; `None` if none has results.
pub fn best<'a>(candidates: &[&'a Configuration], divergence: Divergence) -> Option<(&'a Configuration, usize)> {
    let most = candidates.iter().map(|candidate| candidate.replicates.len()).max().filter(|&most| most > 0)?;
    let mut compared = candidates.iter().filter(|candidate| candidate.replicates.len() == most);
    let merit = |candidate: &Configuration| mean(candidate, Part::Validation, divergence).map(|mean| mean.mean);
    let mut best = *compared.next()?;
    let mut count = 1;
    for candidate in compared {
        count += 1;
        if merit(candidate) > merit(best) {
            best = candidate;
        }
    }
    Some((best, count))
}

/// For each fold, the test scores of the candidate with the best mean validation score there, by seed. Only candidates with
/// the most seeds of the fold are compared. Of equal candidates the first wins.
pub fn by_fold(candidates: &[&Configuration]) -> BTreeMap<u64, BTreeMap<u64, u64>> {
    let mut best: BTreeMap<u64, (usize, f64, BTreeMap<u64, u64>)> = BTreeMap::new();
    for candidate in candidates {
        let mut validation = candidate.scores(Part::Validation, Divergence::Guess);
        for (fold, test) in candidate.scores(Part::Test, Divergence::Guess) {
            let validation = validation.remove(&fold).unwrap_or_default();
            let merit = validation.values().sum::<u64>() as f64 / validation.len().max(1) as f64;
            let is_better = best.get(&fold).is_none_or(|(count, of_best, _)| (test.len(), merit) > (*count, *of_best));
            if is_better {
                best.insert(fold, (test.len(), merit, test));
            }
        }
    }
    best.into_iter().map(|(fold, (.., test))| (fold, test)).collect()
}

#[cfg(test)]
mod tests {
    use biosweep_common::results::views::ResultView;
    use biosweep_common::settings::Value;

    use super::*;
    use crate::replicates::mean::Unit;
    use crate::samples::{completed, with};

    fn tried(network: &str, rate: f64, fold: u64, validation: f64, test: f64) -> ResultView {
        let settings = [("learning_rate", Value::Real(rate)), ("fold", Value::Integer(fold))];
        with(completed("fa", network, 5, validation, test), &settings)
    }

    #[test]
    fn the_best_of_a_group_is_chosen_by_validation_and_its_choice_by_fold_stands_beside_it() {
        let results = [
            tried("nn", 1e-3, 0, 0.90, 0.80),
            tried("nn", 1e-3, 1, 0.80, 0.82),
            tried("nn", 1e-4, 0, 0.70, 0.99),
            tried("nn", 1e-4, 1, 0.85, 0.90),
            tried("dn", 1e-3, 0, 0.60, 0.50),
        ];
        let replicates = Replicates::of(&results).expect("known counts");
        let best = best_by(&replicates, &[Setting::Network]);
        let [nn, dn] = best.as_slice() else { panic!("two groups: {best:?}") };
        assert_eq!(nn.chosen, Point::from([(Setting::LearningRate, Value::Real(1e-3))]));
        assert_eq!((nn.candidates, nn.compared, dn.candidates), (2, 2, 1));
        let (test, by_fold) = (nn.test.expect("a score"), nn.by_fold.expect("a score"));
        assert!((test.mean - 0.81).abs() < 1e-12 && (by_fold.mean - 0.85).abs() < 1e-12, "{test:?} {by_fold:?}");
        assert_eq!((by_fold.count, by_fold.unit), (2, Unit::Fold));
        assert!(dn.chosen.is_empty());
        assert_eq!(best_by(&replicates, &[]).len(), 1, "one group of all");
    }
}
