//! Sign-symmetric feedback of fixed random size (Liao, Leibo and Poggio 2016; Moskovitz, Litwin-Kumar and Abbott 2018):
//! errors are propagated through weights with the signs of the forward weights and with sizes drawn once.
//!
//! δ_s = σ'(z_s) ⊙ Σ_{l reads s} [δ_l · B_l]_s,  B_l = |R_l| ⊙ sign(W_l),  R_l of W_l's shape, drawn once as W_l was

use biosweep_numeric::vector::wide;
use tch::TchError;

use super::layerwise_feedback::{Feedback, LayerwiseFeedback, feedback_specs};
use crate::kernels::scalar::Scalar;
use crate::model::Model;
use crate::model::parameters::Parameters;

/// The rule for this model.
pub(super) fn rule<T: Scalar>(model: &Model<T>, batch_size: usize) -> Result<LayerwiseFeedback<T>, TchError> {
    let weights = Parameters::zeros(1, 2, feedback_specs(model))?;
    LayerwiseFeedback::new(model, batch_size, Feedback::Computed { weights, compute })
}

fn compute<T: Scalar>(feedback: &mut Parameters<T>, model: &Model<T>, lane: usize) {
    let fixed = model.feedback.as_ref().expect("a network for this rule has fixed random sizes");
    for layer in feedback.layers() {
        let weights = model.forward.raw_weight(lane, layer);
        with_signs(feedback.raw_weight_mut(0, layer), fixed.raw_weight(lane, layer), weights);
    }
}

wide! {
    fn with_signs<T: Scalar>(feedback: &mut [T], sizes: &[T], weights: &[T]) {
        let zero = T::default();
        for ((feedback, &size), &weight) in feedback.iter_mut().zip(sizes).zip(weights) {
            let size = if size < zero { -size } else { size };
            *feedback = if weight > zero { size } else if weight < zero { -size } else { zero };
        }
    }
}
