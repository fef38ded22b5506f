//! Two classical tests of paired differences: Student's t and Wilcoxon's signed ranks.

use std::f64::consts::SQRT_2;

use statrs::function::erf::erfc;

use super::student;
use super::summary::{finite, mean, sorted, standard_error};

/// The most differences for which the null distribution of the signed ranks is computed exactly.
pub const EXACT_MAX: usize = 50;

/// The result of a paired t test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TTest {
    /// The statistic t = d̄ / (s_d / √n); without a unit.
    pub statistic: f64,
    /// Degrees of freedom, n − 1.
    pub degrees: usize,
    /// The two-sided p-value.
    pub p: f64,
}

/// The result of a Wilcoxon signed-rank test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SignedRank {
    /// The statistic W: the smaller of the rank sums of positive and of negative differences.
    pub statistic: f64,
    /// Number of differences that are not zero.
    pub count: usize,
    /// The two-sided p-value.
    pub p: f64,
    /// Where the p-value comes from.
    pub null: Null,
}

/// The null distribution of a p-value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Null {
    /// All signs of the ranks, counted.
    Exact,
    /// A normal distribution, with its variance corrected for ties.
    Normal,
}

/// Tests whether the mean of paired differences is 0 (Student 1908): t = d̄ / (s_d / √n) with n − 1 degrees of freedom.
///
/// `None` for less than two differences, or if all differences are equal: their spread is 0 and t is not defined.
#[must_use]
pub fn t_test(differences: &[f64]) -> Option<TTest> {
    let error = standard_error(differences)?;
    // Infinite or NaN if the spread is 0.
    let statistic = finite(mean(differences)? / error)?;
    let degrees = differences.len() - 1;
    Some(TTest { statistic, degrees, p: student::two_sided_tail(statistic, degrees)? })
}

/// Tests whether paired differences are symmetric around 0 (Wilcoxon 1945).
///
/// Zeros are left out, and equal sizes share the mean of their ranks. With n differences that remain:
/// - up to [`EXACT_MAX`], p is twice the share of all 2ⁿ signs whose rank sum is at most W, at most 1; with ties, too;
/// - beyond it, p = 2 (1 − Φ(|z|)) with z = (W − n(n + 1)/4) / √(n(n + 1)(2n + 1)/24 − Σ(t³ − t)/48) over groups of t
///   equal sizes, without continuity correction (`scipy.stats.wilcoxon` with `method="asymptotic"`).
///
/// `None` if no difference is other than zero. Sizes are equal only if they are equal as `f64`: differences of counts are,
/// differences of fractions often are not.
#[must_use]
pub fn signed_rank(differences: &[f64]) -> Option<SignedRank> {
    sorted(differences)?;
    let mut by_size: Vec<f64> = differences.iter().copied().filter(|&difference| difference != 0.0).collect();
    by_size.sort_by(|left, right| left.abs().total_cmp(&right.abs()));
    let count = by_size.len();
    if count == 0 {
        return None;
    }
    let ties: Vec<usize> = by_size.chunk_by(|left, right| left.abs() == right.abs()).map(<[f64]>::len).collect();
    let ranks = doubled_ranks(&ties);
    let positive: u64 = by_size.iter().zip(&ranks).filter(|(size, _)| **size > 0.0).map(|(_, rank)| rank).sum();
    let smaller = positive.min(ranks.iter().sum::<u64>() - positive);
    let statistic = smaller as f64 / 2.0;
    let (p, null) = if count <= EXACT_MAX {
        (exact_p(&ranks, smaller), Null::Exact)
    } else {
        (normal_p(&ties, statistic), Null::Normal)
    };
    Some(SignedRank { statistic, count, p, null })
}

/// Twice the rank of each value, so that mean ranks are integers. The groups of equal values are in ascending order.
fn doubled_ranks(ties: &[usize]) -> Vec<u64> {
    let mut before = 0;
    let mut ranks = Vec::new();
    for &tied in ties {
        // The ranks from `before + 1` to `before + tied`: twice their mean is the sum of the first and the last.
        ranks.extend(std::iter::repeat_n((2 * before + tied + 1) as u64, tied));
        before += tied;
    }
    ranks
}

/// Twice the share of all signs whose sum of positive doubled ranks is at most `sum`, and at most 1.
fn exact_p(ranks: &[u64], sum: u64) -> f64 {
    // The number of choices of positive ranks with each sum. There are at most 2^50 choices.
    let mut choices = vec![0_u64; sum as usize + 1];
    choices[0] = 1;
    for &rank in ranks {
        for at in (rank as usize..choices.len()).rev() {
            choices[at] += choices[at - rank as usize];
        }
    }
    let all = 2.0_f64.powi(ranks.len() as i32);
    (2.0 * choices.iter().sum::<u64>() as f64 / all).min(1.0)
}

fn normal_p(ties: &[usize], statistic: f64) -> f64 {
    let count = ties.iter().sum::<usize>() as f64;
    let tied: f64 = ties.iter().map(|&tied| tied as f64).map(|tied| tied * tied * tied - tied).sum();
    let variance = count * (count + 1.0) * (2.0 * count + 1.0) / 24.0 - tied / 48.0;
    let z = (statistic - count * (count + 1.0) / 4.0) / variance.sqrt();
    erfc(z.abs() / SQRT_2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_differences_have_no_t() {
        assert_eq!((t_test(&[0.1; 5]), t_test(&[0.0; 5]), t_test(&[0.1]), t_test(&[])), (None, None, None, None));
        assert_eq!(t_test(&[0.1, f64::NAN]), None);
    }

    #[test]
    fn the_sign_of_t_is_that_of_the_mean() {
        let up = t_test(&[1.0, 2.0, 4.0]).expect("three");
        let down = t_test(&[-1.0, -2.0, -4.0]).expect("three");
        assert!(up.statistic > 0.0);
        assert_eq!((up.statistic, up.p, up.degrees), (-down.statistic, down.p, 2));
    }

    #[test]
    fn five_differences_of_one_sign_have_the_p_of_the_table() {
        let result = signed_rank(&[0.5, 0.1, 0.2, 0.4, 0.3]).expect("five");
        assert_eq!(result, SignedRank { statistic: 0.0, count: 5, p: 0.062_5, null: Null::Exact });
    }

    #[test]
    fn zeros_are_left_out_and_alone_have_no_answer() {
        let result = signed_rank(&[0.0, 3.0, -0.0, -1.0, 2.0]).expect("three");
        assert_eq!((result.statistic, result.count, result.p), (1.0, 3, 0.5));
        assert_eq!((signed_rank(&[0.0, -0.0]), signed_rank(&[]), signed_rank(&[1.0, f64::NAN])), (None, None, None));
    }

    #[test]
    fn ties_are_counted_exactly() {
        // Ranks 1.5, 1.5, 3, 4: of 16 signs, three have a rank sum of at most 1.5.
        let result = signed_rank(&[1.0, -1.0, 2.0, 3.0]).expect("four");
        assert_eq!((result.statistic, result.p), (1.5, 2.0 * 3.0 / 16.0));
        // All sizes are equal: the sign test. Of eight signs, four have at most one negative.
        assert_eq!(signed_rank(&[1.0, 1.0, -1.0]).expect("three").p, 1.0);
    }

    #[test]
    fn exact_and_normal_p_agree_where_they_meet() {
        let differences = |count: i32| -> Vec<f64> {
            (1..=count).map(|size| if size % 3 == 0 { -f64::from(size) } else { f64::from(size) }).collect()
        };
        let exact = signed_rank(&differences(50)).expect("50");
        assert_eq!(exact.null, Null::Exact);
        assert_eq!(signed_rank(&differences(51)).expect("51").null, Null::Normal);
        let normal = normal_p(&[1; 50], exact.statistic);
        assert!((normal - exact.p).abs() < 0.005, "{normal} and {}", exact.p);
    }
}
