//! The test of a contrast: its p-value, and the smallest one that so many pairs can give.

use biosweep_common::names;

use crate::statistics::equivalence::equivalence;
use crate::statistics::paired::{Null, signed_rank, t_test};
use crate::statistics::sign_flip::{Draws, sign_flip, smallest_p};

/// Drawn signs where there are too many pairs for all of them.
const DRAWS: Draws = Draws { seed: 0, count: 99_999 };

names! {
    /// The test of paired differences.
    Test("test") {
        /// The exact sign-flip test of the sum: the differences are symmetric around 0 (Fisher 1935).
        SignFlip = "sign-flip",
        /// The signed-rank test of Wilcoxon (1945).
        Wilcoxon = "wilcoxon",
        /// The paired t test of Student (1908): the differences are normal.
        T = "t",
    }
}

/// The result of a test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Significance {
    pub(super) p: f64,
    pub(super) smallest_p: f64,
}

impl Test {
    /// The name in a sentence.
    #[must_use]
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::SignFlip => "exact sign-flip test",
            Self::Wilcoxon => "Wilcoxon signed-rank test",
            Self::T => "paired t test",
        }
    }

    /// The p-value of equal differences that are not zero.
    fn of_constant(self, count: usize) -> f64 {
        match self {
            Self::T => 0.0,
            Self::Wilcoxon | Self::SignFlip => smallest_p(count),
        }
    }

    /// The test of these differences, which are exact multiples of one unit; `None` if it is not defined, such as without pairs.
    pub(super) fn of(self, differences: &[i64]) -> Option<Significance> {
        let reals = || differences.iter().map(|&difference| difference as f64).collect::<Vec<_>>();
        match self {
            Self::SignFlip => {
                sign_flip(differences, DRAWS).map(|test| Significance { p: test.p, smallest_p: test.smallest_p })
            }
            _ if is_constant(differences) => {
                // No spread: the limits of both tests.
                let p = if differences.iter().all(|&difference| difference == 0) {
                    1.0
                } else {
                    self.of_constant(differences.len())
                };
                Some(Significance { p, smallest_p: p })
            }
            Self::Wilcoxon => signed_rank(&reals()).map(|test| {
                let smallest_p = if test.null == Null::Exact { smallest_p(test.count) } else { 0.0 };
                Significance { p: test.p, smallest_p }
            }),
            Self::T => t_test(&reals()).map(|test| Significance { p: test.p, smallest_p: 0.0 }),
        }
    }
}

/// Whether there are two differences at least, all equal.
fn is_constant(differences: &[i64]) -> bool {
    differences.len() > 1 && differences.iter().all(|difference| *difference == differences[0])
}

/// The p-value of the test that differences are within a margin; `None` for less than two. Without spread it is the limit: 0
/// within the margin, otherwise 1.
pub(super) fn p_equivalence(differences: &[f64], margin: f64) -> Option<f64> {
    let (first, others) = differences.split_first()?;
    let is_constant = !others.is_empty() && others.iter().all(|other| other == first);
    let limit = is_constant.then_some(if first.abs() < margin { 0.0 } else { 1.0 });
    equivalence(differences, margin).map(|test| test.p()).or(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_test_gives_its_p_value_and_the_smallest_one() {
        let differences = [3, 1, 4, 1, 5];
        let p = |test: Test| test.of(&differences).expect("five differences");
        assert_eq!((p(Test::SignFlip).p, p(Test::SignFlip).smallest_p), (0.0625, 0.0625));
        assert_eq!((p(Test::Wilcoxon).p, p(Test::Wilcoxon).smallest_p), (0.0625, 0.0625));
        assert!(
            (p(Test::T).p - 0.024_896_163_460_222_72).abs() < 1e-12 && p(Test::T).smallest_p == 0.0,
            "{:?}",
            p(Test::T)
        );
    }

    #[test]
    fn equal_differences_have_the_limits_of_p_values() {
        let p = |test: Test, differences: &[i64]| test.of(differences).expect("differences").p;
        for test in Test::ALL {
            assert_eq!(p(*test, &[0; 8]), 1.0, "{test}");
        }
        let shifted = [5; 8];
        assert_eq!([p(Test::SignFlip, &shifted), p(Test::Wilcoxon, &shifted)], [2.0 / 256.0; 2]);
        assert_eq!(p(Test::T, &shifted), 0.0);
        assert_eq!((p_equivalence(&[0.0; 8], 0.01), p_equivalence(&[0.05; 8], 0.01)), (Some(0.0), Some(1.0)));
        assert_eq!(p_equivalence(&[0.0], 0.01), None, "one difference has no spread");
    }

    #[test]
    fn a_test_that_is_not_defined_gives_nothing() {
        assert!(Test::ALL.iter().all(|test| test.of(&[]).is_none()));
        assert_eq!(Test::T.of(&[2]), None);
    }
}
