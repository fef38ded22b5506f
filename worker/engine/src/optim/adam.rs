//! Adam (Kingma and Ba 2015), with bias correction, β = (0.9, 0.999), ε = 1e-8, and L2 added to the gradient.
//!
//! g ← g + λw;  m ← β₁m + (1−β₁)g;  v ← β₂v + (1−β₂)g²;  w ← w − η/(1−β₁ᵗ) · m / (√v/√(1−β₂ᵗ) + ε)

use tch::TchError;

use super::OptimiserConfig;
use super::moments::{Decay, Moments};
use crate::kernels::scalar::Scalar;

pub(super) fn optimiser<T: Scalar>(config: OptimiserConfig, length: usize) -> Result<Moments<T>, TchError> {
    Moments::new(config.learning_rate, Decay { added: config.weight_decay, kept: 1.0 }, length)
}
