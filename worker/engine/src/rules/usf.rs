//! Sign-symmetric feedback of uniform size (Liao, Leibo and Poggio 2016; Moskovitz, Litwin-Kumar and Abbott 2018):
//! errors travel back through the signs of the forward weights.
//!
//! δ_s = σ'(z_s) ⊙ Σ_{l reads s} [δ_l · B_l]_s,  B_l = sign(W_l) / √fan_in

use biosweep_numeric::vector::wide;
use tch::TchError;

use super::walk::{Feedback, LayerwiseFeedback, forms_of_feedback};
use crate::network::Network;
use crate::parameters::Parameters;
use crate::scalar::Scalar;

/// The rule for this network.
pub(super) fn rule<T: Scalar>(network: &Network<T>, rows: usize) -> Result<LayerwiseFeedback<T>, TchError> {
    let signs = Parameters::zeros(1, 2, forms_of_feedback(network))?;
    LayerwiseFeedback::new(network, rows, Feedback::Computed { of_update: signs, compute })
}

fn compute<T: Scalar>(feedback: &mut Parameters<T>, network: &Network<T>, lane: usize) {
    for layer in feedback.layers() {
        let fan_in = network.forward.slot(layer).form.reads.fan_in();
        let size = T::of(1.0 / (fan_in as f64).sqrt());
        signs(feedback.weight_slice_mut(0, layer), network.forward.weight_slice(lane, layer), size);
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
