//! Statistics of plain numbers: no function here knows sweeps, cells or settings.
//!
//! | module | contents |
//! |---|---|
//! | [`summary`] | one number from many: mean, variance, quantile, trimmed mean, slope |
//! | [`student`] | quantiles and tails of Student's t distribution |
//! | [`interval`] | the interval of a mean and of a mean difference |
//! | [`sign_flip`] | the exact test of paired counts |
//! | [`paired`] | the paired t test and Wilcoxon's signed-rank test |
//! | [`holm`] | p-values adjusted for a family of tests |
//! | [`equivalence`] | the test that a mean difference is small |
//! | [`tuning`] | what a tuning budget gives, and how the candidates of two arms compare |
//! | [`importance`] | how much each axis of a grid matters |
//!
//! **Contract of all functions.** Values are finite. A function returns `None` if there are too few values for its
//! formula, if an argument is not finite or outside its stated range, or if the result does not fit into an `f64`. It
//! never returns NaN or an infinite number. A function does not average over missing values: the caller leaves them out.
//!
//! **Differences** of accuracies are computed from counts of images, (a − b) / images. Equal differences of counts are then
//! equal numbers. Differences of fractions are not: their spread would be a rounding error, and t would be huge.

pub mod equivalence;
pub mod holm;
pub mod importance;
pub mod interval;
pub mod paired;
pub mod sign_flip;
pub mod student;
pub mod summary;
pub mod tuning;
