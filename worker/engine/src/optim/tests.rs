//! Tests of the fused loops against the plain equations.

use super::*;
use crate::kernels::transfer::{copy_from_host, copy_to_host};

fn buffer<T: Scalar>(values: &[T]) -> Buffer<T> {
    let mut buffer = Buffer::zeros(values.len()).expect("memory");
    copy_from_host(buffer.whole_mut(), values);
    buffer
}

fn run(optimizer: Optimizer, config: OptimiserConfig) -> Vec<f64> {
    let mut values = buffer(&[1.0, -2.0, 0.5]);
    let mut optimiser = Optimiser::<f64>::new(OptimiserConfig { optimizer, ..config }, 3).expect("memory");
    for update in 1..=50 {
        let values_now = copy_to_host(values.whole());
        let gradients: Vec<f64> = values_now.iter().map(|w| 2.0 * w + 0.1 * f64::from(update % 3)).collect();
        optimiser.begin();
        optimiser.update(0, values.whole_mut(), buffer(&gradients).whole());
    }
    copy_to_host(values.whole())
}

fn close(left: &[f64], right: &[f64]) -> bool {
    left.iter().zip(right).all(|(a, b)| (a - b).abs() <= 1e-12 * b.abs().max(1.0))
}

/// sgd with a momentum of 0.9, Nesterov's or not, written out.
fn plain_momentum(nesterov: bool) -> [f64; 3] {
    let mut values = [1.0, -2.0, 0.5_f64];
    let mut velocity = [0.0; 3];
    for update in 1..=50 {
        for (w, v) in values.iter_mut().zip(&mut velocity) {
            let gradient = 2.0 * *w + 0.1 * f64::from(update % 3) + 0.01 * *w;
            *v = 0.9 * *v + gradient;
            *w -= 0.05 * if nesterov { gradient + 0.9 * *v } else { *v };
        }
    }
    values
}

#[test]
fn sgd_with_momentum_follows_its_equations() {
    for nesterov in [false, true] {
        let config = OptimiserConfig {
            optimizer: Optimizer::Sgd,
            learning_rate: 0.05,
            weight_decay: 0.01,
            momentum: 0.9,
            nesterov,
        };
        assert!(close(&run(Optimizer::Sgd, config), &plain_momentum(nesterov)), "Nesterov's: {nesterov}");
    }
}

/// Adam with an L2 coefficient, and a decay of the weights beside the gradient, written out.
fn plain_adam(l2: f64, decay: f64) -> [f64; 3] {
    let mut values = [1.0, -2.0, 0.5_f64];
    let (mut mean, mut square) = ([0.0; 3], [0.0; 3]);
    for update in 1..=50 {
        for place in 0..3 {
            let w = values[place];
            let gradient = 2.0 * w + 0.1 * f64::from(update % 3) + l2 * w;
            mean[place] = 0.9 * mean[place] + 0.1 * gradient;
            square[place] = 0.999 * square[place] + 0.001 * gradient * gradient;
            let m = mean[place] / (1.0 - 0.9_f64.powi(update));
            let v = square[place] / (1.0 - 0.999_f64.powi(update));
            values[place] = (1.0 - 0.05 * decay) * w - 0.05 * m / (v.sqrt() + 1e-8);
        }
    }
    values
}

#[test]
fn adam_and_adamw_follow_their_equations() {
    let config = OptimiserConfig {
        optimizer: Optimizer::Sgd,
        learning_rate: 0.05,
        weight_decay: 0.01,
        momentum: 0.0,
        nesterov: false,
    };
    assert!(close(&run(Optimizer::Adam, config), &plain_adam(0.01, 0.0)));
    assert!(close(&run(Optimizer::Adamw, config), &plain_adam(0.0, 0.01)));
}

#[test]
fn sgd_without_momentum_is_momentum_zero() {
    let without = OptimiserConfig {
        optimizer: Optimizer::Sgd,
        learning_rate: 0.05,
        weight_decay: 0.01,
        momentum: 0.0,
        nesterov: false,
    };
    let tiny = OptimiserConfig { momentum: f64::MIN_POSITIVE, ..without };
    assert!(close(&run(Optimizer::Sgd, without), &run(Optimizer::Sgd, tiny)));
}

#[test]
fn padding_that_is_zero_stays_zero() {
    for optimizer in Optimizer::ALL {
        let config = OptimiserConfig {
            optimizer: Optimizer::Sgd,
            learning_rate: 0.05,
            weight_decay: 0.01,
            momentum: 0.9,
            nesterov: false,
        };
        let mut values = buffer(&[0.0_f32; 4]);
        let mut optimiser =
            Optimiser::<f32>::new(OptimiserConfig { optimizer: *optimizer, ..config }, 4).expect("memory");
        optimiser.begin();
        optimiser.update(0, values.whole_mut(), buffer(&[0.0; 4]).whole());
        assert_eq!(copy_to_host(values.whole()), [0.0; 4], "{optimizer}");
    }
}

#[test]
fn rmsprop_follows_its_equations() {
    let config = OptimiserConfig {
        optimizer: Optimizer::Sgd,
        learning_rate: 0.05,
        weight_decay: 0.01,
        momentum: 0.0,
        nesterov: false,
    };
    let mut values = [1.0, -2.0, 0.5_f64];
    let mut square = [0.0; 3];
    for update in 1..=50 {
        for (w, v) in values.iter_mut().zip(&mut square) {
            let gradient = 2.0 * *w + 0.1 * f64::from(update % 3) + 0.01 * *w;
            *v = 0.99 * *v + 0.01 * gradient * gradient;
            *w -= 0.05 * gradient / (f64::sqrt(*v) + 1e-8);
        }
    }
    assert!(close(&run(Optimizer::Rmsprop, config), &values));
}
