//! Adam and AdamW: running means of gradients and of squared gradients.

use biosweep_numeric::vector::wide;
use tch::TchError;

use super::Optimise;
use crate::kernels::buffer::Buffer;
use crate::kernels::scalar::Scalar;

const BETA_1: f64 = 0.9;
const BETA_2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// Steps between two flushes of subnormal moments to zero. In this number of steps a mean decays a thousandfold,
/// from the bound to a value within the normal range.
const FLUSH_EVERY: i32 = 64;

/// How weight decay enters an update.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decay {
    /// The multiple of the weights that is added to their gradients.
    pub(super) added: f64,
    /// The factor of the weights themselves.
    pub(super) kept: f64,
}

/// Adam or AdamW, by how the weights decay.
#[derive(Debug)]
pub(super) struct Moments<T> {
    learning_rate: f64,
    decay: Decay,
    mean: Buffer<T>,
    square: Buffer<T>,
    steps: i32,
}

/// One update's constants: w ← keep · w − step · m / (√v · root + ε), with g + decay · w for g.
#[derive(Debug, Clone, Copy)]
struct Constants<T> {
    keep: T,
    decay: T,
    step: T,
    root: T,
}

impl<T: Scalar> Moments<T> {
    pub(super) fn new(learning_rate: f64, decay: Decay, length: usize) -> Result<Self, TchError> {
        let (mean, square) = (Buffer::zeros(length)?, Buffer::zeros(length)?);
        Ok(Self { learning_rate, decay, mean, square, steps: 0 })
    }
}

impl<T: Scalar> Optimise<T> for Moments<T> {
    fn begin(&mut self, step: u64) {
        // The corrections are 1 long before two thousand million steps.
        self.steps = i32::try_from(step).unwrap_or(i32::MAX);
    }

    fn state(&mut self) -> Vec<(&'static str, &mut [T])> {
        vec![("mean", self.mean.slice_mut()), ("square", self.square.slice_mut())]
    }

    /// m ← β₁m + (1−β₁)g;  v ← β₂v + (1−β₂)g²;  w ← kept·w − η/(1−β₁ᵗ) · m / (√v/√(1−β₂ᵗ) + ε),
    /// where g includes `added · w`.
    fn update(&mut self, first: usize, values: &mut [T], gradients: &[T]) {
        let correction = |beta: f64| 1.0 - beta.powi(self.steps);
        let constants = Constants {
            keep: T::from_f64(self.decay.kept),
            decay: T::from_f64(self.decay.added),
            step: T::from_f64(self.learning_rate / correction(BETA_1)),
            root: T::from_f64(1.0 / correction(BETA_2).sqrt()),
        };
        let place = first..first + values.len();
        let (mean, square) = (&mut self.mean.slice_mut()[place.clone()], &mut self.square.slice_mut()[place]);
        if self.steps % FLUSH_EVERY == 0 {
            flush_all(mean, square);
        }
        step(values, gradients, mean, square, constants);
    }
}

wide! {
    fn step<T: Scalar>(
        values: &mut [T],
        gradients: &[T],
        mean: &mut [T],
        square: &mut [T],
        constants: Constants<T>,
    ) {
        let Constants { keep, decay, step, root } = constants;
        let (epsilon, tiny) = (T::from_f64(EPSILON), T::from_f64(TINY_GRADIENT));
        let (rest_1, beta_2, rest_2) = (T::from_f64(1.0 - BETA_1), T::from_f64(BETA_2), T::from_f64(1.0 - BETA_2));
        // Three short loops over a block of values. One long loop would be a chain of operations that wait for each
        // other.
        let mut below = Aligned([T::default(); BLOCK]);
        let blocks = values.chunks_mut(BLOCK).zip(gradients.chunks(BLOCK));
        for ((values, gradients), (mean, square)) in blocks.zip(mean.chunks_mut(BLOCK).zip(square.chunks_mut(BLOCK))) {
            let length = values.len();
            let (gradients, mean, square) = (&gradients[..length], &mut mean[..length], &mut square[..length]);
            let below = &mut below.0[..length];
            for place in 0..length {
                let g = flush(decay.mul_add(values[place], gradients[place]), tiny);
                mean[place] = rest_1.mul_add(g - mean[place], mean[place]);
                square[place] = beta_2.mul_add(square[place], rest_2 * g * g);
            }
            for place in 0..length {
                let v = square[place];
                below[place] = (v * v.inverse_sqrt()).mul_add(root, epsilon);
            }
            for place in 0..length {
                let moved = step * mean[place] * below[place].inverse();
                values[place] = keep.mul_add(values[place], -moved);
            }
        }
    }
}

/// Values in a block.
const BLOCK: usize = 512;

/// A block, aligned to a vector register.
#[repr(align(64))]
struct Aligned<T>([T; BLOCK]);

wide! {
    fn flush_all<T: Scalar>(mean: &mut [T], square: &mut [T]) {
        let (tiny_mean, tiny_square) = (T::from_f64(1e-30), T::from_f64(1e-35));
        mean.iter_mut().for_each(|mean| *mean = flush(*mean, tiny_mean));
        square.iter_mut().for_each(|square| *square = flush(*square, tiny_square));
    }
}

/// Gradients nearer to zero count as zero, because their squares would be subnormal.
pub(super) const TINY_GRADIENT: f64 = 1e-16;

/// Zero for values nearer to zero than `tiny`. The weights of a pixel that is always zero decay towards zero with their
/// moments. Processors compute many times slower with subnormal numbers. The bounds are so far below ε that no relevant
/// weight moves otherwise.
#[inline(always)]
pub(super) fn flush<T: Scalar>(number: T, tiny: T) -> T {
    if number < tiny && number > -tiny { T::default() } else { number }
}
