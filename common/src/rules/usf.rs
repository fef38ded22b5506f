//! Sign-symmetric feedback of uniform size.

use super::{Decoders, Descriptor, Errors, Learned, Networks};
use crate::vocabulary::diagnostics::Measure;

pub(super) const DESCRIPTOR: Descriptor = Descriptor {
    name: "usf",
    title: "Uniform sign-concordant feedback",
    citation: "Liao et al. 2016, Moskovitz et al. 2018",
    summary: "errors return through the signs of the forward weights, sign(W)/√fan_in",
    hyperparameters: &[],
    networks: Networks::All,
    errors: Errors::ThroughLayers,
    decoders: Decoders::None,
    learned: Learned::None,
    diagnostics: &[Measure::FeedbackAngle],
    colour: "#e69f00",
};
