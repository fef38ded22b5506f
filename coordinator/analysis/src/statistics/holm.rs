//! P-values adjusted for a family of tests (Holm 1979).
//!
//! If a hypothesis is rejected where its adjusted p-value is at most α, then the probability of any false rejection in
//! the family is at most α, however the tests depend on each other.

/// The adjusted p-values, in the order of the p-values: with m p-values in ascending order, the i-th becomes
/// max over j ≤ i of (m − j + 1) · p₍ⱼ₎, at most 1.
///
/// An empty family has no adjusted p-values. `None` if a p-value is not between 0 and 1.
#[must_use]
pub fn adjusted(p_values: &[f64]) -> Option<Vec<f64>> {
    if !p_values.iter().all(|p| (0.0..=1.0).contains(p)) {
        return None;
    }
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&left, &right| p_values[left].total_cmp(&p_values[right]));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut largest = 0.0_f64;
    for (smaller, &place) in order.iter().enumerate() {
        largest = largest.max((p_values.len() - smaller) as f64 * p_values[place]).min(1.0);
        adjusted[place] = largest;
    }
    Some(adjusted)
}

/// Whether each test of a family could be rejected at level α, in the best case: if every test of the family had the
/// smallest p-value that its number of pairs can give.
///
/// Where it is false, a large p-value says nothing: there are too few pairs. `None` if a p-value or the level is not
/// between 0 and 1.
#[must_use]
pub fn rejectable(smallest_p_values: &[f64], level: f64) -> Option<Vec<bool>> {
    let adjusted = adjusted(smallest_p_values).filter(|_| (0.0..=1.0).contains(&level))?;
    Some(adjusted.iter().map(|&p| p <= level).collect())
}

/// Whether any test of a family could be rejected at level α, in the best case; see [`rejectable`].
#[must_use]
pub fn can_reject(smallest_p_values: &[f64], level: f64) -> Option<bool> {
    Some(rejectable(smallest_p_values, level)?.contains(&true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adjusted_values_keep_the_order_and_are_at_most_1() {
        assert_eq!(adjusted(&[0.5, 0.125, 0.25, 0.75]), Some(vec![1.0, 0.5, 0.75, 1.0]));
        assert_eq!(adjusted(&[0.125, 0.125, 0.0]), Some(vec![0.25, 0.25, 0.0]), "ties stay ties");
        assert_eq!((adjusted(&[]), adjusted(&[0.3])), (Some(Vec::new()), Some(vec![0.3])));
    }

    #[test]
    fn a_smaller_p_never_has_a_larger_adjusted_p() {
        // 2 · 0.26 would be less than 3 · 0.25.
        assert_eq!(adjusted(&[0.25, 0.26, 0.27]), Some(vec![0.75; 3]));
    }

    #[test]
    fn numbers_that_are_no_probabilities_have_no_answer() {
        for bad in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert_eq!((adjusted(&[0.1, bad]), rejectable(&[0.1, bad], 0.05)), (None, None));
            assert_eq!((rejectable(&[0.1], bad), can_reject(&[0.1], bad)), (None, None));
        }
    }

    #[test]
    fn few_pairs_in_a_large_family_can_reject_nothing() {
        let family = |tests, pairs| vec![super::super::sign_flip::smallest_p(pairs); tests];
        assert_eq!(can_reject(&family(1, 3), 0.05), Some(false));
        assert_eq!((can_reject(&family(6, 8), 0.05), can_reject(&family(7, 8), 0.05)), (Some(true), Some(false)));
        assert_eq!((can_reject(&[], 0.05), can_reject(&[0.05], 0.05)), (Some(false), Some(true)));
        let mixed = rejectable(&[0.25, 0.007_812_5], 0.05);
        assert_eq!(mixed, Some(vec![false, true]), "the second test has enough pairs");
    }
}
