//! Sign-symmetric feedback of fixed random size.

use super::{Decoders, Descriptor, Errors, Learned, Networks};
use crate::vocabulary::diagnostics::Measure;

pub(super) const DESCRIPTOR: Descriptor = Descriptor {
    name: "frsf",
    title: "Fixed random-magnitude sign-concordant feedback",
    citation: "Liao et al. 2016, Moskovitz et al. 2018",
    summary: "errors return through |R| ⊙ sign(W), R drawn once",
    hyperparameters: &["feedback_scale"],
    networks: Networks::All,
    errors: Errors::ThroughLayers,
    decoders: Decoders::None,
    learned: Learned::None,
    diagnostics: &[Measure::FeedbackAngle],
    colour: "#8c6d00",
};
