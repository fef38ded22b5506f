//! The interval of a mean and of a mean difference.
//!
//! It is the interval of Student's t. The percentile bootstrap covers too seldom with ten values or less.

use super::student;
use super::summary::{finite, mean, standard_deviation};

/// A symmetric interval around a mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The mean, in the unit of the values.
    pub mean: f64,
    /// Half the width of the interval, in the unit of the values; at least 0.
    pub half_width: f64,
}

impl Interval {
    /// The lower end.
    #[must_use]
    pub fn low(&self) -> f64 {
        self.mean - self.half_width
    }

    /// The upper end.
    #[must_use]
    pub fn high(&self) -> f64 {
        self.mean + self.half_width
    }
}

/// What the interval of a mean difference holds for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inference {
    /// New folds of the same images: the differences count as independent.
    TheseData,
    /// New training images. The training images of any two folds overlap, so their differences are correlated (Nadeau
    /// and Bengio 2003). The ratio is that of validation to training images: the test set is fixed.
    NewTrainingData {
        /// Number of validation images in each fold.
        validation: u64,
        /// Number of training images in each fold, at least 1.
        training: u64,
    },
}

/// The interval x̄ ± t(n − 1) · s / √n that covers the mean at a level such as 0.95, if the values are normal and
/// independent (Student 1908).
///
/// `None` for less than two values, or if the level is not above 0 and below 1. The interval of equal values has no
/// width: such values say nothing of their spread, which the caller may want to say.
#[must_use]
pub fn of_mean(values: &[f64], level: f64) -> Option<Interval> {
    scaled(values, level, 0.0)
}

/// The interval d̄ ± t(n − 1) · s_d · √(1/n + ρ) of the mean of paired differences at a level such as 0.95. ρ is 0 for
/// [`Inference::TheseData`], and n_val / n_train for [`Inference::NewTrainingData`].
///
/// `None` for less than two differences, if the level is not above 0 and below 1, or without training images.
#[must_use]
pub fn of_mean_difference(differences: &[f64], inference: Inference, level: f64) -> Option<Interval> {
    let overlap = match inference {
        Inference::TheseData => 0.0,
        Inference::NewTrainingData { validation, training } => finite(validation as f64 / training as f64)?,
    };
    scaled(differences, level, overlap)
}

/// The interval with half width t(n − 1) · s · √(1/n + overlap).
fn scaled(values: &[f64], level: f64, overlap: f64) -> Option<Interval> {
    let (mean, spread) = (mean(values)?, standard_deviation(values)?);
    if !(level > 0.0 && level < 1.0) {
        return None;
    }
    let t = student::quantile(0.5 + level / 2.0, values.len() - 1)?;
    let half_width = finite(t * spread * (1.0 / values.len() as f64 + overlap).sqrt())?;
    Some(Interval { mean, half_width })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_value_has_no_interval() {
        assert_eq!((of_mean(&[], 0.95), of_mean(&[0.9], 0.95)), (None, None));
        assert_eq!(of_mean_difference(&[0.01], Inference::TheseData, 0.95), None);
    }

    #[test]
    fn the_interval_of_two_values_is_that_of_a_table() {
        // t(1) at 0.975 is 12.7062 in every table; s/√2 of 0 and 2 is 1.
        let interval = of_mean(&[0.0, 2.0], 0.95).expect("two values");
        assert!((interval.half_width - 12.706_204_736_174_7).abs() < 1e-10, "{interval:?}");
        assert_eq!((interval.low(), interval.high()), (1.0 - interval.half_width, 1.0 + interval.half_width));
    }

    #[test]
    fn new_training_data_make_the_interval_wider_by_the_overlap() {
        let differences = [0.01, 0.03, 0.02, 0.05];
        let new = Inference::NewTrainingData { validation: 10_000, training: 50_000 };
        let width = |inference| of_mean_difference(&differences, inference, 0.95).expect("four").half_width;
        let ratio = width(new) / width(Inference::TheseData);
        assert!((ratio - ((0.25 + 0.2) / 0.25_f64).sqrt()).abs() < 1e-12, "{ratio}");
        let none = Inference::NewTrainingData { validation: 10_000, training: 0 };
        assert_eq!(of_mean_difference(&differences, none, 0.95), None);
        let nothing = Inference::NewTrainingData { validation: 0, training: 0 };
        assert_eq!(of_mean_difference(&differences, nothing, 0.95), None);
    }

    #[test]
    fn equal_values_have_an_interval_without_width() {
        assert_eq!(of_mean(&[0.1; 5], 0.95), Some(Interval { mean: 0.1, half_width: 0.0 }));
    }

    #[test]
    fn a_level_outside_of_0_and_1_has_no_interval() {
        for level in [0.0, 1.0, 95.0, -0.95, f64::NAN] {
            assert_eq!(of_mean(&[0.1, 0.2], level), None);
        }
    }
}
