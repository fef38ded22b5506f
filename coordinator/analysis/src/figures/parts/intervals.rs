//! Intervals of means, as bars and bands show them.

use super::key::{Entry, Sample};
use crate::replicates::mean::{Mean, counted};

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
    counted(means.filter(|mean| mean.half_width.is_some())).map(|values| format!("95 % interval, {values}"))
}

/// The note that every mean is of one replicate, so that none has an interval; `None` if some mean has several values, or
/// without means.
pub(crate) fn single<'a>(mut means: impl Iterator<Item = &'a Mean>) -> Option<Entry> {
    let is_single = |mean: &Mean| mean.count == 1;
    (means.next().is_some_and(is_single) && means.all(is_single))
        .then(|| Entry::new(Sample::None, "one replicate each (n = 1)"))
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

    #[test]
    fn means_of_one_replicate_each_say_so() {
        let of = |folds: u32| mean_of((0..folds).map(|fold| vec![f64::from(fold)]).collect()).expect("values");
        assert_eq!(single([of(1), of(1)].iter()), Some(Entry::new(Sample::None, "one replicate each (n = 1)")));
        assert_eq!((single([of(1), of(2)].iter()), single([].iter())), (None, None));
    }
}
