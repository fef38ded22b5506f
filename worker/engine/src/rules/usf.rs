//! Sign-symmetric feedback of uniform size (Liao, Leibo and Poggio 2016; Moskovitz, Litwin-Kumar and Abbott 2018):
//! errors are propagated through the signs of the forward weights.
//!
//! δ_s = σ'(z_s) ⊙ Σ_{l reads s} [δ_l · B_l]_s,  B_l = sign(W_l) / √fan_in

use biosweep_numeric::vector::wide;
use tch::TchError;

use super::layerwise_feedback::{Feedback, LayerwiseFeedback, feedback_specs};
use crate::kernels::scalar::Scalar;
use crate::model::Model;
use crate::model::parameters::Parameters;

/// The rule for this model.
pub(super) fn rule<T: Scalar>(model: &Model<T>, batch_size: usize) -> Result<LayerwiseFeedback<T>, TchError> {
    let signs = Parameters::zeros(1, 2, feedback_specs(model))?;
    LayerwiseFeedback::new(model, batch_size, Feedback::Computed { weights: signs, compute })
}

fn compute<T: Scalar>(feedback: &mut Parameters<T>, model: &Model<T>, lane: usize) {
    for layer in feedback.layers() {
        let fan_in = model.forward.parameter_range(layer).spec.inputs.fan_in();
        let size = T::from_f64(1.0 / (fan_in as f64).sqrt());
        signs(feedback.raw_weight_mut(0, layer), model.forward.raw_weight(lane, layer), size);
    }
}

wide! {
    fn signs<T: Scalar>(feedback: &mut [T], weights: &[T], size: T) {
        let zero = T::default();
        for (feedback, &weight) in feedback.iter_mut().zip(weights) {
            *feedback = if weight > zero { size } else if weight < zero { -size } else { zero };
        }
    }
}
