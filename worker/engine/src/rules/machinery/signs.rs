//! Sign-symmetric feedback: feedback weights with the signs of the forward weights.

use biosweep_numeric::vector::wide;

use crate::kernels::scalar::Scalar;

wide! {
    /// B = size · sign(W). sign(0) = 0.
    pub(in crate::rules) fn with_size<T: Scalar>(feedback: &mut [T], size: T, weights: &[T]) {
        let zero = T::default();
        for (feedback, &weight) in feedback.iter_mut().zip(weights) {
            *feedback = if weight > zero { size } else if weight < zero { -size } else { zero };
        }
    }
}

wide! {
    /// B = |R| ⊙ sign(W). sign(0) = 0.
    pub(in crate::rules) fn with_sizes<T: Scalar>(feedback: &mut [T], sizes: &[T], weights: &[T]) {
        let zero = T::default();
        for ((feedback, &size), &weight) in feedback.iter_mut().zip(sizes).zip(weights) {
            let size = if size < zero { -size } else { size };
            *feedback = if weight > zero { size } else if weight < zero { -size } else { zero };
        }
    }
}
