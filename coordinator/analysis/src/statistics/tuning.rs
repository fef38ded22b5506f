//! What a tuning budget gives, and how the candidates of two arms compare.

use super::summary::{finite, mean, sorted, sum};

/// The accuracies of one candidate: one choice of the settings that are tuned.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// The validation accuracy, by which candidates are selected.
    pub validation: f64,
    /// The test accuracy, which is reported.
    pub test: f64,
}

/// The scores of one candidate in two arms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Matched {
    /// The score in the first arm.
    pub first: f64,
    /// The score in the second arm.
    pub second: f64,
}

/// The expected test accuracy of the best of k random candidates, for k = 1 … N, in the unit of the test accuracies.
/// `None` without candidates.
///
/// E_k = Σ_{i=k..N} C(i−1, k−1) / C(N, k) · test₍ᵢ₎ with the candidates sorted by validation in ascending order: the
/// weight is the probability that the best of k candidates, drawn without replacement, is the i-th (Dodge et al. 2019, without
/// replacement as in Tang et al. 2020). Settings of equal validation count with the mean of their test accuracies, so
/// the result does not depend on the order of the candidates.
#[must_use]
pub fn expected_best(candidates: &[Candidate]) -> Option<Vec<f64>> {
    let tests = tests_by_validation(candidates).filter(|tests| !tests.is_empty())?;
    (1..=tests.len()).map(|budget| finite(sum(weighted(&tests, budget)))).collect()
}

/// P(first > second) over matched candidates: the share in which the first arm is above the second, where ties count ½.
/// `None` without candidates.
#[must_use]
pub fn superiority(candidates: &[Matched]) -> Option<f64> {
    let mut halves = 0_u64;
    for candidate in candidates {
        let (first, second) = (finite(candidate.first)?, finite(candidate.second)?);
        halves += u64::from(first > second) + u64::from(first >= second);
    }
    (!candidates.is_empty()).then(|| halves as f64 / (2 * candidates.len()) as f64)
}

/// The performance profile F(τ) at each threshold τ: the share of scores above τ, without a unit (Agarwal et al. 2021).
/// `None` without scores.
#[must_use]
pub fn profile(scores: &[f64], thresholds: &[f64]) -> Option<Vec<f64>> {
    let sorted = sorted(scores).filter(|sorted| !sorted.is_empty())?;
    let above = |threshold: f64| sorted.len() - sorted.partition_point(|&score| score <= threshold);
    let share = |&threshold: &f64| Some(above(finite(threshold)?) as f64 / sorted.len() as f64);
    thresholds.iter().map(share).collect()
}

/// The test accuracies in ascending order of validation. Those of equal validation are replaced by their mean.
fn tests_by_validation(candidates: &[Candidate]) -> Option<Vec<f64>> {
    sorted(&candidates.iter().map(|candidate| candidate.validation).collect::<Vec<_>>())?;
    let mut candidates = candidates.to_vec();
    candidates.sort_by(|left, right| left.validation.total_cmp(&right.validation));
    let mut tests = Vec::with_capacity(candidates.len());
    for group in candidates.chunk_by(|left, right| left.validation == right.validation) {
        let values: Vec<f64> = group.iter().map(|candidate| candidate.test).collect();
        tests.extend(std::iter::repeat_n(mean(&values)?, values.len()));
    }
    Some(tests)
}

/// The terms of E_k, from the best candidate down.
///
/// The weight of the best is k / N, and each weight follows from the one before: C(i−2, k−1) = C(i−1, k−1) · (i−k)/(i−1).
/// So no binomial coefficient is computed, and no number overflows. The weights that are left add up to i/k times the
/// last weight; the terms end where that is negligible.
fn weighted(tests: &[f64], budget: usize) -> impl Iterator<Item = f64> {
    const NEGLIGIBLE: f64 = 1e-25;
    let mut weight = budget as f64 / tests.len() as f64;
    (budget..=tests.len()).rev().map_while(move |place| {
        let is_left = weight * place as f64 / budget as f64 > NEGLIGIBLE;
        let term = weight * tests[place - 1];
        if place > 1 {
            weight *= (place - budget) as f64 / (place - 1) as f64;
        }
        is_left.then_some(term)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(pairs: &[(f64, f64)]) -> Vec<Candidate> {
        pairs.iter().map(|&(validation, test)| Candidate { validation, test }).collect()
    }

    fn near(left: f64, right: f64) -> bool {
        (left - right).abs() < 1e-12
    }

    #[test]
    fn the_budget_of_all_candidates_is_the_test_of_the_best_by_validation() {
        let curve = expected_best(&candidates(&[(0.7, 0.1), (0.9, 0.5), (0.8, 0.9)])).expect("three");
        // Pairs: (0.7, 0.9) → 0.5, (0.7, 0.8) → 0.9, (0.9, 0.8) → 0.5.
        let known = [0.5, 1.9 / 3.0, 0.5];
        assert!(curve.iter().zip(known).all(|(left, right)| near(*left, right)), "{curve:?}");
    }

    #[test]
    fn equal_validation_gives_one_curve_in_any_order() {
        let one = expected_best(&candidates(&[(0.8, 0.2), (0.8, 0.6), (0.5, 0.1)])).expect("three");
        let other = expected_best(&candidates(&[(0.5, 0.1), (0.8, 0.6), (0.8, 0.2)])).expect("three");
        assert_eq!(one, other);
        assert!(near(one[2], 0.4), "{one:?}");
    }

    #[test]
    fn ten_thousand_candidates_overflow_nothing() {
        let count = 10_000;
        let line: Vec<Candidate> = (1..=count).map(f64::from).map(|i| Candidate { validation: i, test: i }).collect();
        let curve = expected_best(&line).expect("candidates");
        // The expected largest of k of the numbers 1 … N is k (N + 1) / (k + 1).
        for (budget, expected) in (1..=count).map(f64::from).zip(&curve) {
            let known = budget * f64::from(count + 1) / (budget + 1.0);
            assert!((expected - known).abs() < 1e-10 * known, "{budget}: {expected} and {known}");
        }
        let constant: Vec<Candidate> = line.iter().map(|candidate| Candidate { test: 0.1, ..*candidate }).collect();
        assert!(expected_best(&constant).expect("candidates").iter().all(|&expected| near(expected, 0.1)));
    }

    #[test]
    fn ties_count_one_half() {
        let matched = |pairs: &[(f64, f64)]| {
            superiority(&pairs.iter().map(|&(first, second)| Matched { first, second }).collect::<Vec<_>>())
        };
        assert_eq!(matched(&[(0.9, 0.8), (0.5, 0.5), (0.1, 0.2), (0.3, 0.1)]), Some(0.625));
        assert_eq!(matched(&[(0.0, -0.0)]), Some(0.5), "both zeros are equal");
        assert_eq!((matched(&[]), matched(&[(0.1, f64::NAN)]), matched(&[(f64::INFINITY, 0.1)])), (None, None, None));
    }

    #[test]
    fn a_profile_counts_scores_above_and_not_at_a_threshold() {
        assert_eq!(profile(&[0.1, 0.5, 0.5, 0.9], &[0.0, 0.1, 0.5, 0.9]), Some(vec![1.0, 0.75, 0.25, 0.0]));
        assert_eq!(profile(&[0.1], &[]), Some(Vec::new()));
        assert_eq!(
            (profile(&[], &[0.5]), profile(&[f64::NAN], &[0.5]), profile(&[0.5], &[f64::NAN])),
            (None, None, None)
        );
    }

    #[test]
    fn candidates_without_finite_accuracies_have_no_curve() {
        assert_eq!(expected_best(&[]), None);
        assert_eq!(expected_best(&candidates(&[(f64::NAN, 0.5), (0.5, 0.5)])), None);
        assert_eq!(expected_best(&candidates(&[(0.1, f64::NAN), (0.5, 0.5)])), None);
    }
}
