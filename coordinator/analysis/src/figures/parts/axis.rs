//! Axes: scales, and round numbers for their ticks.

/// Maps numbers to fractions of an axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scale {
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// The axis of accuracies, in percent.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Percents {
    pub(crate) scale: Scale,
    /// The ticks: accuracies as fractions, and their labels in percent.
    pub(crate) ticks: Vec<(f64, String)>,
}

impl Scale {
    pub(crate) fn at(self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }
}

impl Percents {
    /// An axis for these accuracies (fractions), with about `wanted` ticks at most.
    pub(crate) fn of(accuracies: impl Iterator<Item = f64>, wanted: usize) -> Self {
        let (low, high) = range(accuracies);
        let step = step(low, high, wanted);
        let (first, last) = ((low / step + 1e-6).floor() as i64, (high / step - 1e-6).ceil() as i64);
        let ticks: Vec<f64> = (first..=last).map(|i| i as f64 * step).filter(|&tick| tick <= 1.0 + 1e-6).collect();
        // A little space above, so that a marker at 100 % is completely visible.
        let scale = Scale { low: first as f64 * step, high: ticks.last().map_or(1.0, |last| last + 0.1 * step) };
        let is_whole = |tick: &f64| ((tick * 1_000.0).round() / 10.0).fract() == 0.0;
        let digits = usize::from(!ticks.iter().all(is_whole));
        let label = |tick: f64| format!("{:.digits$}", tick * 100.0);
        Self { scale, ticks: ticks.into_iter().map(|tick| (tick, label(tick))).collect() }
    }
}

/// Round numbers from `low` to `high`, about `wanted` at most.
pub(crate) fn ticks(low: f64, high: f64, wanted: usize) -> Vec<f64> {
    let step = step(low, high, wanted);
    let (first, last) = ((low / step - 1e-6).ceil() as i64, (high / step + 1e-6).floor() as i64);
    (first..=last).map(|i| i as f64 * step).collect()
}

/// The least of 1, 2 or 5 times a power of ten that divides the range from `low` to `high` into at most `wanted` steps.
fn step(low: f64, high: f64, wanted: usize) -> f64 {
    let rough = (high - low) / wanted.max(1) as f64;
    if rough.is_nan() || rough <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 5.0].map(|factor| factor * power);
    steps.into_iter().find(|&step| step >= rough * 0.999).unwrap_or(10.0 * power)
}

/// A range for accuracies, at least two percent wide and within 0 and 1.
fn range(accuracies: impl Iterator<Item = f64>) -> (f64, f64) {
    let within = accuracies.filter(|accuracy| accuracy.is_finite()).map(|accuracy| accuracy.clamp(0.0, 1.0));
    let (low, high) = within.fold((1.0_f64, 0.0_f64), |(low, high), accuracy| (low.min(accuracy), high.max(accuracy)));
    if low > high { (0.0, 1.0) } else { (low.min(high - 0.02).max(0.0), high.max(0.02)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_numbers_within_the_range() {
        assert_eq!(ticks(0.0, 10.0, 5), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(ticks(0.0, 3_900.0, 4), [0.0, 1_000.0, 2_000.0, 3_000.0]);
        assert_eq!(ticks(1.0, 1.0, 4), [1.0]);
        let ticks = ticks(0.53, 0.99, 6);
        assert!(ticks.first() >= Some(&0.53) && ticks.last() <= Some(&0.99) && ticks.len() >= 4, "{ticks:?}");
    }

    #[test]
    fn the_range_without_values_is_0_to_1_and_that_of_one_value_is_not_empty() {
        assert_eq!(range([].into_iter()), (0.0, 1.0));
        assert_eq!(range([f64::NAN].into_iter()), (0.0, 1.0));
        let (low, high) = range([0.5].into_iter());
        assert!(low < high && high == 0.5);
    }

    #[test]
    fn the_labels_of_an_axis_have_the_same_number_of_decimal_digits() {
        let labels = |accuracies: [f64; 2]| -> Vec<String> {
            Percents::of(accuracies.into_iter(), 6).ticks.into_iter().map(|(_, label)| label).collect()
        };
        assert_eq!(labels([0.95, 0.97]), ["95.0", "95.5", "96.0", "96.5", "97.0"]);
        assert_eq!(labels([0.0, 1.0]), ["0", "20", "40", "60", "80", "100"]);
    }
}
