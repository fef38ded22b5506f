//! Feedback alignment (Lillicrap, Cownden, Tweed and Akerman 2014): errors are propagated through fixed random weights.
//!
//! δ_s = σ'(z_s) ⊙ Σ_{l reads s} [δ_l · B_l]_s,  B_l of W_l's shape, drawn once as W_l was

use tch::TchError;

use super::layerwise_feedback::{Feedback, LayerwiseFeedback};
use crate::kernels::scalar::Scalar;
use crate::model::Model;

/// The rule for this model.
pub(super) fn rule<T: Scalar>(model: &Model<T>, batch_size: usize) -> Result<LayerwiseFeedback<T>, TchError> {
    LayerwiseFeedback::new(model, batch_size, Feedback::Fixed)
}
