//! σ and what its derivative makes of an error.

use biosweep_common::vocabulary::Activation;
use tch::{TchError, Tensor};

use crate::scalar::Scalar;

/// h = σ(z), in place.
pub fn activate(activation: Activation, z: &Tensor) -> Result<(), TchError> {
    match activation {
        Activation::Relu => z.f_relu_out(z),
        Activation::Sigmoid => z.f_sigmoid_out(z),
        Activation::Tanh => z.f_tanh_out(z),
    }
    .map(drop)
}

/// error ⊙ σ'(z), in place, for rows of `stride` numbers; σ' is told from h = σ(z).
pub fn times_derivative<T: Scalar>(activation: Activation, error: &mut [T], hidden: &[T]) {
    let one = T::of(1.0);
    let pairs = error.iter_mut().zip(hidden);
    match activation {
        Activation::Relu => pairs.for_each(|(error, &h)| *error = if h > T::default() { *error } else { T::default() }),
        Activation::Sigmoid => pairs.for_each(|(error, &h)| *error = *error * (h * (one - h))),
        Activation::Tanh => pairs.for_each(|(error, &h)| *error = *error * (one - h * h)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_derivative_is_the_slope() {
        for &activation in Activation::ALL {
            for z in [-1.3, -0.2, 0.4, 2.0] {
                let sigma = |z: f64| {
                    let tensor = Tensor::from_slice(&[z]);
                    activate(activation, &tensor).expect("an activation");
                    tensor.double_value(&[0])
                };
                let mut slope = [1.0];
                times_derivative(activation, &mut slope, &[sigma(z)]);
                let step = 1e-6;
                let measured = (sigma(z + step) - sigma(z - step)) / (2.0 * step);
                assert!((slope[0] - measured).abs() < 1e-8, "{activation} at {z}: {} {measured}", slope[0]);
            }
        }
    }
}
