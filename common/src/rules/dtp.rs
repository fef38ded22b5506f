//! Difference target propagation.

use super::{Decoders, Descriptor, Errors, Learned, Networks};
use crate::vocabulary::diagnostics::Measure;

pub(super) const DESCRIPTOR: Descriptor = Descriptor {
    name: "dtp",
    title: "Difference target propagation",
    citation: "Lee et al. 2015",
    summary: "targets come from trained decoders; the first targets from the gradient through the output layer",
    hyperparameters: &["target_step", "noise_std", "decoder_learning_rate", "decoder_steps", "decoder_order", "decoder_activation"],
    networks: Networks::All,
    errors: Errors::ThroughOutput,
    decoders: Decoders::OfHiddenLayers,
    learned: Learned::Decoders,
    diagnostics: &[Measure::ReconstructionError],
    colour: "#009e73",
};
