//! Importance: how much each axis of a sweep, and each combination of axes, matters for the test accuracy.

use std::collections::{BTreeMap, BTreeSet};

use biosweep_common::settings::{Setting, Value};
use serde::Serialize;

use crate::replicates::{Configuration, Divergence, Part, Replicates};
use crate::statistics::importance::anova::{Grid, anova};
use crate::statistics::importance::ped::{Axis, ped_anova};
use crate::statistics::summary;

/// The share of settings that count as the best on an incomplete grid.
const BEST: f64 = 0.1;

/// The importance of axes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Importance {
    /// How it was computed.
    pub method: Method,
    /// Number of configurations.
    pub configurations: usize,
    /// Number of replicates of each, from which the noise is known; 1 if it is not known.
    pub replicates: usize,
    /// The effects, the largest first.
    pub effects: Vec<Effect>,
}

/// How importance was computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// The exact functional ANOVA of a complete grid.
    FunctionalAnova,
    /// PED-ANOVA of an incomplete grid, for its best tenth.
    PedAnova,
}

/// The effect of a set of axes beyond those of its parts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Effect {
    /// The names of the axes.
    pub axes: Vec<&'static str>,
    /// The share of the variance of the means. It may be negative, if there is less variance than noise; `None` if there is
    /// no variance.
    pub share: Option<f64>,
}

/// The importance of the axes of these results; `None` if no axis has two values with results.
pub fn importance(replicates: &Replicates) -> Option<Importance> {
    let scored = |one: &&Configuration| !one.scores(Part::Test, Divergence::Guess).is_empty();
    let configurations: Vec<&Configuration> = replicates.configurations().iter().filter(scored).collect();
    let axes = axes(&configurations);
    if axes.is_empty() {
        return None;
    }
    of_grid(&configurations, &axes).or_else(|| of_counts(&configurations, &axes))
}

/// An axis: a setting, and for each configuration the index of its value.
struct Levels {
    setting: Setting,
    count: usize,
    levels: Vec<usize>,
}

/// The settings with several values. A setting that follows from another one is no axis, such as the decoder's rate that
/// only one rule has.
fn axes(configurations: &[&Configuration]) -> Vec<Levels> {
    let settings: BTreeSet<Setting> = configurations.iter().flat_map(|one| one.point.keys().copied()).collect();
    let levels = |setting: Setting| {
        let mut values: Vec<Option<&Value>> = Vec::new();
        let mut levels = Vec::with_capacity(configurations.len());
        for one in configurations {
            let value = one.point.get(&setting);
            let level = values.iter().position(|known| *known == value).unwrap_or(values.len());
            if level == values.len() {
                values.push(value);
            }
            levels.push(level);
        }
        Levels { setting, count: values.len(), levels }
    };
    let mut axes: Vec<Levels> = settings.into_iter().map(levels).filter(|axis| axis.count > 1).collect();
    let mut place = 0;
    while place < axes.len() {
        let follows = |from: &Levels| {
            let pairs: BTreeSet<(usize, usize)> =
                from.levels.iter().copied().zip(axes[place].levels.iter().copied()).collect();
            pairs.len() == from.count
        };
        let is_dependent = axes.iter().enumerate().any(|(other, from)| {
            let is_twin = from.count == axes[place].count;
            other != place && follows(from) && (!is_twin || other < place)
        });
        if is_dependent {
            axes.remove(place);
        } else {
            place += 1;
        }
    }
    axes
}

/// The functional ANOVA; `None` if the grid is incomplete or a configuration lacks a replicate that others have.
fn of_grid(configurations: &[&Configuration], axes: &[Levels]) -> Option<Importance> {
    let levels: Vec<usize> = axes.iter().map(|axis| axis.count).collect();
    let cells = levels.iter().try_fold(1_usize, |cells, &count| cells.checked_mul(count))?;
    if cells != configurations.len() {
        return None;
    }
    let mut places = vec![None; cells];
    for (index, _) in configurations.iter().enumerate() {
        let place = axes.iter().fold(0, |place, axis| place * axis.count + axis.levels[index]);
        if places[place].replace(index).is_some() {
            return None;
        }
    }
    let values: Vec<BTreeMap<u64, f64>> = configurations.iter().map(|one| by_replicate(one)).collect();
    let keys: Vec<u64> = values.first()?.keys().copied().collect();
    if keys.is_empty() || values.iter().any(|of_cell| !of_cell.keys().eq(keys.iter())) {
        return None;
    }
    let of_key = |key: &u64| summary::mean(&values.iter().map(|of_cell| of_cell[key]).collect::<Vec<_>>());
    let centres: Vec<f64> = keys.iter().map(of_key).collect::<Option<_>>()?;
    let ordered: Vec<&BTreeMap<u64, f64>> =
        places.into_iter().map(|index| Some(&values[index?])).collect::<Option<_>>()?;
    let means = ordered.iter().map(|of_cell| summary::mean(&of_cell.values().copied().collect::<Vec<_>>()));
    let noise = |of_cell: &&BTreeMap<u64, f64>| {
        let rest: Vec<f64> = of_cell.values().zip(&centres).map(|(value, centre)| value - centre).collect();
        summary::variance(&rest).map_or(0.0, |variance| variance / rest.len() as f64)
    };
    let (means, noise): (Vec<f64>, Vec<f64>) = (means.collect::<Option<_>>()?, ordered.iter().map(noise).collect());
    let found = anova(Grid { levels: &levels, means: &means, noise: &noise })?;
    let mut effects: Vec<Effect> = found
        .components
        .iter()
        .map(|component| Effect {
            axes: component.axes.iter().map(|&axis| axes[axis].setting.name()).collect(),
            share: found.share(component),
        })
        .collect();
    sort(&mut effects);
    let (configurations, replicates) = (configurations.len(), keys.len());
    Some(Importance { method: Method::FunctionalAnova, configurations, replicates, effects })
}

/// PED-ANOVA from the mean accuracy of each configuration.
fn of_counts(configurations: &[&Configuration], axes: &[Levels]) -> Option<Importance> {
    let mean =
        |one: &&Configuration| crate::replicates::mean::mean(one, Part::Test, Divergence::Guess).map(|mean| mean.mean);
    let scores: Vec<f64> = configurations.iter().map(mean).collect::<Option<_>>()?;
    let counted: Vec<Axis<'_>> =
        axes.iter().map(|axis| Axis { levels: axis.count, candidates: &axis.levels }).collect();
    let shares = ped_anova(&scores, &counted, BEST)?.shares();
    let share = |place: usize| shares.as_ref().map(|shares| shares[place]);
    let mut effects: Vec<Effect> = axes
        .iter()
        .enumerate()
        .map(|(place, axis)| Effect { axes: vec![axis.setting.name()], share: share(place) })
        .collect();
    sort(&mut effects);
    Some(Importance { method: Method::PedAnova, configurations: configurations.len(), replicates: 1, effects })
}

fn sort(effects: &mut [Effect]) {
    effects.sort_by(|one, other| other.share.partial_cmp(&one.share).unwrap_or(std::cmp::Ordering::Equal));
}

/// Test accuracies by fold or, with a single fold, by seed.
fn by_replicate(configuration: &Configuration) -> BTreeMap<u64, f64> {
    let mut folds = configuration.accuracies(Part::Test, Divergence::Guess);
    if folds.len() == 1 {
        return folds.pop_first().map(|(_, seeds)| seeds).unwrap_or_default();
    }
    let mean_of_seeds = |seeds: BTreeMap<u64, f64>| summary::mean(&seeds.into_values().collect::<Vec<_>>());
    folds.into_iter().filter_map(|(fold, seeds)| Some((fold, mean_of_seeds(seeds)?))).collect()
}

#[cfg(test)]
mod tests {
    use biosweep_common::results::views::ResultView;

    use super::*;
    use crate::samples::{completed, with};

    fn grid(accuracy: impl Fn(&str, u64, u64) -> f64) -> Vec<ResultView> {
        let mut results = Vec::new();
        for network in ["nn", "dn"] {
            for depth in [5, 10] {
                for fold in 0..3 {
                    let test = accuracy(network, depth, fold);
                    results.push(with(completed("fa", network, depth, test, test), &[("fold", Value::Integer(fold))]));
                }
            }
        }
        results
    }

    fn found(results: &[ResultView]) -> Importance {
        importance(&Replicates::of(results).expect("known counts")).expect("axes")
    }

    fn share(importance: &Importance, axes: &[&str]) -> f64 {
        let effect = importance.effects.iter().find(|effect| effect.axes == axes);
        effect.expect("an effect").share.expect("a variance")
    }

    #[test]
    fn the_variance_of_a_complete_grid_is_divided_among_axes_and_their_combinations() {
        let fold_moves_all = |network: &str, depth: u64, fold: u64| {
            let loss = if network == "nn" { 0.2 } else { 0.0 } + if depth == 10 { 0.1 } else { 0.0 };
            0.9 - loss + 0.01 * fold as f64
        };
        let importance = found(&grid(fold_moves_all));
        assert_eq!(
            (importance.method, importance.configurations, importance.replicates),
            (Method::FunctionalAnova, 4, 3)
        );
        assert!((share(&importance, &["network"]) - 0.8).abs() < 1e-9, "{importance:?}");
        assert!((share(&importance, &["depth"]) - 0.2).abs() < 1e-9);
        assert!(share(&importance, &["network", "depth"]).abs() < 1e-9, "the effects add up");
        assert_eq!(importance.effects[0].axes, ["network"], "the largest first");
    }

    #[test]
    fn an_interaction_is_an_effect_of_its_own() {
        let only_deep_plain = |network: &str, depth: u64, _| if network == "nn" && depth == 10 { 0.5 } else { 0.9 };
        let importance = found(&grid(only_deep_plain));
        for axes in [&["network"][..], &["depth"], &["network", "depth"]] {
            assert!((share(&importance, axes) - 1.0 / 3.0).abs() < 1e-9, "{importance:?}");
        }
    }

    #[test]
    fn an_incomplete_grid_is_ranked_by_counts() {
        let mut results = grid(|network, _, fold| if network == "dn" { 0.9 + 0.01 * fold as f64 } else { 0.5 });
        results.retain(|result| {
            result.point[&Setting::Depth] == Value::Integer(5) || result.trial.0 > 0 || {
                result.point[&Setting::Network] == Value::Name("dn".into())
            }
        });
        let importance = found(&results);
        assert_eq!(importance.method, Method::PedAnova);
        assert_eq!(importance.effects[0].axes, ["network"], "{importance:?}");
    }

    #[test]
    fn a_sweep_with_one_configuration_has_no_axes() {
        let replicates = Replicates::of(&[completed("bp", "nn", 5, 0.9, 0.9)]).expect("known counts");
        assert_eq!(importance(&replicates), None);
    }
}
