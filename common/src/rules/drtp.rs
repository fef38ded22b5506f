//! Direct random target projection.

use super::{Decoders, Descriptor, Errors, Learned, Networks};

pub(super) const DESCRIPTOR: Descriptor = Descriptor {
    name: "drtp",
    title: "Direct random target projection",
    citation: "Frenkel et al. 2021",
    summary: "the label goes to every hidden layer directly, through fixed random weights",
    hyperparameters: &["feedback_scale"],
    networks: Networks::All,
    errors: Errors::Direct,
    decoders: Decoders::None,
    learned: Learned::None,
    diagnostics: &[],
    colour: "#7f4f8f",
};
