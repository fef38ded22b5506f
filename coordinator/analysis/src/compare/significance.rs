//! The test of a contrast: its p-value, and the smallest one that so many pairs can give.

use biosweep_common::names;

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

    /// The test of these differences, which are exact multiples of one unit; `None` if it is not defined, such as without pairs.
    pub(super) fn of(self, differences: &[i64]) -> Option<Significance> {
        let reals = || differences.iter().map(|&difference| difference as f64).collect::<Vec<_>>();
        match self {
            Self::SignFlip => {
                sign_flip(differences, DRAWS).map(|test| Significance { p: test.p, smallest_p: test.smallest_p })
            }
            Self::Wilcoxon => signed_rank(&reals()).map(|test| {
                let smallest_p = if test.null == Null::Exact { smallest_p(test.count) } else { 0.0 };
                Significance { p: test.p, smallest_p }
            }),
            Self::T => t_test(&reals()).map(|test| Significance { p: test.p, smallest_p: 0.0 }),
        }
    }
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
    fn a_test_that_is_not_defined_gives_nothing() {
        assert_eq!(Test::T.of(&[2, 2, 2]), None, "no spread");
        assert_eq!(Test::SignFlip.of(&[]), None);
    }
}
