//! Learning rules: one descriptor each. Vocabulary, spec, documents, costs, diagnostics, benchmarks and figures take what they
//! need from it; the rule itself is one file in `worker/engine/src/rules/`.
//!
//! A new rule is one file here and one line in the list below.

use std::ops::Range;

use crate::vocabulary::diagnostics::Measure;
use crate::vocabulary::{ActivationFunction, Network, named_type};

/// A learning rule, as everything but the engine knows it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Descriptor {
    /// The name in spec files, results and messages.
    pub name: &'static str,
    /// The name in the literature.
    pub title: &'static str,
    /// Authors and year.
    pub citation: &'static str,
    /// How errors or targets reach the hidden layers, in half a sentence.
    pub summary: &'static str,
    /// The settings that this rule uses and not every rule does, by name.
    pub hyperparameters: &'static [&'static str],
    /// The networks that the rule is defined for.
    pub networks: Networks,
    /// The matrix products that carry errors backward.
    pub errors: Errors,
    /// The layers that have decoders.
    pub decoders: Decoders,
    /// The parameters beside the forward weights that learn.
    pub learned: Learned,
    /// The diagnostics that apply to this rule and not to every rule.
    pub diagnostics: &'static [Measure],
    /// The colour in figures: of Okabe and Ito's palette, which the colour-blind can tell apart, too.
    pub colour: &'static str,
}

/// The networks that a rule is defined for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Networks {
    /// All.
    All,
    /// Those without convolutions.
    FullyConnected,
}

/// The matrix products that carry errors backward.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Errors {
    /// One for every layer above the first.
    ThroughLayers,
    /// One, for the output layer.
    ThroughOutput,
    /// One from the output to each hidden layer.
    Direct,
    /// In every step of inference, one for every layer above the first, and one that computes the layer anew.
    Inference,
    /// None.
    None,
}

/// The layers that have decoders. A decoder maps a layer to its hidden sources, or the output to a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decoders {
    /// None.
    None,
    /// The hidden layers above the first.
    OfHiddenLayers,
    /// The hidden layers above the first, and the output layer.
    OfAllLayers,
    /// The hidden layers; each decoder maps the output to its layer.
    FromOutput,
}

/// The parameters beside the forward weights that learn, and the matrix products of that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Learned {
    /// None.
    None,
    /// The decoders: three products each. The layer is computed from noisy sources, the decoder is used, its gradient is computed.
    Decoders,
    /// The decoders: four products each. The layer is computed from noisy sources, the decoder is used, its gradient has two
    /// parts.
    DifferenceDecoders,
    /// The decoders from the output: noise of each hidden layer is carried through all later layers; then two products each.
    OutputDecoders,
    /// The feedback weights. Between layers their gradient is that of the forward weights and costs no product; from the output
    /// to each hidden layer it is one product.
    Feedback,
    /// A classifier of each hidden layer: three products each, forward, backward and of the gradient.
    Auxiliary,
}

impl Errors {
    /// Whether a product carries errors from this layer to the layers that it reads, in a network with that output layer.
    #[must_use]
    pub fn leave(self, layer: usize, output: usize) -> bool {
        match self {
            Self::ThroughLayers => layer > 1,
            Self::ThroughOutput => layer == output,
            Self::Direct | Self::Inference | Self::None => false,
        }
    }
}

impl Decoders {
    /// The layers with decoders, in a network with that output layer.
    #[must_use]
    pub fn layers(self, output: usize) -> Range<usize> {
        match self {
            Self::None => 2..2,
            Self::OfHiddenLayers => 2..output,
            Self::OfAllLayers => 2..output + 1,
            Self::FromOutput => 1..output,
        }
    }
}

macro_rules! rules {
    ($($variant:ident = $module:ident;)+) => {
        $(mod $module;)+

        /// A learning rule: what replaces the gradient.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule {
            $(#[doc = concat!("The rule of `rules/", stringify!($module), ".rs`.")] $variant,)+
        }

        impl Rule {
            /// Every rule, in the order of tables.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// Every name, in the same order.
            pub const NAMES: &'static [&'static str] = &[$($module::DESCRIPTOR.name),+];

            /// What is known of the rule.
            #[must_use]
            pub const fn descriptor(self) -> &'static Descriptor {
                match self { $(Self::$variant => &$module::DESCRIPTOR,)+ }
            }
        }
    };
}

rules! {
    Bp = bp;
    Fa = fa;
    Dfa = dfa;
    Usf = usf;
    Frsf = frsf;
    Dtp = dtp;
    Sdtp = sdtp;
    Brsf = brsf;
    Drtp = drtp;
    Kp = kp;
    Dkp = dkp;
    Fwdtp = fwdtp;
    Local = local;
    Ddtp = ddtp;
    Ldrl = ldrl;
    Pc = pc;
}

named_type!(Rule, "rule");

impl Rule {
    /// The name in spec files, results and messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.descriptor().name
    }

    /// Whether the rule is defined for a network.
    #[must_use]
    pub const fn trains(self, network: Network) -> bool {
        match self.descriptor().networks {
            Networks::All => true,
            Networks::FullyConnected => !network.is_convolutional(),
        }
    }

    /// Whether the rule has decoders.
    #[must_use]
    pub fn has_decoders(self) -> bool {
        self.descriptor().decoders != Decoders::None
    }

    /// Whether a measure says anything about a network that learns by this rule with this activation function.
    #[must_use]
    pub fn has_diagnostic(self, measure: Measure, activation: ActivationFunction) -> bool {
        match measure {
            Measure::UpdateAngle | Measure::WeightNorm | Measure::UpdateNorm => true,
            Measure::FeedbackAngle | Measure::ReconstructionError | Measure::DecoderAngle => {
                self.descriptor().diagnostics.contains(&measure)
            }
            Measure::DeadUnits => activation == ActivationFunction::Relu,
            Measure::SaturatedUnits => matches!(activation, ActivationFunction::Sigmoid | ActivationFunction::Tanh),
        }
    }
}

/// The rules of which something holds, in words.
#[must_use]
pub fn in_words(holds: impl Fn(&Descriptor) -> bool) -> String {
    let names: Vec<&str> =
        Rule::ALL.iter().map(|rule| rule.descriptor()).filter(|one| holds(one)).map(|one| one.name).collect();
    format!("the rule{} {}", if names.len() == 1 { "" } else { "s" }, names.join(", "))
}

/// What a measure applies to, in words.
#[must_use]
pub fn measured_in_words(measure: Measure) -> String {
    match measure {
        Measure::UpdateAngle | Measure::WeightNorm | Measure::UpdateNorm => "all rules".to_owned(),
        Measure::FeedbackAngle | Measure::ReconstructionError | Measure::DecoderAngle => {
            in_words(|rule| rule.diagnostics.contains(&measure))
        }
        Measure::DeadUnits => "the activation relu".to_owned(),
        Measure::SaturatedUnits => "the activations sigmoid, tanh".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_rules_share_a_name_a_title_or_a_colour() {
        for of in [|rule: &Descriptor| rule.name, |rule: &Descriptor| rule.title, |rule: &Descriptor| rule.colour] {
            let distinct: BTreeSet<&str> = Rule::ALL.iter().map(|rule| of(rule.descriptor())).collect();
            assert_eq!(distinct.len(), Rule::ALL.len());
        }
    }

    #[test]
    fn what_applies_to_some_rules_names_them() {
        assert_eq!(in_words(|rule| rule.decoders != Decoders::None), "the rules dtp, sdtp, fwdtp, ddtp, ldrl");
        assert_eq!(in_words(|rule| rule.errors == Errors::Direct), "the rules dfa, drtp, dkp");
    }
}
