//! Back-propagation.

use super::{Decoders, Descriptor, Errors, Learned, Networks};

pub(super) const DESCRIPTOR: Descriptor = Descriptor {
    name: "bp",
    title: "Back-propagation",
    citation: "Rumelhart, Hinton and Williams 1986",
    summary: "errors return through the transposed forward weights",
    hyperparameters: &[],
    networks: Networks::All,
    errors: Errors::ThroughLayers,
    decoders: Decoders::None,
    learned: Learned::None,
    diagnostics: &[],
    colour: "#0072b2",
};
