//! Predictive coding.

use super::{Decoders, Descriptor, Errors, Learned, Networks};

pub(super) const DESCRIPTOR: Descriptor = Descriptor {
    name: "pc",
    title: "Predictive coding",
    citation: "Whittington and Bogacz 2017",
    summary: "states of the hidden layers move until the energy of their prediction errors is low; each layer learns from its own error",
    hyperparameters: &["pc_solver", "inference_steps", "inference_rate"],
    networks: Networks::FullyConnected,
    errors: Errors::Inference,
    decoders: Decoders::None,
    learned: Learned::None,
    diagnostics: &[],
    colour: "#999933",
};
