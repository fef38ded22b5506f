//! Local errors: each hidden layer predicts the classes by itself.

use super::{Decoders, Descriptor, Errors, Learned, Networks};

pub(super) const DESCRIPTOR: Descriptor = Descriptor {
    name: "local",
    title: "Local error learning by prediction",
    citation: "Nøkland and Eidnes 2019",
    summary: "every hidden layer predicts the classes through weights of its own and learns from its own error",
    hyperparameters: &[],
    networks: Networks::All,
    errors: Errors::None,
    decoders: Decoders::None,
    learned: Learned::Auxiliary,
    diagnostics: &[],
    colour: "#555555",
};
