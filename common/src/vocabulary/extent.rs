//! The size of a layer or an image.

/// The size of a layer. A fully connected layer has one position, and one channel per unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Extent {
    /// Number of channels at each position.
    pub channels: usize,
    /// Rows of positions.
    pub height: usize,
    /// Columns of positions.
    pub width: usize,
}

impl Extent {
    /// A layer without resolution: one position.
    #[must_use]
    pub const fn flat(units: usize) -> Self {
        Self { channels: units, height: 1, width: 1 }
    }

    /// Number of positions.
    #[must_use]
    pub const fn positions(self) -> usize {
        self.height * self.width
    }

    /// Number of units: channels times positions.
    #[must_use]
    pub const fn units(self) -> usize {
        self.channels * self.positions()
    }
}
