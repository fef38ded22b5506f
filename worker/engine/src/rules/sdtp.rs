//! Simplified difference target propagation (Bartunov, Santoro, Richards, Marris, Hinton and Lillicrap 2018): the
//! output layer has a decoder too. No gradient crosses any layer.
//!
//! T_l = h_l + Σ_{j, l ∈ S(j)} [g_j(T_j) − g_j(h_j)]_l,  where T_{L+1} = onehot(y) and h_{L+1} = softmax(z_{L+1})

use tch::TchError;

use super::target_propagation::{FirstTargets, TargetPropagation};
use crate::kernels::scalar::Scalar;
use crate::model::Model;

/// The rule for this model.
pub(super) fn rule<T: Scalar>(model: &Model<T>, batch_size: usize) -> Result<TargetPropagation<T>, TchError> {
    TargetPropagation::new(model, batch_size, FirstTargets::Decoder)
}
