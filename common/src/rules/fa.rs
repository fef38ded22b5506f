//! Feedback alignment.

use super::{Decoders, Descriptor, Errors, Learned, Networks};
use crate::vocabulary::diagnostics::Measure;

pub(super) const DESCRIPTOR: Descriptor = Descriptor {
    name: "fa",
    title: "Feedback alignment",
    citation: "Lillicrap et al. 2016",
    summary: "errors return through fixed random weights",
    hyperparameters: &["feedback_alignment", "feedback_scale"],
    networks: Networks::All,
    errors: Errors::ThroughLayers,
    decoders: Decoders::None,
    learned: Learned::None,
    diagnostics: &[Measure::FeedbackAngle],
    colour: "#d55e00",
};
