//! Direct difference target propagation: decoders from the output to every hidden layer.

use super::{Decoders, Descriptor, Errors, Learned, Networks};
use crate::vocabulary::diagnostics::Measure;

pub(super) const DESCRIPTOR: Descriptor = Descriptor {
    name: "ddtp",
    title: "Direct difference target propagation",
    citation: "Meulemans et al. 2020",
    summary: "targets come from the error of the output directly, through linear decoders that learn to undo noise",
    hyperparameters: &["target_step", "noise_std", "decoder_learning_rate", "decoder_steps", "decoder_order"],
    networks: Networks::FullyConnected,
    errors: Errors::None,
    decoders: Decoders::FromOutput,
    learned: Learned::OutputDecoders,
    diagnostics: &[Measure::DecoderAngle],
    colour: "#44aa99",
};
