//! Sign-symmetric feedback of random size, drawn anew at every update.

use super::{Decoders, Descriptor, Errors, Learned, Networks};
use crate::vocabulary::diagnostics::Measure;

pub(super) const DESCRIPTOR: Descriptor = Descriptor {
    name: "brsf",
    title: "Batchwise random-magnitude sign-concordant feedback",
    citation: "Liao et al. 2016, Moskovitz et al. 2018",
    summary: "errors return through |R| ⊙ sign(W), R drawn anew at every update",
    hyperparameters: &[],
    networks: Networks::All,
    errors: Errors::ThroughLayers,
    decoders: Decoders::None,
    learned: Learned::None,
    diagnostics: &[Measure::FeedbackAngle],
    colour: "#b8a12b",
};
