//! Figures of results and curves: SVG text, the same for the same data.
//!
//! | module | contents |
//! |---|---|
//! | `depth` | test accuracy by depth |
//! | `learning` | validation accuracy by updates |
//! | `chart` | the common parts: panels, scales, the key |
//! | `svg` | lines, dots and text as SVG |

mod chart;
mod depth;
mod learning;
mod svg;

pub use depth::accuracy_by_depth;
pub use learning::learning_curves;

use biosweep_common::vocabulary::Network;

/// The connections of a network, as the style of its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Connectivity {
    /// From the previous layer: dashed, with hollow dots.
    Plain,
    /// From all previous layers: solid, with full dots.
    Dense,
    /// From random previous layers: dotted, with full dots.
    Drawn,
}

impl Connectivity {
    const fn of(network: Network) -> Self {
        match network {
            Network::Nn | Network::Convnet => Self::Plain,
            Network::Dn | Network::DenseConvnet => Self::Dense,
            Network::Lognormal => Self::Drawn,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Dense => "dense",
            Self::Drawn => "drawn",
        }
    }

    /// The lengths of dashes and gaps.
    const fn dashes(self) -> &'static str {
        match self {
            Self::Plain => "6 4",
            Self::Dense => "",
            Self::Drawn => "2 3",
        }
    }

    const fn has_full_dots(self) -> bool {
        matches!(self, Self::Dense | Self::Drawn)
    }
}

fn layers(depth: u32) -> String {
    format!("{depth} hidden layer{}", if depth == 1 { "" } else { "s" })
}
