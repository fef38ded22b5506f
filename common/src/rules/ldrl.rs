//! Difference target propagation whose decoders learn the derivatives of the layers.

use super::{Decoders, Descriptor, Errors, Learned, Networks};
use crate::vocabulary::diagnostics::Measure;

pub(super) const DESCRIPTOR: Descriptor = Descriptor {
    name: "ldrl",
    title: "Local difference reconstruction loss",
    citation: "Ernoult et al. 2022",
    summary: "targets come from decoders of all layers that learn the transposed derivatives of their layers",
    hyperparameters: &["target_step", "noise_std", "decoder_learning_rate", "decoder_steps", "decoder_order"],
    networks: Networks::FullyConnected,
    errors: Errors::None,
    decoders: Decoders::OfAllLayers,
    learned: Learned::DifferenceDecoders,
    diagnostics: &[Measure::DecoderAngle],
    colour: "#332288",
};
