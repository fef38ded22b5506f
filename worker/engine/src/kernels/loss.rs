//! The output layer: softmax, cross-entropy and its error, one-hot labels, the number of correct predictions.

use tch::{Kind, TchError, Tensor};

use super::handles::{Matrix, Rows, RowsMut};
use super::scalar::Scalar;

/// The mean softmax cross-entropy of logits z for these labels; delta ← (softmax(z) − onehot(y)) / batch.
pub fn cross_entropy<T: Scalar>(delta: &mut Matrix<T>, logits: &Matrix<T>, labels: &[i64]) -> f64 {
    let (classes, batch_size) = (logits.columns(), logits.buffer().length() / logits.columns());
    let scale = T::from_f64(1.0 / batch_size as f64);
    // A class of negligible probability gets an error of exactly zero. A subnormal number would slow every product
    // that uses it.
    let tiny = T::from_f64(1e-20);
    let mut loss = 0.0;
    let rows = logits.buffer().slice().chunks(classes).zip(delta.buffer_mut().slice_mut().chunks_mut(classes));
    for ((logits, delta), &label) in rows.zip(labels) {
        let label = label as usize;
        let most = logits.iter().copied().fold(logits[0], |most, z| if z > most { z } else { most });
        let mut sum = T::default();
        for (delta, &logit) in delta.iter_mut().zip(logits) {
            let likelihood = (logit - most).exp();
            sum += likelihood;
            *delta = if likelihood < tiny { T::default() } else { likelihood };
        }
        loss += sum.to_f64().ln() - (logits[label] - most).to_f64();
        delta.iter_mut().for_each(|delta| *delta = *delta / sum * scale);
        delta[label] -= scale;
    }
    loss / batch_size as f64
}

/// The number of images whose largest logit is that of their label, among the first `labels.len()` images; `None` if a
/// logit or the loss of an image is not finite.
#[must_use]
pub fn correct<T: Scalar>(logits: &Matrix<T>, labels: &[i64]) -> Option<usize> {
    let mut correct = 0;
    for (logits, &label) in logits.buffer().slice().chunks(logits.columns()).zip(labels) {
        let own = logits[label as usize];
        // The loss is infinite if even this difference overflows.
        let is_finite = |&logit: &T| logit.to_f64().is_finite() && (own - logit).to_f64().is_finite();
        if !logits.iter().all(is_finite) {
            return None;
        }
        // The first of equal logits is the answer, as in argmax.
        let is_below_own = |(class, &logit): (usize, &T)| logit < own || (logit == own && class as i64 >= label);
        correct += usize::from(logits.iter().enumerate().all(is_below_own));
    }
    Some(correct)
}

/// value · onehot(y), [images, classes].
///
/// # Errors
/// Memory allocation fails.
pub fn one_hot<T: Scalar>(labels: &[i64], classes: usize, value: T) -> Result<Matrix<T>, TchError> {
    let mut one_hot = Matrix::zeros(labels.len(), classes)?;
    for (row, &label) in one_hot.buffer_mut().slice_mut().chunks_exact_mut(classes).zip(labels) {
        row[label as usize] = value;
    }
    Ok(one_hot)
}

/// softmax(z), in new memory.
///
/// # Errors
/// libtorch reports an error.
pub fn softmax<T: Scalar>(z: Rows<'_, T>) -> Result<Tensor, TchError> {
    z.matrix.f_softmax(-1, None::<Kind>)
}

/// z ← softmax(z).
///
/// # Errors
/// libtorch reports an error.
pub fn softmax_in_place<T: Scalar>(z: RowsMut<'_, T>) -> Result<(), TchError> {
    let probabilities = z.matrix.f_softmax(-1, None::<Kind>)?;
    z.matrix.shallow_clone().f_copy_(&probabilities).map(drop)
}

/// factor · values, in new memory.
///
/// # Errors
/// libtorch reports an error.
pub fn scaled<T: Scalar>(values: Rows<'_, T>, factor: f64) -> Result<Tensor, TchError> {
    values.matrix.f_mul_scalar(factor)
}
