//! Sign-symmetric feedback of fixed random size (Liao, Leibo and Poggio 2016; Moskovitz, Litwin-Kumar and Abbott 2018):
//! errors travel back through weights of the forward weights' signs and of sizes drawn once.
//!
//! δ_s = σ'(z_s) ⊙ Σ_{l reads s} [δ_l · B_l]_s,  B_l = |R_l| ⊙ sign(W_l),  R_l of W_l's shape, drawn once as W_l was

use biosweep_numeric::vector::wide;
use tch::TchError;

use super::walk::{Feedback, LayerwiseFeedback, forms_of_feedback};
use crate::network::Network;
use crate::parameters::Parameters;
use crate::scalar::Scalar;

/// The rule for this network.
pub(super) fn rule<T: Scalar>(network: &Network<T>, rows: usize) -> Result<LayerwiseFeedback<T>, TchError> {
    let of_update = Parameters::zeros(1, 2, forms_of_feedback(network))?;
    LayerwiseFeedback::new(network, rows, Feedback::Computed { of_update, compute })
}

fn compute<T: Scalar>(feedback: &mut Parameters<T>, network: &Network<T>, lane: usize) {
    let fixed = network.feedback.as_ref().expect("a network for this rule has fixed random sizes");
    for layer in feedback.layers() {
        let weights = network.forward.weight_slice(lane, layer);
        with_signs(feedback.weight_slice_mut(0, layer), fixed.weight_slice(lane, layer), weights);
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
