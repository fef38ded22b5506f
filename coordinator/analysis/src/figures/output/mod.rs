//! A finished figure, and its files.
//!
//! | module | contents |
//! |---|---|
//! | `svg` | SVG text |
//! | `png` | images with 300 pixels per inch |
//! | `pdf` | pages with the bundled font |
//! | `size` | the width on paper |

mod pdf;
mod png;
pub(super) mod size;
mod svg;

use std::collections::BTreeSet;

use super::scene::Scene;

/// A finished figure. The same data give the same bytes in every format.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    pub(super) scene: Scene,
}

/// The format of a figure's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Vector graphics for the web. The reader's font draws the text if the reader has no Inter.
    Svg,
    /// An image with 300 pixels per inch.
    Png,
    /// A page of the figure's size, with its font.
    Pdf,
}

/// A figure could not be encoded.
#[derive(Debug, thiserror::Error)]
pub enum FigureError {
    /// An image of this height would not fit into memory.
    #[error("the figure is {inches:.0} in high, which is too much for a PNG image; use SVG or PDF, or fewer panels")]
    TooHigh {
        /// The height in inches.
        inches: f64,
    },
    /// The PNG image could not be encoded.
    #[error("cannot encode the PNG image: {0}; use SVG or PDF")]
    Png(#[from] ::png::EncodingError),
    /// The PDF file could not be encoded.
    #[error("cannot encode the PDF file: {0}; use SVG or PNG")]
    Pdf(String),
}

impl Format {
    /// Every format.
    pub const ALL: &'static [Self] = &[Self::Svg, Self::Png, Self::Pdf];

    /// The ending of a file's name, without the dot.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Svg => "svg",
            Self::Png => "png",
            Self::Pdf => "pdf",
        }
    }
}

impl Figure {
    /// The bytes of a file.
    pub fn encode(&self, format: Format) -> Result<Vec<u8>, FigureError> {
        match format {
            Format::Svg => Ok(self.svg().into_bytes()),
            Format::Png => png::encode(&self.scene),
            Format::Pdf => pdf::encode(&self.scene),
        }
    }

    /// The figure as SVG text.
    #[must_use]
    pub fn svg(&self) -> String {
        svg::encode(&self.scene)
    }

    /// The characters that the bundled font lacks. PNG and PDF files show an empty box for each; in SVG the reader's fonts
    /// draw them.
    #[must_use]
    pub fn missing_characters(&self) -> BTreeSet<char> {
        let missing = |text: &super::scene::Text| {
            let face = text.style.weight.face();
            text.text.chars().filter(|&character| !face.has(character)).collect::<Vec<_>>()
        };
        self.scene.texts().flat_map(missing).collect()
    }
}
