//! AdamW (Loshchilov and Hutter 2019): Adam whose weight decay stays out of the moments.
//!
//! m ← β₁m + (1−β₁)g;  v ← β₂v + (1−β₂)g²;  w ← (1−ηλ)w − η/(1−β₁ᵗ) · m / (√v/√(1−β₂ᵗ) + ε)

use tch::TchError;

use super::OptimiserConfig;
use super::moments::{Decay, Moments};
use crate::kernels::scalar::Scalar;

pub(super) fn optimiser<T: Scalar>(config: OptimiserConfig, length: usize) -> Result<Moments<T>, TchError> {
    Moments::new(
        config.learning_rate,
        Decay { added: 0.0, kept: 1.0 - config.learning_rate * config.weight_decay },
        length,
    )
}
