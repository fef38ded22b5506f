//! Activation functions: add bias and activate, the backward step, and activation differences.

use biosweep_common::vocabulary::ActivationFunction;
use biosweep_numeric::vector::wide;
use tch::{TchError, Tensor};

use super::handles::{Rows, RowsMut, View};
use super::scalar::Scalar;
use crate::architecture::StridedRows;

/// h ← σ(z + b), in place. `z` becomes h.
///
/// # Errors
/// libtorch reports an error.
pub fn add_bias_and_activate<T: Scalar>(
    activation: ActivationFunction,
    z: RowsMut<'_, T>,
    bias: View<'_, T>,
) -> Result<(), TchError> {
    if activation == ActivationFunction::Relu {
        add_bias_and_rectify_slice(z.buffer.slice_mut(), z.strided_rows, bias.slice());
        return Ok(());
    }
    add_bias_slice(z.buffer.slice_mut(), z.strided_rows, bias.slice());
    activate(activation, z.matrix)
}

/// z ← z + b.
pub fn add_bias<T: Scalar>(z: RowsMut<'_, T>, bias: View<'_, T>) {
    add_bias_slice(z.buffer.slice_mut(), z.strided_rows, bias.slice());
}

/// error ← scale · error ⊙ σ'(z). The derivative is computed from h = σ(z), which has the same rows as the error.
pub fn activation_backward<T: Scalar>(
    activation: ActivationFunction,
    scale: T,
    error: RowsMut<'_, T>,
    hidden: Rows<'_, T>,
) {
    assert_eq!(error.strided_rows, hidden.strided_rows, "the rows of the error and of the activations");
    backward_slice(activation, scale, error.buffer.slice_mut(), hidden.buffer.slice(), error.strided_rows);
}

/// output ← scale · error ⊙ σ'(z), from h = σ(z). All have the same rows.
pub fn activation_derivative<T: Scalar>(
    activation: ActivationFunction,
    scale: T,
    output: RowsMut<'_, T>,
    error: Rows<'_, T>,
    hidden: Rows<'_, T>,
) {
    let strided_rows = output.strided_rows;
    assert_eq!((strided_rows, strided_rows), (error.strided_rows, hidden.strided_rows), "the rows of all operands");
    let (error, hidden) = (error.buffer.slice(), hidden.buffer.slice());
    derivative_slice(activation, scale, output.buffer.slice_mut(), (error, hidden), strided_rows);
}

/// difference ← σ(z + Δ) − σ(z). `difference` holds Δ. `z` is scratch memory afterwards.
///
/// The exponentials come first, for which libtorch has vector code, and the rest second.
///
/// # Errors
/// libtorch reports an error.
pub fn activation_difference<T: Scalar>(
    activation: ActivationFunction,
    z: RowsMut<'_, T>,
    difference: RowsMut<'_, T>,
) -> Result<(), TchError> {
    if activation == ActivationFunction::Sigmoid {
        drop(difference.matrix.f_mul_scalar_out(difference.matrix, 0.5)?);
    }
    if activation != ActivationFunction::Relu {
        drop(difference.matrix.f_tanh_out(difference.matrix)?);
        activate(activation, z.matrix)?;
    }
    assert_eq!(difference.strided_rows, z.strided_rows, "the rows of the difference and of z");
    difference_slice(activation, z.buffer.slice(), difference.buffer.slice_mut(), z.strided_rows);
    Ok(())
}

/// z ← σ(z).
///
/// # Errors
/// libtorch reports an error.
pub fn activate(activation: ActivationFunction, z: &Tensor) -> Result<(), TchError> {
    match activation {
        ActivationFunction::Relu => z.f_relu_out(z),
        ActivationFunction::Sigmoid => z.f_sigmoid_out(z),
        ActivationFunction::Tanh => z.f_tanh_out(z),
    }
    .map(drop)
}

wide! {
    fn add_bias_slice<T: Scalar>(values: &mut [T], strided_rows: &StridedRows, bias: &[T]) {
        for start in strided_rows.starts() {
            for position in values[start..start + strided_rows.length].chunks_exact_mut(bias.len()) {
                position.iter_mut().zip(bias).for_each(|(z, &b)| *z += b);
            }
        }
    }
}

wide! {
    fn add_bias_and_rectify_slice<T: Scalar>(values: &mut [T], strided_rows: &StridedRows, bias: &[T]) {
        let zero = T::default();
        for start in strided_rows.starts() {
            for position in values[start..start + strided_rows.length].chunks_exact_mut(bias.len()) {
                position.iter_mut().zip(bias).for_each(|(z, &b)| {
                    let sum = *z + b;
                    // NaN stays NaN.
                    *z = if sum < zero { zero } else { sum };
                });
            }
        }
    }
}

wide! {
    fn backward_slice<T: Scalar>(
        activation: ActivationFunction,
        scale: T,
        error: &mut [T],
        hidden: &[T],
        strided_rows: &StridedRows,
    ) {
        let (zero, one) = (T::default(), T::from_f64(1.0));
        for start in strided_rows.starts() {
            let row = start..start + strided_rows.length;
            let pairs = error[row.clone()].iter_mut().zip(&hidden[row]);
            match activation {
                ActivationFunction::Relu => pairs.for_each(|(error, &h)| *error = if h > zero { scale * *error } else { zero }),
                ActivationFunction::Sigmoid => pairs.for_each(|(error, &h)| *error = scale * *error * (h * (one - h))),
                ActivationFunction::Tanh => pairs.for_each(|(error, &h)| *error = scale * *error * (one - h * h)),
            }
        }
    }
}

wide! {
    fn derivative_slice<T: Scalar>(
        activation: ActivationFunction,
        scale: T,
        output: &mut [T],
        (error, hidden): (&[T], &[T]),
        strided_rows: &StridedRows,
    ) {
        let (zero, one) = (T::default(), T::from_f64(1.0));
        for start in strided_rows.starts() {
            let row = start..start + strided_rows.length;
            let pairs = error[row.clone()].iter().zip(&hidden[row.clone()]);
            let all = output[row].iter_mut().zip(pairs);
            match activation {
                ActivationFunction::Relu => all.for_each(|(output, (&error, &h))| *output = if h > zero { scale * error } else { zero }),
                ActivationFunction::Sigmoid => all.for_each(|(output, (&error, &h))| *output = scale * error * (h * (one - h))),
                ActivationFunction::Tanh => all.for_each(|(output, (&error, &h))| *output = scale * error * (one - h * h)),
            }
        }
    }
}

wide! {
    /// The second pass. `z` holds σ(z), and `difference` holds tanh Δ or, for the sigmoid, tanh Δ/2.
    ///
    /// Far from the output, Δ is orders of magnitude smaller than z, and a difference of two σ would be rounding error
    /// in single precision. The code therefore subtracts no nearly equal numbers. By the addition theorem, tanh(z + Δ)
    /// − h = (1 − h²)t / (1 + ht) with h = tanh z and t = tanh Δ. The sigmoid is half of a tanh, at half of z and Δ.
    fn difference_slice<T: Scalar>(
        activation: ActivationFunction,
        z: &[T],
        difference: &mut [T],
        strided_rows: &StridedRows,
    ) {
        let (zero, one, two) = (T::default(), T::from_f64(1.0), T::from_f64(2.0));
        // The quotient may be 0/0 if σ is flat to the last bit; the difference is then 0. NaN stays NaN.
        let quotient = |above: T, below: T| if below == zero { zero } else { above / below };
        for start in strided_rows.starts() {
            let row = start..start + strided_rows.length;
            let pairs = difference[row.clone()].iter_mut().zip(&z[row]);
            match activation {
                ActivationFunction::Relu => pairs.for_each(|(difference, &z)| {
                    let moved = z + *difference;
                    *difference = match (z > zero, moved <= zero) {
                        (true, true) => -z,
                        (true, false) => *difference,
                        (false, true) => zero,
                        (false, false) => moved,
                    };
                }),
                ActivationFunction::Sigmoid => pairs.for_each(|(difference, &h)| {
                    *difference = quotient(two * h * (one - h) * *difference, one + (two * h - one) * *difference);
                }),
                ActivationFunction::Tanh => pairs.for_each(|(difference, &h)| {
                    *difference = quotient((one - h * h) * *difference, one + h * *difference);
                }),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::handles::Matrix;
    use crate::kernels::transfer::copy_from_host;

    fn one<T: Scalar>(value: f64) -> Matrix<T> {
        let mut matrix = Matrix::zeros(1, 1).expect("memory");
        copy_from_host(matrix.buffer_mut().whole_mut(), &[T::from_f64(value)]);
        matrix
    }

    fn value<T: Scalar>(matrix: &Matrix<T>) -> f64 {
        matrix.tensor().double_value(&[0, 0])
    }

    fn change<T: Scalar>(activation: ActivationFunction, z: f64, by: f64) -> f64 {
        let (mut z, mut by) = (one::<T>(z), one::<T>(by));
        activation_difference(activation, z.rows_mut(), by.rows_mut()).expect("an activation");
        value(&by)
    }

    #[test]
    fn a_change_is_the_difference_of_two_activities() {
        for &activation in ActivationFunction::ALL {
            for z in [-3.0, -0.4, 0.0, 0.3, 2.0] {
                for by in [-5.0, -0.7, -0.1, 0.0, 0.2, 0.9, 4.0] {
                    let sigma = |z: f64| {
                        let tensor = Tensor::from_slice(&[z]);
                        activate(activation, &tensor).expect("an activation");
                        tensor.double_value(&[0])
                    };
                    let (found, plain) = (change::<f64>(activation, z, by), sigma(z + by) - sigma(z));
                    assert!((found - plain).abs() < 1e-14, "{activation} from {z} by {by}: {found} {plain}");
                }
            }
        }
    }

    #[test]
    fn a_change_far_below_single_precision_of_the_activity_keeps_its_digits() {
        for &activation in ActivationFunction::ALL {
            for by in [1e-9, -1e-9] {
                let (found, exact) = (change::<f32>(activation, 0.5, by), change::<f64>(activation, 0.5, by));
                assert!((found / exact - 1.0).abs() < 1e-6, "{activation} by {by}: {found} {exact}");
            }
        }
    }

    #[test]
    fn a_flat_activation_changes_by_nothing_and_what_is_no_number_stays_so() {
        assert_eq!(change::<f32>(ActivationFunction::Sigmoid, -200.0, 500.0), 0.0);
        assert_eq!(change::<f32>(ActivationFunction::Tanh, -200.0, 500.0), 0.0);
        for &activation in ActivationFunction::ALL {
            assert!(change::<f32>(activation, 0.5, f64::NAN).is_nan(), "{activation}");
        }
    }

    #[test]
    fn the_derivative_is_the_slope() {
        for &activation in ActivationFunction::ALL {
            for z in [-1.3, -0.2, 0.4, 2.0] {
                let sigma = |z: f64| {
                    let tensor = Tensor::from_slice(&[z]);
                    activate(activation, &tensor).expect("an activation");
                    tensor.double_value(&[0])
                };
                let (mut slope, hidden) = (one::<f64>(1.0), one(sigma(z)));
                activation_backward(activation, 1.0, slope.rows_mut(), hidden.rows());
                let step = 1e-6;
                let (slope, measured) = (value(&slope), (sigma(z + step) - sigma(z - step)) / (2.0 * step));
                assert!((slope - measured).abs() < 1e-8, "{activation} at {z}: {slope} {measured}");
            }
        }
    }
}
