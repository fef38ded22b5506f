//! Diagnostics: values measured for each layer at evaluations, if the spec asks for them.

use crate::vocabulary::names;

names! {
    /// A value that is measured for each layer.
    Measure("measure") {
        /// The angle in degrees between the negative weight change of the rule and the gradient of the loss (Lillicrap
        /// et al. 2016). Below 90, the change lowers the loss.
        UpdateAngle = "update_angle",
        /// The angle in degrees between a layer's feedback weights and its transposed forward weights (Lillicrap et al.
        /// 2016), for rules with feedback of W's shape.
        FeedbackAngle = "feedback_angle",
        /// Mean squared error of a layer's decoder on its noisy sources, per unit, for rules with decoders.
        ReconstructionError = "reconstruction_error",
        /// The angle in degrees between the derivatives of a decoder and the transposed derivatives of what it inverts, over the
        /// images of a batch (Ernoult et al. 2022, Meulemans et al. 2020), for rules whose decoders learn them.
        DecoderAngle = "decoder_angle",
        /// The Euclidean norm of a layer's weights.
        WeightNorm = "weight_norm",
        /// The Euclidean norm of a layer's weight change by the rule, at a step size of 1.
        UpdateNorm = "update_norm",
        /// The fraction of a hidden layer's units that are zero (relu) for every image of a batch.
        DeadUnits = "dead_units",
        /// The fraction of a hidden layer's activations where the slope is below a hundredth of the maximum (sigmoid,
        /// tanh).
        SaturatedUnits = "saturated_units",
    }
}

/// One measure of one layer at one evaluation.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct DiagnosticPoint {
    /// Updates done before this evaluation.
    pub update: u64,
    /// The layer: 1 to L are hidden, L+1 is the output.
    pub layer: u32,
    /// The measure.
    pub measure: Measure,
    /// The measured value.
    pub value: f64,
}
