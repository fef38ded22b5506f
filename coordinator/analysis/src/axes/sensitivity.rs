//! Sensitivity: how much the accuracy of an arm depends on its tuning settings (the paper's Figure 2).
//!
//! The settings are a fixed grid, not a sample: statistics over settings are computed in each fold, and only their means over
//! folds have intervals. There is no p-value over settings.

use std::collections::{BTreeMap, BTreeSet};

use biosweep_common::configuration::Point;
use biosweep_common::settings::place::PLACE;
use biosweep_common::settings::{Setting, Value};
use serde::Serialize;

use crate::aggregate::Place;
use crate::compare::{CompareError, Group, Question, grouped, only_value};
use crate::replicates::mean::{Mean, mean_of};
use crate::replicates::{Configuration, Divergence, Part, Replicates, by_name, group_by, key};
use crate::statistics::summary::{mean, quantiles, trimmed_mean};
use crate::statistics::tuning::{Candidate, Matched, expected_best, superiority};

/// The arms of one group, over their tuning settings.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sensitivity {
    /// The settings that the arms share.
    #[serde(serialize_with = "by_name")]
    pub group: Point,
    /// The arms, the baseline first.
    pub arms: Vec<ArmSensitivity>,
}

/// One arm over its tuning settings.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ArmSensitivity {
    /// The settings that make the arm.
    #[serde(serialize_with = "by_name")]
    pub arm: Point,
    /// Their value, if there is one setting.
    pub value: Option<Value>,
    /// Its accuracies.
    #[serde(flatten)]
    pub spread: Spread,
    /// Probability that this arm is better than the baseline at a setting that both have (ties count ½); `None` for the
    /// baseline and without common settings.
    pub better_than_first: Option<Mean>,
}

/// Accuracies over tuning settings.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Spread {
    /// Number of settings.
    pub settings: usize,
    /// Number of settings of which a replicate diverged. It counts as a guess.
    pub diverged: usize,
    /// Mean test accuracy without the worst and the best quarter of the settings.
    pub trimmed_mean: Option<Mean>,
    /// Test accuracy of the worst setting, at the quartiles, and of the best setting.
    pub quantiles: [Option<Mean>; 5],
    /// The test accuracy that a budget of k settings gives, for k = 1, 2, …: the best of k random settings by validation.
    pub expected_best: Vec<Mean>,
}

/// All settings of a rule on a network, by their test accuracies. Here the depth is a setting, too, as in the paper's Figure 2.
#[derive(Debug, Clone, PartialEq)]
pub struct Sorted {
    /// The place of the first setting; the others may differ in depth.
    pub place: Place,
    /// Number of settings.
    pub settings: usize,
    /// Number of settings of which a replicate diverged. It counts as a guess.
    pub diverged: usize,
    /// The settings that differ, by name.
    pub axes: Vec<&'static str>,
    /// The test accuracies of the settings in ascending order, at equal distances: sorted in each fold, then the mean over
    /// folds.
    pub tests: Vec<Mean>,
}

/// The probabilities of the quantiles.
pub const QUANTILES: [f64; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];
/// Maximum distances between sorted accuracies; of more settings, accuracies at so many equal distances are kept.
const RANKS_MAX: usize = 100;

/// Mean accuracies of one setting, by fold: validation and test.
type ByFold = BTreeMap<u64, (f64, f64)>;
/// The settings of an arm: each with its accuracies, and with the part of it by which arms are matched.
type Settings = Vec<(Vec<(Setting, String)>, ByFold)>;

/// The sensitivity of the arms of a question.
///
/// # Errors
/// A comparison that is not possible, with the next step.
pub fn sensitivity(replicates: &Replicates, question: &Question) -> Result<Vec<Sensitivity>, CompareError> {
    let groups = grouped(replicates, question)?;
    let of_group = |group: Group<'_>| {
        let shared = shared(&group, question);
        let arms: Vec<Settings> = group.arms.iter().map(|candidates| settings(candidates, &shared)).collect();
        let each = question.arms.iter().zip(&arms).enumerate();
        let arms = each.map(|(place, (arm, of_arm))| ArmSensitivity {
            arm: arm.clone(),
            value: only_value(arm),
            spread: spread(of_arm, diverged(&group.arms[place])),
            better_than_first: if place > 0 { better(of_arm, &arms[0]) } else { None },
        });
        Sensitivity { group: group.point, arms: arms.collect() }
    };
    Ok(groups.into_iter().map(of_group).collect())
}

/// The accuracies over all tuning settings of each place, in the order of their first trials.
pub fn spreads(replicates: &Replicates) -> Vec<(Place, Spread)> {
    let configurations = replicates.configurations().iter().map(|one| (&one.point, one));
    let groups = group_by(configurations, |setting| PLACE.contains(&setting));
    let of_group = |(point, candidates): (Point, Vec<&Configuration>)| {
        Some((Place::of(&point)?, spread(&settings(&candidates, &BTreeSet::new()), diverged(&candidates))))
    };
    groups.into_iter().filter_map(of_group).collect()
}

/// The test accuracies of all settings of each rule on each network, in the order of their first trials.
pub fn sorted(replicates: &Replicates) -> Vec<Sorted> {
    let configurations = replicates.configurations().iter().map(|one| (&one.point, one));
    let groups = group_by(configurations, |setting| setting != Setting::Depth && PLACE.contains(&setting));
    let of_group = |(_, candidates): (Point, Vec<&Configuration>)| {
        let place = Place::of(&candidates.first()?.point)?;
        let settings = settings(&candidates, &BTreeSet::new());
        let ranks = settings.len().saturating_sub(1).clamp(1, RANKS_MAX);
        let ranked = |tests: &[f64]| quantiles(tests, (0..=ranks).map(|rank| rank as f64 / ranks as f64));
        let tests = means(in_each_fold(&settings, ranked));
        let (count, diverged) = (settings.len(), diverged(&candidates));
        Some(Sorted { place, settings: count, diverged, axes: distinctive_of(&candidates), tests })
    };
    groups.into_iter().filter_map(of_group).collect()
}

/// Whether tuning matters somewhere: some place has several settings with results.
pub(crate) fn is_tuned(replicates: &Replicates) -> bool {
    let configurations = replicates.configurations().iter().filter(|one| Place::of(&one.point).is_some());
    let groups = group_by(configurations.map(|one| (&one.point, ())), |setting| PLACE.contains(&setting));
    groups.iter().any(|(_, of_place)| of_place.len() > 1)
}

/// The number of settings of which a replicate diverged.
fn diverged(candidates: &[&Configuration]) -> usize {
    candidates.iter().filter(|one| one.diverged() > 0).count()
}

/// The names of the settings that differ between configurations.
fn distinctive_of(candidates: &[&Configuration]) -> Vec<&'static str> {
    let settings: BTreeSet<Setting> = candidates.iter().flat_map(|one| one.point.keys().copied()).collect();
    let differs =
        |setting: &Setting| candidates.iter().any(|one| one.point.get(setting) != candidates[0].point.get(setting));
    settings.into_iter().filter(differs).map(Setting::name).collect()
}

/// Statistics of the test accuracies of all settings in each fold.
fn in_each_fold<T>(settings: &Settings, statistics: impl Fn(&[f64]) -> Option<T>) -> Vec<T> {
    let tests = |fold: &u64| -> Vec<f64> {
        settings.iter().filter_map(|(_, by_fold)| by_fold.get(fold)).map(|&(_, test)| test).collect()
    };
    folds(settings).iter().filter_map(|fold| statistics(&tests(fold))).collect()
}

/// The means over folds of the first, second, … statistic of each fold.
fn means(of_folds: Vec<Vec<f64>>) -> Vec<Mean> {
    let longest = of_folds.iter().map(Vec::len).max().unwrap_or(0);
    let at = |place: usize| mean_of(of_folds.iter().filter_map(|of_fold| Some(vec![*of_fold.get(place)?])).collect());
    (0..longest).filter_map(at).collect()
}

fn folds(settings: &Settings) -> BTreeSet<u64> {
    settings.iter().flat_map(|(_, by_fold)| by_fold.keys()).copied().collect()
}

fn spread(settings: &Settings, diverged: usize) -> Spread {
    let candidates = |fold: &u64| -> Vec<Candidate> {
        let known = settings.iter().filter_map(|(_, by_fold)| by_fold.get(fold));
        known.map(|&(validation, test)| Candidate { validation, test }).collect()
    };
    let budgets = folds(settings).iter().filter_map(|fold| expected_best(&candidates(fold))).collect();
    let quantiles = means(in_each_fold(settings, |tests| quantiles(tests, QUANTILES)));
    Spread {
        settings: settings.len(),
        diverged,
        trimmed_mean: means(in_each_fold(settings, |tests| trimmed_mean(tests).map(|mean| vec![mean])))
            .first()
            .copied(),
        quantiles: std::array::from_fn(|place| quantiles.get(place).copied()),
        expected_best: means(budgets),
    }
}

/// The probability that an arm is better than the first one, the mean over folds.
fn better(settings: &Settings, first: &Settings) -> Option<Mean> {
    let of_fold = |fold: &u64| Some(vec![superiority(&matched(settings, first, *fold))?]);
    mean_of(folds(settings).iter().filter_map(of_fold).collect())
}

/// The settings that both arms have in a fold. A setting that matches several of the other arm is left out.
fn matched(settings: &Settings, first: &Settings, fold: u64) -> Vec<Matched> {
    let alone = |of: &Settings, key: &[(Setting, String)]| of.iter().filter(|(other, _)| other == key).count() == 1;
    let pair = |(key, by_fold): &(Vec<(Setting, String)>, ByFold)| {
        let (_, baseline) = first.iter().find(|(other, _)| other == key)?.1.get(&fold)?;
        let (_, this) = by_fold.get(&fold)?;
        let is_match = alone(settings, key) && alone(first, key);
        is_match.then_some(Matched { first: *this, second: *baseline })
    };
    settings.iter().filter_map(pair).collect()
}

/// The tuning settings that all configurations of a group have, by which arms are matched. Dense networks, for example, have
/// settings that plain ones have not.
fn shared(group: &Group<'_>, question: &Question) -> BTreeSet<Setting> {
    let mut all = group.arms.iter().flatten().map(|one| one.point.keys().copied().collect::<BTreeSet<_>>());
    let first = all.next().unwrap_or_default();
    let common = all.fold(first, |common, own| &common & &own);
    common.into_iter().filter(|&setting| !question.names(setting) && !PLACE.contains(&setting)).collect()
}

/// The tuning settings of an arm with their accuracies in each fold, the mean over its seeds.
fn settings(candidates: &[&Configuration], shared: &BTreeSet<Setting>) -> Settings {
    let of = |candidate: &&Configuration| {
        let of_part = |part| candidate.accuracies(part, Divergence::Guess);
        let mean_of_seeds = |seeds: BTreeMap<u64, f64>| mean(&seeds.into_values().collect::<Vec<_>>());
        let mut validation = of_part(Part::Validation);
        let means = of_part(Part::Test)
            .into_iter()
            .filter_map(|(fold, test)| Some((fold, (mean_of_seeds(validation.remove(&fold)?)?, mean_of_seeds(test)?))));
        (key(&candidate.point, |setting| shared.contains(&setting)), means.collect())
    };
    candidates.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use biosweep_common::results::outcome::TrialStatus;
    use biosweep_common::results::views::ResultView;

    use super::*;
    use crate::compare::Test;
    use crate::replicates::mean::Unit;
    use crate::samples::{completed, with};

    fn tried(network: &str, rate: f64, fold: u64, accuracy: f64) -> ResultView {
        let settings = [("learning_rate", Value::Real(rate)), ("fold", Value::Integer(fold))];
        with(completed("fa", network, 5, accuracy, accuracy), &settings)
    }

    #[test]
    fn statistics_over_settings_are_computed_in_each_fold_and_then_averaged() {
        let rates = [1e-1, 1e-2, 1e-3, 1e-4];
        let mut results = Vec::new();
        for fold in 0..3 {
            let shift = 0.01 * fold as f64;
            for (rate, [nn, dn]) in rates.into_iter().zip([[0.1, 0.5], [0.6, 0.6], [0.8, 0.7], [0.3, 0.9]]) {
                results.push(tried("nn", rate, fold, nn + shift));
                results.push(tried("dn", rate, fold, dn + shift));
            }
        }
        let arms = Question::arms_of(Setting::Network, ["nn", "dn"].map(|name| Value::Name(name.into())));
        let question = Question { shared: Point::new(), arms, by: None, margin: 0.01, test: Test::SignFlip };
        let found = sensitivity(&Replicates::of(&results).expect("known counts"), &question).expect("two arms");
        let [Sensitivity { arms, .. }] = found.as_slice() else { panic!("one group") };
        let near = |mean: Option<Mean>, value: f64| (mean.expect("three folds").mean - value).abs() < 1e-12;
        assert!(near(arms[0].spread.trimmed_mean, 0.46) && near(arms[1].spread.trimmed_mean, 0.66), "{arms:?}");
        assert!(near(arms[0].spread.quantiles[0], 0.11) && near(arms[0].spread.quantiles[4], 0.81), "{arms:?}");
        assert_eq!((arms[0].spread.settings, arms[0].better_than_first), (4, None));
        assert!(near(arms[1].better_than_first, 2.5 / 4.0), "better twice, equal once: {arms:?}");
        assert_eq!((arms[1].spread.expected_best.len(), arms[1].spread.expected_best[3].unit), (4, Unit::Fold));
        assert!((arms[1].spread.expected_best[0].mean - 0.685).abs() < 1e-12, "one setting: the mean of all");
        assert!((arms[1].spread.expected_best[3].mean - 0.91).abs() < 1e-12, "all settings: the best");
    }

    #[test]
    fn accuracies_are_sorted_in_each_fold_over_depths_and_tuning_settings() {
        let at = |depth, fold, accuracy| {
            with(completed("fa", "nn", depth, accuracy, accuracy), &[("fold", Value::Integer(fold))])
        };
        let results = [at(5, 0, 0.9), at(7, 0, 0.5), at(10, 0, 0.7), at(5, 1, 0.6), at(7, 1, 0.8), at(10, 1, 0.9)];
        let sorted = sorted(&Replicates::of(&results).expect("known counts"));
        let [one] = sorted.as_slice() else { panic!("one group") };
        assert_eq!((one.settings, one.axes.as_slice()), (3, &["depth"][..]));
        let means: Vec<f64> = one.tests.iter().map(|test| (test.mean * 1e6).round() / 1e6).collect();
        assert_eq!(means, [0.55, 0.75, 0.9]);
        assert_eq!((one.place.depth, one.tests[0].count), (5, 2));
    }

    #[test]
    fn settings_that_diverged_in_some_replicate_are_counted() {
        let diverged =
            |rate: f64, fold| ResultView { status: TrialStatus::Diverged, score: None, ..tried("nn", rate, fold, 0.5) };
        let results =
            [tried("nn", 0.1, 0, 0.5), diverged(0.1, 1), diverged(0.2, 0), diverged(0.2, 1), tried("nn", 0.3, 0, 0.7)];
        let replicates = Replicates::of(&results).expect("known counts");
        let (_, spread) = &spreads(&replicates)[0];
        assert_eq!((spread.settings, spread.diverged), (3, 2));
        assert_eq!((sorted(&replicates)[0].settings, sorted(&replicates)[0].diverged), (3, 2));
    }

    #[test]
    fn tuning_matters_where_a_place_has_several_settings() {
        let is_tuned = |results: &[ResultView]| is_tuned(&Replicates::of(results).expect("known counts"));
        assert!(is_tuned(&[tried("nn", 0.1, 0, 0.5), tried("nn", 0.2, 0, 0.5)]));
        assert!(!is_tuned(&[tried("nn", 0.1, 0, 0.5), tried("dn", 0.2, 0, 0.5), tried("nn", 0.1, 1, 0.5)]));
        assert!(!is_tuned(&[]));
    }

    #[test]
    fn each_place_has_its_spread() {
        let results = [tried("nn", 0.1, 0, 0.5), tried("nn", 0.01, 0, 0.7), tried("dn", 0.1, 0, 0.8)];
        let spreads = spreads(&Replicates::of(&results).expect("known counts"));
        let settings: Vec<usize> = spreads.iter().map(|(_, spread)| spread.settings).collect();
        assert_eq!(settings, [2, 1]);
        assert!((spreads[0].1.expected_best[0].mean - 0.6).abs() < 1e-12);
    }
}
