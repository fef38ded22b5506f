//! Axes: scales, and round numbers for their ticks.

/// The ratio of the greatest to the least value from which an axis of positive values is logarithmic.
const LOG_FROM: f64 = 100.0;

/// Maps numbers to fractions of an axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scale {
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// Whether equal ratios have equal distances.
    is_log: bool,
}

/// An axis with its ticks.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Axis {
    pub(crate) scale: Scale,
    /// The ticks: values, and their labels.
    pub(crate) ticks: Vec<(f64, String)>,
    /// The values that are possible. No error bar goes beyond them.
    pub(crate) limits: (f64, f64),
}

impl Scale {
    pub(crate) const fn linear(low: f64, high: f64) -> Self {
        Self { low, high, is_log: false }
    }

    /// A logarithmic scale between positive numbers.
    pub(crate) const fn log(low: f64, high: f64) -> Self {
        Self { low, high, is_log: true }
    }

    pub(crate) fn at(self, value: f64) -> f64 {
        let along = |value: f64| if self.is_log { value.log10() } else { value };
        (along(value) - along(self.low)) / (along(self.high) - along(self.low))
    }
}

impl Axis {
    /// The ticks as fractions of the axis, with their labels.
    pub(crate) fn marks(&self) -> Vec<(f64, String)> {
        self.ticks.iter().map(|(tick, text)| (self.scale.at(*tick), text.clone())).collect()
    }

    /// An axis in percent for these accuracies (fractions), with about `wanted` ticks at most.
    pub(crate) fn percent(accuracies: impl Iterator<Item = f64>, wanted: usize) -> Self {
        let (low, high) = range(accuracies);
        let step = step(low, high, wanted);
        let (first, last) = ((low / step + 1e-6).floor() as i64, (high / step - 1e-6).ceil() as i64);
        let ticks: Vec<f64> = (first..=last).map(|i| i as f64 * step).filter(|&tick| tick <= 1.0 + 1e-6).collect();
        // A little space above, so that a marker at 100 % is completely visible.
        let scale = Scale::linear(first as f64 * step, ticks.last().map_or(1.0, |last| last + 0.1 * step));
        let is_whole = |tick: &f64| ((tick * 1_000.0).round() / 10.0).fract() == 0.0;
        let digits = usize::from(!ticks.iter().all(is_whole));
        let label = |tick: f64| format!("{:.digits$}", tick * 100.0);
        Self { scale, ticks: ticks.into_iter().map(|tick| (tick, label(tick))).collect(), limits: (0.0, 1.0) }
    }

    /// An axis for differences of accuracies (fractions), in points, with about `wanted` ticks at most. It has zero.
    pub(crate) fn differences(values: impl Iterator<Item = f64>, wanted: usize) -> Self {
        let finite = values.filter(|value| value.is_finite());
        let (low, high) = finite.fold((0.0_f64, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
        let (low, high) = if low < high { (low, high) } else { (-0.01, 0.01) };
        // Markers at the ends are completely visible.
        let space = 0.04 * (high - low);
        let scale = Scale::linear(low - space, high + space);
        let ticks =
            ticks(scale.low, scale.high, wanted).into_iter().map(|tick| (tick, signed(100.0 * tick, number))).collect();
        Self { scale, ticks, limits: (-1.0, 1.0) }
    }

    /// An axis from zero for these numbers, which are not negative, with about `wanted` ticks at most. It is logarithmic if
    /// all are positive and their range is large.
    pub(crate) fn positive(values: impl Iterator<Item = f64>, wanted: usize) -> Self {
        let finite = values.filter(|value| value.is_finite());
        let (low, high) = finite.fold((f64::INFINITY, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
        let limits = (0.0, f64::INFINITY);
        if low > 0.0 && high / low >= LOG_FROM && high.is_finite() {
            let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
            let every = (last - first).unsigned_abs().div_ceil(wanted.max(1) as u32).max(1);
            let ticks = (first..=last).step_by(every as usize).map(|power| 10_f64.powi(power));
            let ticks = ticks.map(|tick| (tick, number(tick))).collect();
            return Self { scale: Scale::log(10_f64.powi(first), 10_f64.powi(last)), ticks, limits };
        }
        let high = if high > 0.0 { high } else { 1.0 };
        let step = step(0.0, high, wanted);
        let last = (high / step - 1e-6).ceil() as i64;
        let ticks: Vec<f64> = (0..=last).map(|i| i as f64 * step).collect();
        let scale = Scale::linear(0.0, (last as f64 + 0.1) * step);
        Self { scale, ticks: ticks.into_iter().map(|tick| (tick, number(tick))).collect(), limits }
    }
}

/// A number with its sign, such as `+0.5` or `−2`; what its text shows as zero has none. `text` writes its size.
pub(crate) fn signed(value: f64, text: impl Fn(f64) -> String) -> String {
    let text = text(value.abs());
    let is_zero = text.bytes().all(|digit| matches!(digit, b'0' | b'.'));
    let sign = if value > 0.0 { "+" } else { "−" };
    if is_zero { text } else { format!("{sign}{text}") }
}

/// A number as a short text, such as `0.001`, `2500` or `1e-7`.
pub(crate) fn number(value: f64) -> String {
    let exponent = if value == 0.0 { 0.0 } else { value.abs().log10() };
    if (-4.0..6.0).contains(&exponent) {
        // Six digits hide the errors of multiples of a step.
        let text = format!("{value:.6}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        let text = format!("{value:.2e}");
        let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
        format!("{}e{power}", digits.trim_end_matches('0').trim_end_matches('.'))
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
    fn an_axis_of_differences_has_zero_and_signs() {
        let labels = |ends: [f64; 2]| -> Vec<String> {
            Axis::differences(ends.into_iter(), 4).ticks.into_iter().map(|(_, label)| label).collect()
        };
        assert_eq!(labels([-0.02, 0.041]), ["−2", "0", "+2", "+4"]);
        assert_eq!(labels([0.001, 0.002]), ["0", "+0.1", "+0.2"]);
        assert_eq!(labels([f64::NAN, 0.0]), ["−1", "0", "+1"], "without a difference");
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
            Axis::percent(accuracies.into_iter(), 6).ticks.into_iter().map(|(_, label)| label).collect()
        };
        assert_eq!(labels([0.95, 0.97]), ["95.0", "95.5", "96.0", "96.5", "97.0"]);
        assert_eq!(labels([0.0, 1.0]), ["0", "20", "40", "60", "80", "100"]);
    }

    #[test]
    fn a_large_range_of_positive_values_has_a_logarithmic_axis() {
        let labels = |values: &[f64]| -> Vec<String> {
            Axis::positive(values.iter().copied(), 6).ticks.into_iter().map(|(_, label)| label).collect()
        };
        assert_eq!(labels(&[0.002, 3.0]), ["0.001", "0.01", "0.1", "1", "10"]);
        assert_eq!(labels(&[0.0, 3.0]), ["0", "0.5", "1", "1.5", "2", "2.5", "3"]);
        assert_eq!(labels(&[30.0, 95.0]), ["0", "20", "40", "60", "80", "100"]);
        assert_eq!(labels(&[]), ["0", "0.2", "0.4", "0.6", "0.8", "1"]);
        let scale = Axis::positive([0.001, 10.0].into_iter(), 6).scale;
        assert!((scale.at(0.1) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn a_number_is_short() {
        let numbers = [0.0, 0.001, 0.6000000000000001, 2_500.0, 1e-7, 1.5e9, 1e-5];
        assert_eq!(numbers.map(number), ["0", "0.001", "0.6", "2500", "1e-7", "1.5e9", "1e-5"]);
    }
}
