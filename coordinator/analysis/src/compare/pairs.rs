//! Paired scores of two arms, as exact numbers.
//!
//! A pair shares its fold and its seeds. In each fold, an arm is represented by its candidate with the best validation
//! accuracy in that fold: the choice is part of what is compared, and the test accuracy that counts is that of the same fold.

use std::collections::{BTreeMap, BTreeSet};

use crate::replicates::mean::Unit;
use crate::replicates::{Configuration, Part};
use crate::selection::by_fold;

/// The greatest factor that makes means over seeds whole numbers. Beyond it they are rounded.
const FACTOR_MAX: u64 = 1 << 20;

/// The test scores of both arms in one fold, by seed.
type Seeds = BTreeMap<u64, (u64, u64)>;

/// Paired values of two arms: numerators over one denominator.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pairs {
    /// What each pair is of.
    pub(super) unit: Unit,
    /// The first arm.
    pub(super) first: Vec<i64>,
    /// The second arm.
    pub(super) second: Vec<i64>,
    /// The denominator.
    pub(super) full: f64,
    /// Number of folds or seeds that only one arm has, or that have no common seed.
    pub(super) dropped: usize,
}

/// The paired accuracies of two arms, each with its candidates.
pub(super) fn accuracies(first: &[&Configuration], second: &[&Configuration]) -> Pairs {
    let folds = paired(first, second);
    let (unit, units) = units(&folds);
    let factor = factor(units.iter().map(Seeds::len));
    let sum = |side: fn(&(u64, u64)) -> u64| -> Vec<i64> {
        units.iter().map(|seeds| whole(scaled(seeds, side, factor))).collect()
    };
    Pairs {
        unit,
        first: sum(|pair| pair.0),
        second: sum(|pair| pair.1),
        full: full(first, second) * factor as f64,
        dropped: dropped(&[first, second], &folds),
    }
}

/// The paired slopes of accuracy on x, such as the depth: for each x the candidates of both arms. `None` for less than two
/// different x.
pub(super) fn slopes(groups: &[(u64, Vec<&Configuration>, Vec<&Configuration>)]) -> Option<Pairs> {
    let by_x: Vec<(u64, BTreeMap<u64, Seeds>)> =
        groups.iter().map(|(x, first, second)| (*x, paired(first, second))).collect();
    // A slope is of one fold and its seeds at every x.
    let in_all = |fold: u64, seed: u64| {
        by_x.iter().all(|(_, folds)| folds.get(&fold).is_some_and(|seeds| seeds.contains_key(&seed)))
    };
    let common = |folds: &BTreeMap<u64, Seeds>| -> BTreeMap<u64, Seeds> {
        let of_fold = |(&fold, seeds): (&u64, &Seeds)| {
            let seeds: Seeds =
                seeds.iter().filter(|&(&seed, _)| in_all(fold, seed)).map(|(&seed, &pair)| (seed, pair)).collect();
            (!seeds.is_empty()).then_some((fold, seeds))
        };
        folds.iter().filter_map(of_fold).collect()
    };
    let kept = common(&by_x.first()?.1);
    let by_x: Vec<(u64, Unit, Vec<Seeds>)> = by_x
        .iter()
        .map(|(x, folds)| {
            let (unit, units) = units(&common(folds));
            (*x, unit, units)
        })
        .collect();
    let count = by_x.iter().map(|(.., units)| units.len()).min()?;
    let unit = by_x.first()?.1;
    // The slope is Σ(n·x − Σx)·y / (n·Σx² − (Σx)²).
    let (n, sum_x) = (by_x.len() as i128, by_x.iter().map(|&(x, ..)| i128::from(x)).sum::<i128>());
    let squares: i128 = by_x.iter().map(|&(x, ..)| i128::from(x) * i128::from(x)).sum();
    let denominator = n * squares - sum_x * sum_x;
    if denominator <= 0 {
        return None;
    }
    let factor = factor(by_x.iter().flat_map(|(.., units)| units.iter().map(Seeds::len)));
    let slope = |side: fn(&(u64, u64)) -> u64| -> Vec<i64> {
        let of_unit = |place: usize| {
            let term = |(x, _, units): &(u64, Unit, Vec<Seeds>)| {
                (n * i128::from(*x) - sum_x) * scaled(&units[place], side, factor)
            };
            whole(by_x.iter().map(term).sum())
        };
        (0..count).map(of_unit).collect()
    };
    let arms: Vec<&[&Configuration]> =
        groups.iter().flat_map(|(_, first, second)| [first.as_slice(), second.as_slice()]).collect();
    let (_, first, second) = groups.first()?;
    Some(Pairs {
        unit,
        first: slope(|pair| pair.0),
        second: slope(|pair| pair.1),
        full: full(first, second) * factor as f64 * denominator as f64,
        dropped: dropped(&arms, &kept),
    })
}

impl Pairs {
    /// Number of pairs.
    pub(super) fn len(&self) -> usize {
        self.first.len()
    }

    /// Second arm minus first arm, as numerators.
    pub(super) fn differences(&self) -> Vec<i64> {
        self.first.iter().zip(&self.second).map(|(first, second)| second - first).collect()
    }

    /// Numerators as fractions.
    pub(super) fn fractions(&self, numerators: &[i64]) -> Vec<f64> {
        numerators.iter().map(|&numerator| numerator as f64 / self.full).collect()
    }
}

/// The folds that both arms have, with their common seeds.
fn paired(first: &[&Configuration], second: &[&Configuration]) -> BTreeMap<u64, Seeds> {
    let (first, second) = (by_fold(first), by_fold(second));
    let pair = |(fold, seeds): (u64, BTreeMap<u64, u64>)| {
        let other = second.get(&fold)?;
        let common: Seeds =
            seeds.iter().filter_map(|(&seed, &score)| Some((seed, (score, *other.get(&seed)?)))).collect();
        (!common.is_empty()).then_some((fold, common))
    };
    first.into_iter().filter_map(pair).collect()
}

/// The pairs: one per fold or, with a single fold, one per seed.
fn units(folds: &BTreeMap<u64, Seeds>) -> (Unit, Vec<Seeds>) {
    match folds.len() {
        1 => (Unit::Seed, folds.values().flatten().map(|(&seed, &pair)| Seeds::from([(seed, pair)])).collect()),
        _ => (Unit::Fold, folds.values().cloned().collect()),
    }
}

/// The least common multiple of the numbers of seeds, by which means over seeds become whole numbers.
fn factor(counts: impl Iterator<Item = usize>) -> u64 {
    let divisor = |mut a: u64, mut b: u64| {
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    let multiple = |all: u64, count: usize| (all / divisor(all, count as u64)).saturating_mul(count as u64);
    counts.filter(|&count| count > 0).fold(1, multiple).min(FACTOR_MAX)
}

/// `factor` times the mean over seeds.
fn scaled(seeds: &Seeds, side: fn(&(u64, u64)) -> u64, factor: u64) -> i128 {
    let sum: u128 = seeds.values().map(|pair| u128::from(side(pair)) * u128::from(factor)).sum();
    let count = seeds.len().max(1) as u128;
    i128::try_from((sum + count / 2) / count).unwrap_or(i128::MAX)
}

/// Saturates: such scores do not occur below 2⁶³ images.
fn whole(number: i128) -> i64 {
    i64::try_from(number).unwrap_or(if number < 0 { i64::MIN + 1 } else { i64::MAX })
}

fn full(first: &[&Configuration], second: &[&Configuration]) -> f64 {
    let of = |candidates: &[&Configuration]| candidates.iter().map(|one| one.full_score(Part::Test)).max();
    of(first).max(of(second)).unwrap_or(0).max(1) as f64
}

/// Number of folds in which some replicate has ended and that are not kept; of seeds, if there is one fold.
fn dropped(arms: &[&[&Configuration]], kept: &BTreeMap<u64, Seeds>) -> usize {
    let replicates = || arms.iter().flat_map(|arm| arm.iter()).flat_map(|candidate| &candidate.replicates);
    let folds: BTreeSet<u64> = replicates().map(|replicate| replicate.fold).collect();
    if folds.len() > 1 {
        return folds.len().saturating_sub(kept.len());
    }
    let seeds: BTreeSet<u64> = replicates().map(|replicate| replicate.seed).collect();
    seeds.len().saturating_sub(kept.values().map(Seeds::len).sum())
}
