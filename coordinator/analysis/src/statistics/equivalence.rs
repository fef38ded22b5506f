//! The test that a mean difference is small: two one-sided t tests (Schuirmann 1987).

use super::student;
use super::summary::{finite, mean, standard_error};

/// The result of two one-sided tests.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Equivalence {
    /// The p-value of the hypothesis that the mean difference is at most −δ.
    pub above_lower: f64,
    /// The p-value of the hypothesis that the mean difference is at least δ.
    pub below_upper: f64,
}

impl Equivalence {
    /// The p-value of the hypothesis that the mean difference is not within ±δ: the larger of the two.
    #[must_use]
    pub fn p(&self) -> f64 {
        self.above_lower.max(self.below_upper)
    }
}

/// Tests whether the mean of paired differences is within ±δ, both in one unit. With e = s_d / √n and n − 1 degrees of
/// freedom, the p-values are P(T ≥ (d̄ + δ)/e) and P(T ≤ (d̄ − δ)/e).
///
/// `None` for less than two differences, if all differences are equal (their spread is 0 and t is not defined), or
/// unless δ is above 0.
#[must_use]
pub fn equivalence(differences: &[f64], margin: f64) -> Option<Equivalence> {
    let error = standard_error(differences).filter(|_| margin > 0.0)?;
    let (mean, degrees) = (mean(differences)?, differences.len() - 1);
    // Infinite or NaN if the spread is 0.
    let above_lower = student::upper_tail(finite((mean + margin) / error)?, degrees)?;
    let below_upper = student::upper_tail(finite((margin - mean) / error)?, degrees)?;
    Some(Equivalence { above_lower, below_upper })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_differences_are_equivalent_and_large_ones_are_not() {
        let small = [0.001, -0.002, 0.0015, -0.0005, 0.0];
        assert!(equivalence(&small, 0.01).expect("five").p() < 0.001);
        let large = small.map(|difference| difference + 0.02);
        assert!(equivalence(&large, 0.01).expect("five").p() > 0.999);
        let uncertain = small.map(|difference| 20.0 * difference);
        assert!(equivalence(&uncertain, 0.01).expect("five").p() > 0.05);
    }

    #[test]
    fn a_mean_on_the_margin_has_a_p_of_one_half() {
        let result = equivalence(&[0.5, 1.0, 1.5], 1.0).expect("three");
        assert_eq!((result.below_upper, result.p()), (0.5, 0.5));
        let mirrored = equivalence(&[-0.5, -1.0, -1.5], 1.0).expect("three");
        assert_eq!((mirrored.above_lower, mirrored.below_upper), (result.below_upper, result.above_lower));
    }

    #[test]
    fn without_spread_or_margin_there_is_no_answer() {
        assert_eq!(
            (equivalence(&[0.0; 5], 0.01), equivalence(&[0.1], 0.01), equivalence(&[], 0.01)),
            (None, None, None)
        );
        for margin in [0.0, -0.01, f64::NAN, f64::INFINITY] {
            assert_eq!(equivalence(&[0.1, 0.2], margin), None);
        }
    }
}
