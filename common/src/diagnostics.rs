//! The diagnostics of learning: what is measured of each layer where a network is evaluated, if a sweep asks for it.

use crate::vocabulary::names;

names! {
    /// Something to be measured of each layer.
    Measure("measure") {
        /// The angle in degrees between what the rule changes a layer's weights by and the gradient of the loss
        /// (Lillicrap et al. 2016): below 90, the change lowers the loss.
        UpdateAngle = "update_angle",
        /// The angle in degrees between what a layer's errors travel back through and its transposed forward weights
        /// (Lillicrap et al. 2016), for rules with feedback of W's shape.
        FeedbackAngle = "feedback_angle",
        /// Mean squared error of a layer's decoder on its noisy sources, per unit, for rules with decoders.
        ReconstructionError = "reconstruction_error",
        /// The Euclidean norm of a layer's weights.
        WeightNorm = "weight_norm",
        /// The Euclidean norm of what the rule would change a layer's weights by, at a step size of 1.
        UpdateNorm = "update_norm",
        /// The fraction of a hidden layer's units that are zero (relu) for every image of a batch.
        DeadUnits = "dead_units",
        /// The fraction of a hidden layer's activities with a slope below a hundredth of the steepest (sigmoid, tanh).
        SaturatedUnits = "saturated_units",
    }
}

/// One measure of one layer at one evaluation.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct DiagnosticPoint {
    /// Updates done before.
    pub update: u64,
    /// The layer: 1 to L are hidden, L+1 is the output.
    pub layer: u32,
    /// What was measured.
    pub measure: Measure,
    /// What was found.
    pub value: f64,
}
