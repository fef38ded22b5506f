//! Back-propagation (Rumelhart, Hinton and Williams 1986): errors are propagated through the transposed forward weights.
//!
//! δ_s = σ'(z_s) ⊙ Σ_{l reads s} [δ_l · W_l]_s

use tch::TchError;

use super::layerwise_feedback::{Feedback, LayerwiseFeedback};
use crate::kernels::scalar::Scalar;
use crate::model::Model;

/// The rule for this model.
pub(super) fn rule<T: Scalar>(model: &Model<T>, batch_size: usize) -> Result<LayerwiseFeedback<T>, TchError> {
    LayerwiseFeedback::new(model, batch_size, Feedback::Forward)
}
