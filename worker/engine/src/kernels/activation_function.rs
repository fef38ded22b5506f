//! ActivationFunction functions: add bias and activate, the backward step, and activation differences.

use biosweep_common::vocabulary::ActivationFunction;
use biosweep_numeric::vector::wide;
use tch::{TchError, Tensor};

use crate::architecture::StridedRows;
use crate::kernels::scalar::Scalar;

/// h = σ(z + b), in place. `values` holds z; `matrix` is a view of the same rows.
///
/// # Errors
/// libtorch reports an error.
pub fn add_bias_and_activate<T: Scalar>(
    activation: ActivationFunction,
    values: &mut [T],
    strided_rows: &StridedRows,
    bias: &[T],
    matrix: &Tensor,
) -> Result<(), TchError> {
    if activation == ActivationFunction::Relu {
        add_bias_and_rectify(values, strided_rows, bias);
        return Ok(());
    }
    add_bias(values, strided_rows, bias);
    activate(activation, matrix)
}

/// h = σ(z), in place.
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
    /// z ← z + b.
    pub fn add_bias<T: Scalar>(values: &mut [T], strided_rows: &StridedRows, bias: &[T]) {
        for start in strided_rows.starts() {
            for position in values[start..start + strided_rows.length].chunks_exact_mut(bias.len()) {
                position.iter_mut().zip(bias).for_each(|(z, &b)| *z += b);
            }
        }
    }
}

wide! {
    fn add_bias_and_rectify<T: Scalar>(values: &mut [T], strided_rows: &StridedRows, bias: &[T]) {
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
    /// error ← scale · error ⊙ σ'(z). The derivative is computed from h = σ(z), which has the same rows as the error.
    pub fn activation_backward<T: Scalar>(
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

/// The first pass of σ(z + Δ) − σ(z): the exponentials, for which libtorch has vector code. `difference` holds Δ. Both
/// tensors then hold the inputs of [`finish_activation_difference`].
pub fn begin_activation_difference(
    activation: ActivationFunction,
    z: &Tensor,
    difference: &Tensor,
) -> Result<(), TchError> {
    match activation {
        ActivationFunction::Relu => return Ok(()),
        ActivationFunction::Sigmoid => drop(difference.f_mul_scalar_out(difference, 0.5)?),
        ActivationFunction::Tanh => {}
    }
    drop(difference.f_tanh_out(difference)?);
    activate(activation, z)
}

wide! {
    /// The second pass: difference ← σ(z + Δ) − σ(z).
    ///
    /// Far from the output, Δ is orders of magnitude smaller than z, and a difference of two σ would be rounding error
    /// in single precision. The code therefore subtracts no nearly equal numbers. By the addition theorem, tanh(z + Δ)
    /// − h = (1 − h²)t / (1 + ht) with h = tanh z and t = tanh Δ. The sigmoid is half of a tanh, at half of z and Δ.
    pub fn finish_activation_difference<T: Scalar>(activation: ActivationFunction, z: &[T], difference: &mut [T]) {
        let (zero, one, two) = (T::default(), T::from_f64(1.0), T::from_f64(2.0));
        // The quotient may be 0/0 if σ is flat to the last bit; the difference is then 0. NaN stays NaN.
        let quotient = |above: T, below: T| if below == zero { zero } else { above / below };
        let pairs = difference.iter_mut().zip(z);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn change<T: Scalar + tch::kind::Element>(activation: ActivationFunction, z: f64, by: f64) -> f64 {
        let (z, by) = (Tensor::from_slice(&[T::from_f64(z)]), Tensor::from_slice(&[T::from_f64(by)]));
        begin_activation_difference(activation, &z, &by).expect("an activation");
        let mut change = [T::from_f64(by.double_value(&[0]))];
        finish_activation_difference(activation, &[T::from_f64(z.double_value(&[0]))], &mut change);
        change[0].to_f64()
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
                let mut slope = [1.0];
                let row = StridedRows { first: 0, outer: (1, 1), inner: (1, 1), length: 1 };
                activation_backward(activation, 1.0, &mut slope, &[sigma(z)], &row);
                let step = 1e-6;
                let measured = (sigma(z + step) - sigma(z - step)) / (2.0 * step);
                assert!((slope[0] - measured).abs() < 1e-8, "{activation} at {z}: {} {measured}", slope[0]);
            }
        }
    }
}
