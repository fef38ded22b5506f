//! The sign-flip test of paired counts: how often would random signs give a sum as extreme as this one?
//!
//! Under the null hypothesis both arms of a pair are exchangeable, so every difference could as well have the other sign
//! (Fisher 1935). The differences are integers, such as numbers of correct images: ties of sums are exact.

use biosweep_numeric::random::{Purpose, Stream};

/// The most pairs for which all signs are tried.
pub const EXACT_MAX: usize = 20;

/// The random signs to draw where there are too many pairs to try all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draws {
    /// The seed. Equal seeds give equal p-values on every machine.
    pub seed: u64,
    /// Number of draws.
    pub count: u32,
}

/// Which signs were tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signs {
    /// All 2ⁿ signs: the p-value is exact.
    All,
    /// This number of random draws.
    Drawn(u32),
}

/// The result of a sign-flip test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SignFlip {
    /// The two-sided p-value.
    pub p: f64,
    /// The smallest p-value that differences of these sizes give with any signs: 2 / 2ᵐ with m differences that are
    /// not zero, and 1 if all are zero. With draws it is at least 1 / (B + 1).
    pub smallest_p: f64,
    /// Which signs were tried.
    pub signs: Signs,
}

/// Tests whether the sum Σd of paired differences is 0. `None` without differences.
///
/// Up to [`EXACT_MAX`] pairs, p is the share of all 2ⁿ signs with |Σ±d| ≥ |Σd|. With more pairs it is
/// (b + 1) / (B + 1), where b of B draws have |Σ±d| ≥ |Σd| (Phipson and Smyth 2010).
#[must_use]
pub fn sign_flip(differences: &[i64], draws: Draws) -> Option<SignFlip> {
    if differences.is_empty() {
        return None;
    }
    let observed = differences.iter().map(|&difference| i128::from(difference)).sum::<i128>().abs();
    // The sign of a zero changes no sum.
    let sizes: Vec<i128> =
        differences.iter().filter(|&&difference| difference != 0).map(|&size| i128::from(size).abs()).collect();
    let smallest_p = smallest_p(sizes.len());
    if differences.len() <= EXACT_MAX {
        let p = share_of_all(&sizes, observed);
        return Some(SignFlip { p, smallest_p, signs: Signs::All });
    }
    let (all, extreme) = (f64::from(draws.count) + 1.0, f64::from(extreme_draws(&sizes, observed, draws)) + 1.0);
    let smallest_p = smallest_p.max(1.0 / all);
    Some(SignFlip { p: extreme / all, smallest_p, signs: Signs::Drawn(draws.count) })
}

/// The smallest two-sided p-value that this number of pairs can give, if no difference is zero: 2 / 2ⁿ, at most 1.
#[must_use]
pub fn smallest_p(pairs: usize) -> f64 {
    // From 1,100 pairs on the number is 0 as an `f64`.
    2.0_f64.powi(1 - pairs.clamp(1, 1_100) as i32)
}

/// The share of all signs with |Σ±d| ≥ `observed`.
///
/// The sums of each half of the differences are sorted, and for each sum of one half the sums of the other half that
/// reach the bound are counted (Horowitz and Sahni 1974). That takes 2^(n/2) steps instead of 2ⁿ.
fn share_of_all(sizes: &[i128], observed: i128) -> f64 {
    if observed == 0 {
        return 1.0;
    }
    let (left, right) = sizes.split_at(sizes.len() / 2);
    let (left, right) = (sorted_sums(left), sorted_sums(right));
    let mut reaching = 0;
    let mut start = right.len();
    // As the sums of the left half grow, more sums of the right half reach the bound.
    for sum in &left {
        while start > 0 && sum + right[start - 1] >= observed {
            start -= 1;
        }
        reaching += right.len() - start;
    }
    // The sums are symmetric around 0, so as many are at most the negative bound.
    2.0 * reaching as f64 / (left.len() * right.len()) as f64
}

/// The sums of the sizes with all signs, in ascending order.
fn sorted_sums(sizes: &[i128]) -> Vec<i128> {
    let mut sums = vec![0];
    for size in sizes {
        sums = sums.iter().flat_map(|sum| [sum - size, sum + size]).collect();
    }
    sums.sort_unstable();
    sums
}

/// The number of draws with |Σ±d| ≥ `observed`. One random bit is the sign of one difference.
fn extreme_draws(sizes: &[i128], observed: i128, draws: Draws) -> u32 {
    let mut stream = Stream::new(draws.seed, 0, Purpose::SignFlips, 0);
    let mut is_extreme = || {
        let mut sum = 0;
        for word in sizes.chunks(32) {
            let bits = stream.bits();
            let signed = |(bit, size): (usize, &i128)| if bits >> bit & 1 == 1 { *size } else { -size };
            sum += word.iter().enumerate().map(signed).sum::<i128>();
        }
        sum.abs() >= observed
    };
    (0..draws.count).map(|_| u32::from(is_extreme())).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAWS: Draws = Draws { seed: 1, count: 9_999 };

    fn exact(differences: &[i64]) -> SignFlip {
        let result = sign_flip(differences, DRAWS).expect("differences");
        assert_eq!(result.signs, Signs::All);
        result
    }

    /// The share of all signs by trying each.
    fn tried(differences: &[i64]) -> f64 {
        let sum = |signs: u32| {
            let signed = |(place, &d): (usize, &i64)| if signs >> place & 1 == 1 { -i128::from(d) } else { d.into() };
            differences.iter().enumerate().map(signed).sum::<i128>().abs()
        };
        let all = 1_u32 << differences.len();
        let extreme = (0..all).filter(|&signs| sum(signs) >= sum(0)).count();
        extreme as f64 / f64::from(all)
    }

    #[test]
    fn the_share_is_that_of_trying_all_signs() {
        let mut stream = Stream::new(3, 0, Purpose::SignFlips, 1);
        for count in 1..=12 {
            for range in [2, 5, 1_000] {
                let draw = |_| i64::from(stream.below(range)) - i64::from(range / 2);
                let differences: Vec<i64> = (0..count).map(draw).collect();
                assert_eq!(exact(&differences).p, tried(&differences), "{differences:?}");
            }
        }
    }

    #[test]
    fn differences_of_one_sign_have_the_smallest_p() {
        for (count, known) in [(1, 1.0), (2, 0.5), (3, 0.25), (8, 0.007_812_5), (20, 2.0 / 1_048_576.0)] {
            let result = exact(&vec![-7; count]);
            assert_eq!((result.p, result.smallest_p, smallest_p(count)), (known, known, known));
        }
        assert_eq!((smallest_p(0), smallest_p(5_000)), (1.0, 0.0));
    }

    #[test]
    fn zeros_make_the_smallest_p_larger() {
        let result = exact(&[3, 0, 4, 0, 5]);
        assert_eq!((result.p, result.smallest_p), (0.25, 0.25));
        assert_eq!(tried(&[3, 0, 4, 0, 5]), 0.25);
        let none = exact(&[0, 0, 0]);
        assert_eq!((none.p, none.smallest_p), (1.0, 1.0));
    }

    #[test]
    fn the_largest_integers_do_not_overflow() {
        assert_eq!(exact(&[i64::MIN; 20]).p, smallest_p(20));
        assert_eq!(exact(&[i64::MIN, i64::MAX]).p, 1.0);
    }

    #[test]
    fn more_pairs_are_drawn_and_equal_seeds_draw_equally() {
        let differences: Vec<i64> = (0..40).map(|place| if place % 3 == 0 { -5 } else { 4 + place % 2 }).collect();
        let result = |seed| sign_flip(&differences, Draws { seed, count: 9_999 }).expect("differences");
        assert_eq!(result(1).signs, Signs::Drawn(9_999));
        assert_eq!((result(1), result(1).smallest_p), (result(1), 1e-4));
        assert_ne!(result(1).p, result(2).p);
    }

    #[test]
    fn a_draw_never_gives_a_p_of_0() {
        assert_eq!(sign_flip(&[1_000; 60], DRAWS).expect("differences").p, 1e-4);
        let none = sign_flip(&[1_000; 60], Draws { seed: 1, count: 0 }).expect("differences");
        assert_eq!((none.p, none.smallest_p), (1.0, 1.0));
        assert_eq!(sign_flip(&[0; 21], DRAWS).expect("differences").p, 1.0);
    }

    #[test]
    fn no_differences_have_no_answer() {
        assert_eq!(sign_flip(&[], DRAWS), None);
    }
}
