//! Target propagation with decoders that never learn.

use super::{Decoders, Descriptor, Errors, Learned, Networks};

pub(super) const DESCRIPTOR: Descriptor = Descriptor {
    name: "fwdtp",
    title: "Fixed-weight difference target propagation",
    citation: "Shibuya et al. 2023",
    summary: "targets come from decoders that are drawn and never learn; the first targets from the gradient through the output layer",
    hyperparameters: &["target_step", "decoder_activation"],
    networks: Networks::All,
    errors: Errors::ThroughOutput,
    decoders: Decoders::OfHiddenLayers,
    learned: Learned::None,
    diagnostics: &[],
    colour: "#117733",
};
