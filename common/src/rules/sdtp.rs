//! Simplified difference target propagation.

use super::{Decoders, Descriptor, Errors, Learned, Networks};
use crate::vocabulary::diagnostics::Measure;

pub(super) const DESCRIPTOR: Descriptor = Descriptor {
    name: "sdtp",
    title: "Simplified difference target propagation",
    citation: "Bartunov et al. 2018",
    summary: "targets come from trained decoders, the first ones too: no gradient crosses the output layer",
    hyperparameters: &["target_step", "noise_std", "decoder_learning_rate", "decoder_steps", "decoder_order", "decoder_activation"],
    networks: Networks::All,
    errors: Errors::None,
    decoders: Decoders::OfAllLayers,
    learned: Learned::Decoders,
    diagnostics: &[Measure::ReconstructionError],
    colour: "#56b4e9",
};
