//! Quantiles and tails of Student's t distribution.
//!
//! The incomplete beta function is that of the crate `statrs`. Its own tails lose digits near t = 0, where they compute
//! 1 − x from an x near 1. Here the central part is computed instead, and the tail is what remains of 1.

use statrs::distribution::{Continuous, StudentsT};
use statrs::function::beta::beta_reg;

use super::summary::finite;

/// The t with P(T ≤ t) = `probability`, for Student's t with this number of degrees of freedom; without a unit.
///
/// It solves `two_sided_tail(t) = 2 · min(probability, 1 − probability)` by Newton's method, because the inverse of `statrs` has
/// an absolute error and panics far out. With y = ln(1 + t²/ν), the logarithm of the tail is nearly linear in y and convex. So
/// the steps from a smaller t never go too far. The first t is smaller: the density is largest at 0.
///
/// `None` unless the probability is above 0 and below 1 and there is at least one degree of freedom, or if t² does not fit into
/// an `f64`.
#[must_use]
pub fn quantile(probability: f64, degrees: usize) -> Option<f64> {
    if !(probability > 0.0 && probability < 1.0) {
        return None;
    }
    let (law, freedom) = (law(degrees)?, degrees as f64);
    let tail = 2.0 * probability.min(1.0 - probability);
    let mut t = (1.0 - tail) / (2.0 * law.pdf(0.0));
    for _ in 0..STEPS_MAX {
        let (at, y) = (two_sided_tail(t, degrees)?, (t * t / freedom).ln_1p());
        let step = (at / tail).ln() * at * t / (law.pdf(t) * (freedom + t * t));
        t = (freedom * (y + step).exp_m1()).sqrt();
        // The error after a step is about the square of the step.
        if step.abs() <= 1e-10 * y {
            break;
        }
    }
    finite(if probability < 0.5 { -t } else { t })
}

/// P(|T| ≥ |t|) for Student's t with this number of degrees of freedom: the p-value of a two-sided t test.
///
/// With ν degrees of freedom it is I(ν / (ν + t²); ν/2, 1/2), where I is the regularized incomplete beta function
/// (Abramowitz and Stegun 1964, 26.7.1). `None` without degrees of freedom.
#[must_use]
pub fn two_sided_tail(t: f64, degrees: usize) -> Option<f64> {
    let (t, freedom) = (finite(t)?, degrees as f64);
    law(degrees)?;
    let square = t * t;
    let tail = if square < 1.0 {
        1.0 - beta_reg(0.5, freedom / 2.0, square / (freedom + square))
    } else {
        beta_reg(freedom / 2.0, 0.5, freedom / (freedom + square))
    };
    finite(tail.clamp(0.0, 1.0))
}

/// P(T ≥ t) for Student's t with this number of degrees of freedom: the p-value of a one-sided t test.
///
/// `None` without degrees of freedom.
#[must_use]
pub fn upper_tail(t: f64, degrees: usize) -> Option<f64> {
    let half = two_sided_tail(t, degrees)? / 2.0;
    Some(if t < 0.0 { 1.0 - half } else { half })
}

/// Five steps are typical.
const STEPS_MAX: usize = 50;

fn law(degrees: usize) -> Option<StudentsT> {
    StudentsT::new(0.0, 1.0, degrees as f64).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_degree_of_freedom_is_the_cauchy_distribution() {
        for probability in [1e-9, 0.01, 0.3, 0.5, 0.75, 0.975, 0.999] {
            let known = (std::f64::consts::PI * (probability - 0.5)).tan();
            let t = quantile(probability, 1).expect("a quantile");
            // Near probability 0 the tangent itself loses digits.
            assert!((t - known).abs() <= 1e-7 * known.abs() + 1e-15, "{probability}: {t} and {known}");
        }
    }

    #[test]
    fn a_tail_close_to_the_centre_keeps_its_digits() {
        // The density at 0 with one degree of freedom is 1/π.
        for t in [1e-12, 1e-9, 1e-6] {
            let centre = 1.0 - two_sided_tail(t, 1).expect("a tail");
            assert!((centre - 2.0 * t / std::f64::consts::PI).abs() < 1e-15, "{t}: {centre}");
        }
        assert_eq!((two_sided_tail(0.0, 3), upper_tail(0.0, 3)), (Some(1.0), Some(0.5)));
    }

    #[test]
    fn the_tails_of_a_quantile_are_its_probability() {
        for degrees in [1, 2, 3, 9, 30, 1_000] {
            for probability in [1e-6, 0.025, 0.4, 0.6, 0.975] {
                let t = quantile(probability, degrees).expect("a quantile");
                let below = upper_tail(-t, degrees).expect("a tail");
                assert!((below - probability).abs() < 1e-12 * probability, "{degrees}, {probability}: {below}");
            }
        }
    }

    #[test]
    fn the_ends_of_the_distribution_have_quantiles() {
        for degrees in [1, 2, 9, 1_000] {
            for probability in [1e-100, 1e-30, 0.5 - 1e-9, 0.5 + 1e-9, 1.0 - 1e-15] {
                let t = quantile(probability, degrees).expect("a quantile");
                let below = upper_tail(-t, degrees).expect("a tail");
                assert!((below / probability - 1.0).abs() < 1e-10, "{degrees}, {probability}: {t} has {below}");
            }
        }
    }

    #[test]
    fn a_quantile_whose_square_does_not_fit_has_no_answer() {
        assert_eq!((quantile(1e-300, 1), quantile(f64::MIN_POSITIVE, 1)), (None, None));
        assert!(quantile(1e-300, 30).is_some());
    }

    #[test]
    fn without_degrees_of_freedom_or_a_probability_there_is_no_answer() {
        assert_eq!((quantile(0.975, 0), two_sided_tail(1.0, 0), upper_tail(1.0, 0)), (None, None, None));
        for bad in [0.0, 1.0, -0.5, 1.5, f64::NAN] {
            assert_eq!(quantile(bad, 3), None);
        }
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!((two_sided_tail(bad, 3), upper_tail(bad, 3)), (None, None));
        }
        assert_eq!(two_sided_tail(f64::MAX, 3), Some(0.0), "the square of t does not fit, its tail does");
    }
}
