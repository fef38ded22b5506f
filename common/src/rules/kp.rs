//! Feedback alignment whose feedback learns as the forward weights do.

use super::{Decoders, Descriptor, Errors, Learned, Networks};
use crate::vocabulary::diagnostics::Measure;

pub(super) const DESCRIPTOR: Descriptor = Descriptor {
    name: "kp",
    title: "Kolen-Pollack learning",
    citation: "Kolen and Pollack 1994, Akrout et al. 2019",
    summary: "errors return through feedback weights that learn as the forward weights do",
    hyperparameters: &["feedback_alignment", "feedback_scale"],
    networks: Networks::All,
    errors: Errors::ThroughLayers,
    decoders: Decoders::None,
    learned: Learned::Feedback,
    diagnostics: &[Measure::FeedbackAngle],
    colour: "#a63603",
};
