//! Updates of parameters by their gradients: one fused loop for each optimiser.

use biosweep_numeric::vector::wide;

use super::handles::{View, ViewMut};
use super::scalar::Scalar;

/// The constants of an update of SGD.
#[derive(Debug, Clone, Copy)]
pub struct SgdConstants {
    /// The learning rate.
    pub rate: f64,
    /// The L2 coefficient.
    pub decay: f64,
    /// The momentum.
    pub momentum: f64,
    /// Whether the momentum is Nesterov's.
    pub nesterov: bool,
}

/// The constants of an update of Adam or AdamW.
#[derive(Debug, Clone, Copy)]
pub struct AdamConstants {
    /// The factor of the weights.
    pub keep: f64,
    /// The L2 coefficient.
    pub decay: f64,
    /// The learning rate, divided by the correction of the mean.
    pub step: f64,
    /// One, divided by the root of the correction of the mean square.
    pub root: f64,
    /// β₁ and β₂.
    pub beta: (f64, f64),
    /// ε.
    pub epsilon: f64,
}

/// The constants of an update of RMSprop.
#[derive(Debug, Clone, Copy)]
pub struct RmsPropConstants {
    /// The learning rate.
    pub rate: f64,
    /// The L2 coefficient.
    pub decay: f64,
    /// α.
    pub alpha: f64,
    /// ε.
    pub epsilon: f64,
}

/// w ← w − rate · (g + decay · w).
pub fn sgd<T: Scalar>(values: ViewMut<'_, T>, gradients: View<'_, T>, constants: SgdConstants) {
    sgd_slice(values.into_slice(), gradients.slice(), constants);
}

/// g ← g + decay · w;  v ← momentum · v + g;  w ← w − rate · v, or w ← w − rate · (g + momentum · v) for Nesterov's.
pub fn sgd_with_momentum<T: Scalar>(
    values: ViewMut<'_, T>,
    gradients: View<'_, T>,
    velocity: ViewMut<'_, T>,
    constants: SgdConstants,
) {
    momentum_slice(values.into_slice(), gradients.slice(), velocity.into_slice(), constants);
}

/// g ← g + decay · w;  m ← β₁m + (1−β₁)g;  v ← β₂v + (1−β₂)g²;  w ← keep · w − step · m / (√v · root + ε).
pub fn adam<T: Scalar>(
    values: ViewMut<'_, T>,
    gradients: View<'_, T>,
    mean: ViewMut<'_, T>,
    square: ViewMut<'_, T>,
    constants: AdamConstants,
) {
    adam_slice(values.into_slice(), gradients.slice(), mean.into_slice(), square.into_slice(), constants);
}

/// Sets moments that are nearly subnormal to zero.
pub fn flush_moments<T: Scalar>(mean: ViewMut<'_, T>, square: ViewMut<'_, T>) {
    flush_slices(mean.into_slice(), square.into_slice());
}

/// g ← g + decay · w;  v ← αv + (1−α)g²;  w ← w − rate · g / (√v + ε).
pub fn rmsprop<T: Scalar>(
    values: ViewMut<'_, T>,
    gradients: View<'_, T>,
    square: ViewMut<'_, T>,
    constants: RmsPropConstants,
) {
    rmsprop_slice(values.into_slice(), gradients.slice(), square.into_slice(), constants);
}

wide! {
    fn sgd_slice<T: Scalar>(values: &mut [T], gradients: &[T], constants: SgdConstants) {
        let (rate, decay) = (T::from_f64(constants.rate), T::from_f64(constants.decay));
        for (w, &g) in values.iter_mut().zip(gradients) {
            *w -= rate * (g + decay * *w);
        }
    }
}

wide! {
    fn momentum_slice<T: Scalar>(values: &mut [T], gradients: &[T], velocity: &mut [T], constants: SgdConstants) {
        let (rate, decay) = (T::from_f64(constants.rate), T::from_f64(constants.decay));
        let momentum = T::from_f64(constants.momentum);
        // The factors of the gradient and of the velocity in the step.
        let (of_gradient, of_velocity) =
            if constants.nesterov { (rate, rate * momentum) } else { (T::default(), rate) };
        for ((w, &g), v) in values.iter_mut().zip(gradients).zip(velocity) {
            let g = g + decay * *w;
            *v = momentum * *v + g;
            *w -= of_gradient * g + of_velocity * *v;
        }
    }
}

wide! {
    fn adam_slice<T: Scalar>(
        values: &mut [T],
        gradients: &[T],
        mean: &mut [T],
        square: &mut [T],
        constants: AdamConstants,
    ) {
        let AdamConstants { keep, decay, step, root, beta, epsilon } = constants;
        let (keep, decay, step, root) = (T::from_f64(keep), T::from_f64(decay), T::from_f64(step), T::from_f64(root));
        let (epsilon, tiny) = (T::from_f64(epsilon), T::from_f64(TINY_GRADIENT));
        let (rest_1, beta_2, rest_2) = (T::from_f64(1.0 - beta.0), T::from_f64(beta.1), T::from_f64(1.0 - beta.1));
        let pairs = values.iter_mut().zip(gradients).zip(mean.iter_mut().zip(square));
        for ((w, &g), (m, v)) in pairs {
            let g = flush(decay.mul_add(*w, g), tiny);
            *m = rest_1.mul_add(g - *m, *m);
            *v = beta_2.mul_add(*v, rest_2 * g * g);
            *w = keep.mul_add(*w, -(step * *m / v.sqrt().mul_add(root, epsilon)));
        }
    }
}

wide! {
    fn flush_slices<T: Scalar>(mean: &mut [T], square: &mut [T]) {
        let (tiny_mean, tiny_square) = (T::from_f64(1e-30), T::from_f64(TINY_SQUARE));
        mean.iter_mut().for_each(|mean| *mean = flush(*mean, tiny_mean));
        square.iter_mut().for_each(|square| *square = flush(*square, tiny_square));
    }
}

wide! {
    fn rmsprop_slice<T: Scalar>(values: &mut [T], gradients: &[T], square: &mut [T], constants: RmsPropConstants) {
        let RmsPropConstants { rate, decay, alpha, epsilon } = constants;
        let (rate, decay, epsilon) = (T::from_f64(rate), T::from_f64(decay), T::from_f64(epsilon));
        let (alpha, rest) = (T::from_f64(alpha), T::from_f64(1.0 - alpha));
        let (tiny_gradient, tiny_square) = (T::from_f64(TINY_GRADIENT), T::from_f64(TINY_SQUARE));
        for ((w, &g), v) in values.iter_mut().zip(gradients).zip(square) {
            let g = flush(decay.mul_add(*w, g), tiny_gradient);
            *v = flush(alpha * *v + rest * (g * g), tiny_square);
            *w -= rate * g / (v.sqrt() + epsilon);
        }
    }
}

/// Gradients nearer to zero count as zero, because their squares would be subnormal.
const TINY_GRADIENT: f64 = 1e-16;
/// Mean squares nearer to zero count as zero.
const TINY_SQUARE: f64 = 1e-35;

/// Zero for values nearer to zero than `tiny`. The weights of a pixel that is always zero decay towards zero with their
/// moments. Processors compute many times slower with subnormal numbers. The bounds are so far below ε that no relevant
/// weight moves otherwise.
#[inline(always)]
fn flush<T: Scalar>(number: T, tiny: T) -> T {
    if number < tiny && number > -tiny { T::default() } else { number }
}
