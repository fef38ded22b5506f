//! Intervals of means, as bars and bands show them.

use crate::replicates::mean::Mean;

/// The lower and the upper end of a mean's interval; the mean itself if it has none.
pub(crate) fn ends(mean: &Mean) -> [f64; 2] {
    let half = mean.half_width.unwrap_or(0.0);
    [mean.mean - half, mean.mean + half]
}

/// The area of a band: positions with both ends of intervals.
pub(crate) fn area<'a>(means: impl Iterator<Item = (f64, &'a Mean)>) -> Vec<(f64, f64, f64)> {
    let ends = |(x, mean)| {
        let [low, high] = ends(mean);
        (x, low, high)
    };
    means.map(ends).collect()
}

/// What the bars or bands of these means are, such as `95 % interval, 8 folds`; `None` if none has an interval. If the means
/// have different numbers of values, the number is n.
pub(crate) fn meaning<'a>(means: impl Iterator<Item = &'a Mean>) -> Option<String> {
    let (mut least, mut most) = (u64::MAX, None);
    for mean in means.filter(|mean| mean.half_width.is_some()) {
        least = least.min(mean.count);
        most = most.max(Some((mean.count, mean.unit)));
    }
    let (most, unit) = most?;
    let count = if least < most { "n".to_owned() } else { most.to_string() };
    Some(format!("95 % interval, {count} {}", unit.word(most)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replicates::mean::mean_of;

    #[test]
    fn intervals_of_unequal_means_are_of_n_folds() {
        let of = |folds: u32| mean_of((0..folds).map(|fold| vec![f64::from(fold)]).collect()).expect("values");
        assert_eq!(meaning([of(3), of(3)].iter()).as_deref(), Some("95 % interval, 3 folds"));
        assert_eq!(meaning([of(3), of(2)].iter()).as_deref(), Some("95 % interval, n folds"));
        assert_eq!(meaning([of(1)].iter()), None, "one value has no interval");
        assert_eq!(ends(&of(1)), [0.0, 0.0]);
    }
}
