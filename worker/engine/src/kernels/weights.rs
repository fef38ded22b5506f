//! Elementwise operations on weights: the decay factor, copies, and weights with the signs of other weights.

use biosweep_numeric::vector::wide;

use super::handles::{View, ViewMut};
use super::scalar::Scalar;

/// w ← factor · w.
pub fn scale<T: Scalar>(weights: ViewMut<'_, T>, factor: T) {
    scale_slice(weights.into_slice(), factor);
}

/// values ← other values.
///
/// # Panics
/// The numbers of values differ.
pub fn assign<T: Scalar>(values: ViewMut<'_, T>, others: View<'_, T>) {
    values.into_slice().copy_from_slice(others.slice());
}

/// B ← size · sign(W). sign(0) = 0.
pub fn sign_with_size<T: Scalar>(feedback: ViewMut<'_, T>, size: T, weights: View<'_, T>) {
    with_size(feedback.into_slice(), size, weights.slice());
}

/// B ← |R| ⊙ sign(W). sign(0) = 0.
pub fn sign_with_sizes<T: Scalar>(feedback: ViewMut<'_, T>, sizes: View<'_, T>, weights: View<'_, T>) {
    with_sizes(feedback.into_slice(), sizes.slice(), weights.slice());
}

wide! {
    fn scale_slice<T: Scalar>(numbers: &mut [T], factor: T) {
        numbers.iter_mut().for_each(|number| *number = factor * *number);
    }
}

wide! {
    fn with_size<T: Scalar>(feedback: &mut [T], size: T, weights: &[T]) {
        let zero = T::default();
        for (feedback, &weight) in feedback.iter_mut().zip(weights) {
            *feedback = if weight > zero { size } else if weight < zero { -size } else { zero };
        }
    }
}

wide! {
    fn with_sizes<T: Scalar>(feedback: &mut [T], sizes: &[T], weights: &[T]) {
        let zero = T::default();
        for ((feedback, &size), &weight) in feedback.iter_mut().zip(sizes).zip(weights) {
            let size = if size < zero { -size } else { size };
            *feedback = if weight > zero { size } else if weight < zero { -size } else { zero };
        }
    }
}
