//! Direct feedback alignment.

use super::{Decoders, Descriptor, Errors, Learned, Networks};

pub(super) const DESCRIPTOR: Descriptor = Descriptor {
    name: "dfa",
    title: "Direct feedback alignment",
    citation: "Nøkland 2016",
    summary: "the error of the output goes to every layer directly, through fixed random weights",
    hyperparameters: &["feedback_scale"],
    networks: Networks::All,
    errors: Errors::Direct,
    decoders: Decoders::None,
    learned: Learned::None,
    diagnostics: &[],
    colour: "#cc79a7",
};
