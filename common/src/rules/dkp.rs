//! Direct feedback alignment whose feedback learns.

use super::{Decoders, Descriptor, Errors, Learned, Networks};

pub(super) const DESCRIPTOR: Descriptor = Descriptor {
    name: "dkp",
    title: "Direct Kolen-Pollack learning",
    citation: "Webster et al. 2021",
    summary: "errors go from the output to every hidden layer directly, through feedback weights that learn",
    hyperparameters: &["feedback_scale"],
    networks: Networks::All,
    errors: Errors::Direct,
    decoders: Decoders::None,
    learned: Learned::Feedback,
    diagnostics: &[],
    colour: "#882255",
};
