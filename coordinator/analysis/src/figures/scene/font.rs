//! The bundled font: its characters, their advance widths and their outlines.

use std::ops::Range;
use std::sync::LazyLock;

use skrifa::charmap::Charmap;
use skrifa::instance::{LocationRef, Size};
use skrifa::metrics::GlyphMetrics;
use skrifa::outline::{DrawSettings, OutlineGlyphCollection, OutlinePen};
use skrifa::{FontRef, GlyphId, MetadataProvider as _};

/// Height above the baseline that a line of text takes, in em.
const ASCENT: f64 = 0.78;
/// Depth below the baseline that a line of text takes, in em.
const DESCENT: f64 = 0.22;
/// The least advance width of a character that the font lacks, in em. In SVG another font draws it.
const MISSING_WIDTH: f64 = 1.0;

/// The weight of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weight {
    Regular,
    SemiBold,
}

/// One file of the font.
pub(crate) struct Face {
    charmap: Charmap<'static>,
    metrics: GlyphMetrics<'static>,
    outlines: OutlineGlyphCollection<'static>,
}

/// A character as the font draws it.
pub(crate) struct Glyph {
    pub(crate) id: GlyphId,
    /// The advance width, in em.
    pub(crate) advance: f64,
    /// The bytes of the character in its text.
    pub(crate) bytes: Range<usize>,
}

static REGULAR: LazyLock<Face> = LazyLock::new(|| Face::new(Weight::Regular));
static SEMI_BOLD: LazyLock<Face> = LazyLock::new(|| Face::new(Weight::SemiBold));

impl Weight {
    pub(crate) fn face(self) -> &'static Face {
        match self {
            Self::Regular => &REGULAR,
            Self::SemiBold => &SEMI_BOLD,
        }
    }

    /// The font file.
    pub(crate) const fn file(self) -> &'static [u8] {
        match self {
            Self::Regular => include_bytes!("../../../fonts/Inter-Regular.ttf"),
            Self::SemiBold => include_bytes!("../../../fonts/Inter-SemiBold.ttf"),
        }
    }
}

impl Face {
    fn new(weight: Weight) -> Self {
        let font = FontRef::new(weight.file()).expect("the bundled font is a font");
        let metrics = font.glyph_metrics(Size::new(1.0), LocationRef::default());
        Self { charmap: font.charmap(), metrics, outlines: font.outline_glyphs() }
    }

    /// Whether the font has this character.
    pub(crate) fn has(&self, character: char) -> bool {
        self.charmap.map(character).is_some()
    }

    /// The glyphs of a text. A character that the font lacks is an empty box.
    pub(crate) fn glyphs<'a>(&'a self, text: &'a str) -> impl Iterator<Item = Glyph> + 'a {
        text.char_indices().map(|(start, character)| {
            let bytes = start..start + character.len_utf8();
            match self.charmap.map(character) {
                Some(id) => Glyph { id, advance: self.advance(id), bytes },
                None => Glyph { id: GlyphId::NOTDEF, advance: self.advance(GlyphId::NOTDEF).max(MISSING_WIDTH), bytes },
            }
        })
    }

    /// The width of a text of this size, in the unit of the size.
    pub(crate) fn width(&self, text: &str, size: f64) -> f64 {
        self.glyphs(text).map(|glyph| glyph.advance).sum::<f64>() * size
    }

    /// Draws the outline of a glyph of this size. The baseline is y = 0, and y grows upwards.
    pub(crate) fn draw(&self, id: GlyphId, size: f64, pen: &mut impl OutlinePen) {
        let outline = self.outlines.get(id).expect("a glyph of the font");
        let settings = DrawSettings::unhinted(Size::new(size as f32), LocationRef::default());
        outline.draw(settings, pen).expect("the bundled font has valid outlines");
    }

    fn advance(&self, id: GlyphId) -> f64 {
        self.metrics.advance_width(id).expect("a glyph of the font").into()
    }
}

/// Heights above and below the baseline that a line of text of this size takes.
pub(crate) fn extent(size: f64) -> (f64, f64) {
    (ASCENT * size, DESCENT * size)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: [Weight; 2] = [Weight::Regular, Weight::SemiBold];

    #[test]
    fn the_font_has_the_characters_of_figures() {
        for character in " azAZ09.,%()±–×−σδηµ≤≥→…□éüÆß".chars() {
            assert!(BOTH.iter().all(|weight| weight.face().has(character)), "{character:?}");
        }
    }

    #[test]
    fn digits_have_the_same_width() {
        for face in BOTH.map(Weight::face) {
            assert!((0..10).all(|digit| face.width(&digit.to_string(), 8.0) == face.width("0", 8.0)));
        }
    }

    #[test]
    fn the_width_is_the_sum_of_the_advance_widths() {
        let face = Weight::Regular.face();
        let advance = face.width("W", 1.0);
        // The advance width of `W` in the font file.
        assert!((advance - 2018.0 / 2048.0).abs() < 1e-6, "{}", advance * 2048.0);
        assert!((face.width("WWW", 8.0) - 24.0 * advance).abs() < 1e-6);
        assert!(face.width("iii", 8.0) < 0.5 * face.width("WWW", 8.0));
        assert_eq!(face.width("", 8.0), 0.0);
    }

    #[test]
    fn a_character_that_the_font_lacks_takes_an_em() {
        let face = Weight::Regular.face();
        assert!(!face.has('漢') && face.width("漢", 10.0) >= 10.0);
    }
}
