//! The layout of images in memory: padded positions, and the rows of a layer in a buffer.

use std::ops::Range;

use biosweep_common::vocabulary::extent::Extent;

/// The layout of images in a matrix [positions, channels].
///
/// A convolutional layer has zero padding: one position after each row of an image, one row of positions after each
/// image, and some positions before the first image and after the last. The neighbours of a position are therefore at
/// fixed distances from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaddedImageLayout {
    /// Rows of an image, in positions.
    pub height: usize,
    /// Columns of an image, in positions.
    pub width: usize,
    /// Positions from one row to the next.
    pub row_stride: usize,
    /// Positions from one image to the next.
    pub image_stride: usize,
    /// Positions of padding before the first image, and after the last.
    pub padding: usize,
}

impl PaddedImageLayout {
    pub(super) fn new(extent: Extent, is_padded: bool) -> Self {
        let gap = usize::from(is_padded);
        let (height, width) = (extent.height, extent.width);
        let row_stride = width + gap;
        let image_stride = (height + gap) * row_stride;
        Self { height, width, row_stride, image_stride, padding: gap * (row_stride + 1) }
    }

    /// Whether the layout has padding.
    #[must_use]
    pub fn is_padded(self) -> bool {
        self.padding > 0
    }

    /// Positions of `images` images, the padding between them included.
    #[must_use]
    pub fn positions(self, images: usize) -> usize {
        images * self.image_stride
    }

    /// Positions of `images` images, all padding included.
    #[must_use]
    pub fn allocated(self, images: usize) -> usize {
        2 * self.padding + self.positions(images)
    }

    /// The first position of a row of an image.
    #[must_use]
    pub fn row(self, image: usize, row: usize) -> usize {
        self.padding + image * self.image_stride + row * self.row_stride
    }
}

/// The rows of a layer in a slice: rows of equal length at equal distances, in two levels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StridedRows {
    /// The index of the first value of the first row.
    pub first: usize,
    /// The number of groups of rows (one per image), and the values from one group to the next.
    pub outer: (usize, usize),
    /// The number of rows in a group, and the values from one row to the next.
    pub inner: (usize, usize),
    /// Values in a row.
    pub length: usize,
}

impl StridedRows {
    /// The rows of `images` images, for the range `columns` of a matrix with this row stride.
    ///
    /// # Panics
    /// A padded layout does not own all columns of its matrix.
    #[must_use]
    pub fn new(layout: PaddedImageLayout, images: usize, columns: Range<usize>, stride: usize) -> Self {
        let first = layout.padding * stride + columns.start;
        let outer = (images, layout.image_stride * stride);
        if layout.is_padded() {
            assert_eq!(columns.len(), stride, "a padded layout owns its matrix");
            let inner = (layout.height, layout.row_stride * stride);
            return Self { first, outer, inner, length: layout.width * stride };
        }
        Self { first, outer, inner: (1, 0), length: columns.len() }
    }

    /// The index of the first value of each row.
    pub fn starts(&self) -> impl Iterator<Item = usize> + use<> {
        let Self { first, outer, inner, .. } = *self;
        (0..outer.0).flat_map(move |group| {
            let start = first + group * outer.1;
            (0..inner.0).map(move |row| start + row * inner.1)
        })
    }
}
