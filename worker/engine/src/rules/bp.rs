//! Back-propagation (Rumelhart, Hinton and Williams 1986): errors travel back through the transposed forward weights.
//!
//! δ_s = σ'(z_s) ⊙ Σ_{l reads s} [δ_l · W_l]_s

use tch::TchError;

use super::walk::{Feedback, LayerwiseFeedback};
use crate::network::Network;
use crate::scalar::Scalar;

/// The rule for this network.
pub(super) fn rule<T: Scalar>(network: &Network<T>, rows: usize) -> Result<LayerwiseFeedback<T>, TchError> {
    LayerwiseFeedback::new(network, rows, Feedback::Forward)
}
