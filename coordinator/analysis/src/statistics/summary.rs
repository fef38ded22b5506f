//! One number from many: mean, variance, quantile, trimmed mean, slope.

/// A pair of coordinates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// The explanatory value, for example a depth.
    pub x: f64,
    /// The value that is explained, for example an accuracy.
    pub y: f64,
}

/// The arithmetic mean Σxᵢ / n, in the unit of the values. `None` without values.
///
/// The sum is compensated (Neumaier 1974), and the mean is never outside of the values. So the mean of equal values is
/// exactly their value.
#[must_use]
pub fn mean(values: &[f64]) -> Option<f64> {
    let mean = finite(sum(values.iter().copied()) / values.len() as f64)?;
    let (low, high) = (values.iter().copied().reduce(f64::min)?, values.iter().copied().reduce(f64::max)?);
    Some(mean.clamp(low, high))
}

/// The sample variance Σ(xᵢ − x̄)² / (n − 1), in the square of the values' unit. `None` for less than two values.
///
/// Two passes with the correction of Chan, Golub and LeVeque (1983). The variance of equal values is exactly 0.
#[must_use]
pub fn variance(values: &[f64]) -> Option<f64> {
    let count = values.len() as f64;
    let mean = mean(values).filter(|_| values.len() > 1)?;
    let deviations = || values.iter().map(|value| value - mean);
    let (squares, drift) = (sum(deviations().map(|deviation| deviation * deviation)), sum(deviations()));
    finite((squares - drift * drift / count) / (count - 1.0))
}

/// The sample standard deviation √(Σ(xᵢ − x̄)² / (n − 1)), in the unit of the values. `None` for less than two values.
#[must_use]
pub fn standard_deviation(values: &[f64]) -> Option<f64> {
    variance(values).map(f64::sqrt)
}

/// The standard error of the mean s / √n, in the unit of the values. `None` for less than two values.
#[must_use]
pub fn standard_error(values: &[f64]) -> Option<f64> {
    Some(standard_deviation(values)? / (values.len() as f64).sqrt())
}

/// The quantile at a probability from 0 to 1, in the unit of the values. `None` without values.
///
/// With the sorted values x₍₀₎ … x₍ₙ₋₁₎ and h = (n − 1) · probability, the quantile is linear between the values beside
/// h. This is type 7 of Hyndman and Fan (1996), the default of R and NumPy.
#[must_use]
pub fn quantile(values: &[f64], probability: f64) -> Option<f64> {
    quantiles(values, [probability]).and_then(|quantiles| quantiles.first().copied())
}

/// The quantiles at several probabilities, as [`quantile`]. The values are sorted once.
#[must_use]
pub fn quantiles(values: &[f64], probabilities: impl IntoIterator<Item = f64>) -> Option<Vec<f64>> {
    let sorted = sorted(values).filter(|sorted| !sorted.is_empty())?;
    let at = |probability: f64| {
        let place = (0.0..=1.0).contains(&probability).then(|| (sorted.len() - 1) as f64 * probability)?;
        let below = place.floor() as usize;
        let (low, high) = (sorted[below], sorted[(below + 1).min(sorted.len() - 1)]);
        let part = place - below as f64;
        finite(low + (high - low) * part)
    };
    probabilities.into_iter().map(at).collect()
}

/// The mean without the lowest and the highest quarter of the values, in their unit. `None` without values.
///
/// ⌊n / 4⌋ values are left out on each side, as `scipy.stats.trim_mean` does with 0.25 (Tukey 1962).
#[must_use]
pub fn trimmed_mean(values: &[f64]) -> Option<f64> {
    let sorted = sorted(values)?;
    let cut = sorted.len() / 4;
    mean(&sorted[cut..sorted.len() - cut])
}

/// The slope of the least-squares line of y on x, Σ(xᵢ − x̄)(yᵢ − ȳ) / Σ(xᵢ − x̄)², in units of y per unit of x.
/// `None` unless two values of x differ.
#[must_use]
pub fn slope(points: &[Point]) -> Option<f64> {
    let mean_of = |coordinate: fn(&Point) -> f64| mean(&points.iter().map(coordinate).collect::<Vec<_>>());
    let (x, y) = (mean_of(|point| point.x)?, mean_of(|point| point.y)?);
    let products = sum(points.iter().map(|point| (point.x - x) * (point.y - y)));
    let squares = sum(points.iter().map(|point| (point.x - x) * (point.x - x)));
    finite(products / squares)
}

/// The number, unless it is infinite or NaN.
pub(super) fn finite(number: f64) -> Option<f64> {
    number.is_finite().then_some(number)
}

/// The sum, with the rounding error of each step added at the end (Neumaier 1974).
pub(super) fn sum(values: impl IntoIterator<Item = f64>) -> f64 {
    let (mut total, mut lost) = (0.0_f64, 0.0);
    for value in values {
        let next = total + value;
        lost += if total.abs() >= value.abs() { (total - next) + value } else { (value - next) + total };
        total = next;
    }
    total + lost
}

/// The values in ascending order; `None` if one is not finite.
pub(super) fn sorted(values: &[f64]) -> Option<Vec<f64>> {
    let mut sorted = values.iter().map(|&value| finite(value)).collect::<Option<Vec<_>>>()?;
    sorted.sort_unstable_by(f64::total_cmp);
    Some(sorted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_cancel_keep_their_small_part() {
        assert_eq!(mean(&[1e16, 1.0, -1e16, 3.0]), Some(1.0));
    }

    #[test]
    fn equal_values_have_exactly_their_mean_and_no_variance() {
        for count in 1..200 {
            for value in [0.1, 1.0 / 3.0, 0.7, 1e-300, 12_345.678_9] {
                let values = vec![value; count];
                assert_eq!((mean(&values), trimmed_mean(&values)), (Some(value), Some(value)), "{count} times {value}");
                assert_eq!(variance(&values), (count > 1).then_some(0.0));
            }
        }
    }

    #[test]
    fn the_variance_of_close_values_is_not_lost() {
        let values = [1e9 + 4.0, 1e9 + 7.0, 1e9 + 13.0, 1e9 + 16.0];
        assert_eq!((variance(&values), standard_deviation(&values)), (Some(30.0), Some(30.0_f64.sqrt())));
    }

    #[test]
    fn the_variance_does_not_depend_on_the_rounding_of_the_mean() {
        // The mean, 10¹⁶ + 1, is not an `f64`.
        assert_eq!(variance(&[1e16, 1e16 + 2.0]), Some(2.0));
    }

    #[test]
    fn too_few_values_have_no_answer() {
        assert_eq!((mean(&[]), variance(&[0.5]), standard_deviation(&[])), (None, None, None));
        assert_eq!((quantile(&[], 0.5), trimmed_mean(&[])), (None, None));
        let same_x = [Point { x: 5.0, y: 0.1 }, Point { x: 5.0, y: 0.9 }];
        assert_eq!((slope(&[]), slope(&same_x[..1]), slope(&same_x)), (None, None, None));
    }

    #[test]
    fn values_that_are_not_finite_have_no_answer() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let values = [0.1, bad, 0.3, 0.4];
            assert_eq!((mean(&values), variance(&values), trimmed_mean(&values)), (None, None, None));
            assert_eq!((quantile(&values, 0.0), quantile(&[0.1], bad)), (None, None));
            let point = |x, y| Point { x, y };
            assert_eq!(slope(&[point(0.0, 0.0), point(1.0, bad), point(2.0, 1.0)]), None);
            assert_eq!(slope(&[point(0.0, 0.0), point(bad, 1.0), point(2.0, 1.0)]), None);
        }
        assert_eq!(mean(&[f64::MAX, f64::MAX]), None, "the sum does not fit");
    }

    #[test]
    fn quantiles_at_the_ends_are_the_extremes() {
        let values = [0.3, 0.1, 0.7];
        assert_eq!((quantile(&values, 0.0), quantile(&values, 1.0)), (Some(0.1), Some(0.7)));
        assert_eq!(quantile(&values, 0.5), Some(0.3));
        assert_eq!((quantile(&values, -0.1), quantile(&values, 1.1)), (None, None));
    }

    #[test]
    fn a_quarter_is_cut_from_each_side() {
        assert_eq!(trimmed_mean(&[9.0, 1.0, 100.0]), Some(110.0 / 3.0), "a quarter of three is none");
        assert_eq!(trimmed_mean(&[100.0, 2.0, 4.0, -50.0]), Some(3.0));
    }

    #[test]
    fn a_line_has_its_slope() {
        let points: Vec<Point> = (0..5).map(f64::from).map(|x| Point { x, y: 1.0 - 0.25 * x }).collect();
        assert_eq!(slope(&points), Some(-0.25));
    }
}
