//! PED-ANOVA: the importance of the axes of an incomplete grid, from counts.
//!
//! Watanabe, Bansal and Hutter, "PED-ANOVA: efficiently quantifying hyperparameter importance in arbitrary subspaces"
//! (IJCAI 2023). An axis is important if its levels are distributed differently among the best candidates than among all.
//!
//! With the densities p and q of an axis's levels among the best γ of the candidates and among all, the importance is
//! v = γ² Σ_x q(x) (p(x)/q(x) − 1)², the local variance of the axis on the way into the best γ. A density is a mean
//! of categorical kernels, one for each of n candidates: k(x, xᵢ) = (1 + 1/n) / (1 + C/n) if x = xᵢ and (1/n) / (1 + C/n)
//! otherwise, where C is the number of levels. So the density is a ratio of counts, (n_x + 1) / (n + C), and is never 0.

use super::super::summary::sorted;

/// One axis, with the level of each candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Axis<'a> {
    /// Number of levels of the axis.
    pub levels: usize,
    /// The level of each candidate, below the number of levels.
    pub candidates: &'a [usize],
}

/// The importances of all axes.
#[derive(Debug, Clone, PartialEq)]
pub struct Importances {
    /// Number of candidates among the best.
    pub best: usize,
    /// v of each axis; without a unit, at least 0.
    pub variances: Vec<f64>,
}

impl Importances {
    /// The part of each axis in the sum of all v. `None` if the sum is 0: the best candidates are distributed like all.
    #[must_use]
    pub fn shares(&self) -> Option<Vec<f64>> {
        let sum: f64 = self.variances.iter().sum();
        (sum > 0.0).then(|| self.variances.iter().map(|variance| variance / sum).collect())
    }
}

/// The importance of each axis for the best candidates, where a higher score is better.
///
/// The best are the ⌈γ · n⌉ candidates with the highest scores, and all that are equal to the lowest of them. γ in the formula is
/// their share of all candidates.
///
/// `None` without candidates, unless γ is above 0 and at most 1, or if an axis does not have one of its levels for each candidate.
#[must_use]
pub fn ped_anova(scores: &[f64], axes: &[Axis<'_>], gamma: f64) -> Option<Importances> {
    let sorted = sorted(scores).filter(|sorted| !sorted.is_empty() && gamma > 0.0 && gamma <= 1.0)?;
    // 0.07 of 100 is 7 candidates, though the product is a little more than 7.
    let wanted = ((gamma * scores.len() as f64 - 1e-9).ceil() as usize).clamp(1, scores.len());
    let threshold = sorted[scores.len() - wanted];
    let is_best: Vec<bool> = scores.iter().map(|&score| score >= threshold).collect();
    let best = is_best.iter().filter(|is_best| **is_best).count();
    let variance = |axis: &Axis<'_>| {
        if axis.candidates.len() != scores.len() {
            return None;
        }
        let mut counts = vec![Counts::default(); axis.levels];
        for (&level, &is_best) in axis.candidates.iter().zip(&is_best) {
            let counts = counts.get_mut(level)?;
            counts.all += 1;
            counts.best += u64::from(is_best);
        }
        Some(variance(&counts))
    };
    Some(Importances { best, variances: axes.iter().map(variance).collect::<Option<_>>()? })
}

/// Numbers of candidates with one level.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    best: u64,
    all: u64,
}

/// v of an axis with these counts of its levels. There is at least one candidate among the best.
fn variance(counts: &[Counts]) -> f64 {
    let (best, all) = counts.iter().fold((0, 0), |(best, all), level| (best + level.best, all + level.all));
    let density = |of_level: u64, of_all: u64| (of_level + 1) as f64 / (of_all + counts.len() as u64) as f64;
    let gamma = best as f64 / all as f64;
    let term = |level: &Counts| {
        let (p, q) = (density(level.best, best), density(level.all, all));
        q * (p / q - 1.0) * (p / q - 1.0)
    };
    gamma * gamma * counts.iter().map(term).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_that_decides_has_nearly_all_importance() {
        // Level 1 of the first axis is good, the second axis says nothing.
        let scores: Vec<f64> =
            (0..40).map(|candidate| f64::from(candidate % 2) + f64::from(candidate) * 1e-6).collect();
        let decisive: Vec<usize> = (0..40).map(|candidate| candidate % 2).collect();
        let idle: Vec<usize> = (0..40).map(|candidate| candidate / 2 % 2).collect();
        let axes = [Axis { levels: 2, candidates: &decisive }, Axis { levels: 2, candidates: &idle }];
        let importances = ped_anova(&scores, &axes, 0.25).expect("candidates");
        assert_eq!(importances.best, 10);
        let shares = importances.shares().expect("a difference");
        assert!(shares[0] > 0.99 && (shares[0] + shares[1] - 1.0).abs() < 1e-12, "{shares:?}");
    }

    #[test]
    fn the_variance_is_that_of_the_counts() {
        // Among 4 candidates the levels 0, 0, 0, 1; the best is the last: p = (1/3, 2/3), q = (4/6, 2/6), γ = 1/4.
        let axis = Axis { levels: 2, candidates: &[0, 0, 0, 1] };
        let importances = ped_anova(&[0.1, 0.2, 0.3, 0.4], &[axis], 0.25).expect("candidates");
        let known = (2.0 / 3.0 * 0.25 + 1.0 / 3.0) / 16.0;
        assert!((importances.variances[0] - known).abs() < 1e-15, "{importances:?}");
    }

    #[test]
    fn candidates_equal_to_the_last_of_the_best_are_among_them() {
        let axis = Axis { levels: 2, candidates: &[0, 1, 0, 1] };
        assert_eq!(ped_anova(&[0.9, 0.5, 0.5, 0.5], &[axis], 0.5).expect("candidates").best, 4);
        let all_diverged = ped_anova(&[0.1; 4], &[axis], 0.25).expect("candidates");
        assert_eq!((all_diverged.best, all_diverged.variances.clone()), (4, vec![0.0]));
        assert_eq!(all_diverged.shares(), None);
    }

    #[test]
    fn a_rounding_error_adds_no_candidate() {
        let scores: Vec<f64> = (0..100).map(f64::from).collect();
        let best = |gamma| ped_anova(&scores, &[], gamma).expect("candidates").best;
        assert_eq!((best(0.07), best(0.071), best(1e-12), best(1.0)), (7, 8, 1, 100));
    }

    #[test]
    fn an_axis_with_one_level_has_no_importance() {
        let axis = Axis { levels: 1, candidates: &[0, 0, 0] };
        assert_eq!(ped_anova(&[0.1, 0.2, 0.3], &[axis], 0.3).expect("candidates").variances, [0.0]);
    }

    #[test]
    fn candidates_that_do_not_fit_have_no_answer() {
        let axis = Axis { levels: 2, candidates: &[0, 1] };
        assert_eq!(ped_anova(&[], &[], 0.5), None);
        assert_eq!((ped_anova(&[0.1], &[axis], 0.5), ped_anova(&[0.1, f64::NAN], &[axis], 0.5)), (None, None));
        assert_eq!(ped_anova(&[0.1, 0.2], &[Axis { levels: 1, ..axis }], 0.5), None);
        for gamma in [0.0, -0.5, 1.5, f64::NAN] {
            assert_eq!(ped_anova(&[0.1, 0.2], &[axis], gamma), None);
        }
    }
}
