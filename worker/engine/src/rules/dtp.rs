//! Difference target propagation (Lee, Zhang, Fischer and Bengio 2015): targets from trained decoders. The first
//! targets come from the gradient through the output layer.
//!
//! T_l = h_l + Σ_{j ≤ L, l ∈ S(j)} [g_j(T_j) − g_j(h_j)]_l − η ∂(per-sample loss)/∂h_l through the output layer

use tch::TchError;

use super::target_propagation::{FirstTargets, TargetPropagation};
use crate::kernels::scalar::Scalar;
use crate::model::Model;

/// The rule for this model.
pub(super) fn rule<T: Scalar>(model: &Model<T>, batch_size: usize) -> Result<TargetPropagation<T>, TchError> {
    TargetPropagation::new(model, batch_size, FirstTargets::Gradient)
}
