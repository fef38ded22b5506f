//! Results and curves as pictures: SVG text, the same for the same data.
//!
//! | room | holds |
//! |---|---|
//! | [`depth`] | test accuracy against depth |
//! | [`learning`] | validation accuracy against updates |
//! | [`chart`] | what they share: panels, scales, the key |
//! | [`svg`] | lines, dots and words as SVG |

mod chart;
mod depth;
mod learning;
mod svg;

pub(crate) use depth::accuracy_by_depth;
pub(crate) use learning::learning_curves;

use biosweep_common::vocabulary::{Network, Rule};

/// A rule's colour: of Okabe and Ito's palette, whose colours tell apart for the colour-blind too.
const fn colour(rule: Rule) -> &'static str {
    match rule {
        Rule::Bp => "#0072b2",
        Rule::Fa => "#d55e00",
        Rule::Dtp => "#009e73",
    }
}

/// Whether a network's layers read all layers before them: drawn with a solid line and full dots, others with a
/// dashed line and hollow dots.
const fn is_dense(network: Network) -> bool {
    match network {
        Network::Nn => false,
        Network::Dn => true,
    }
}

fn layers(depth: u32) -> String {
    format!("{depth} hidden layer{}", if depth == 1 { "" } else { "s" })
}
