//! Which layer reads what, how large each layer is, and where its numbers lie.
//!
//! All that differs between the two kinds of layers stands here and in [`crate::activities`]. The numbers of a layer
//! form a matrix [positions, channels]. A fully connected layer has one position an image. A convolutional layer has
//! height × width of them, framed by zeros: each row of an image is followed by one zero position, each image by one
//! row of zeros, and some zeros lie before the first and after the last. So the neighbours of a position lie at fixed
//! distances from it, whatever the position, and a 3×3 convolution is three products with the same matrix of unfolded
//! rows, shifted by one row of positions each.

use std::ops::Range;

use biosweep_common::configuration::Shape;
use biosweep_common::extents::{Extent, TooSmall, extents};
use biosweep_common::topology::Topology;

/// Rows and columns of a kernel.
pub const TAPS: usize = 3;

/// Which layer reads what, and how large each is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wiring {
    /// Layer → sources.
    pub topology: Topology,
    is_convolutional: bool,
    /// Of the input, of each hidden layer, and of the output.
    extents: Vec<Extent>,
}

/// The sources of a layer that lie side by side in what it reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The layers, ascending: the input alone, or hidden layers.
    pub sources: Vec<usize>,
    /// The first of their channels among all that the layer reads.
    pub first_channel: usize,
}

/// What a weight matrix reads, in the order of its rows: blocks of channels, each seen through a kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reads {
    /// Channels of each block.
    pub blocks: Vec<usize>,
    /// Rows and columns of the kernel: 3, or 1.
    pub taps: usize,
}

impl Wiring {
    /// A topology with layers of these extents: of the input, each hidden layer and the output.
    ///
    /// # Panics
    /// Where there are not as many extents as layers.
    #[must_use]
    pub fn new(topology: Topology, is_convolutional: bool, extents: Vec<Extent>) -> Self {
        assert_eq!(extents.len(), topology.output() + 1, "an extent for each layer");
        Self { topology, is_convolutional, extents }
    }

    /// The wiring of a shape on such images.
    ///
    /// # Errors
    /// Images too small for the halvings of a convolutional network.
    pub fn of(shape: &Shape, image: Extent, classes: usize) -> Result<Self, TooSmall> {
        let topology = Topology::new(shape.network, shape.depth as usize, &shape.skip);
        Ok(Self::new(topology, shape.network.is_convolutional(), extents(shape, image, classes)?))
    }

    /// Whether the hidden layers are convolutions.
    #[must_use]
    pub fn is_convolutional(&self) -> bool {
        self.is_convolutional
    }

    /// The extent of a layer, 0 to L+1.
    #[must_use]
    pub fn extent(&self, layer: usize) -> Extent {
        self.extents[layer]
    }

    /// Channels of a layer; units, where it is fully connected.
    #[must_use]
    pub fn channels(&self, layer: usize) -> usize {
        self.extents[layer].channels
    }

    /// The output layer's units.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.channels(self.topology.output())
    }

    /// Where the positions of a layer, or of what it reads, lie.
    #[must_use]
    pub fn frame(&self, layer: usize) -> Frame {
        Frame::new(self.extents[layer], self.is_convolutional && layer != self.topology.output())
    }

    /// The hidden sources of a layer.
    #[must_use]
    pub fn hidden_sources(&self, layer: usize) -> &[usize] {
        let sources = self.topology.sources(layer);
        &sources[usize::from(sources[0] == 0)..]
    }

    /// Channels of the hidden sources of a layer.
    #[must_use]
    pub fn hidden_channels(&self, layer: usize) -> usize {
        self.hidden_sources(layer).iter().map(|&source| self.channels(source)).sum()
    }

    /// The kernel's rows and columns through which a layer reads.
    #[must_use]
    pub fn taps(&self, layer: usize) -> usize {
        if self.is_convolutional && layer != self.topology.output() { TAPS } else { 1 }
    }

    /// What a layer's weights read.
    #[must_use]
    pub fn reads(&self, layer: usize) -> Reads {
        let sources = self.topology.sources(layer).iter();
        Reads { blocks: sources.map(|&source| self.channels(source)).collect(), taps: self.taps(layer) }
    }

    /// The sources of a layer in groups that lie side by side: hidden layers without a gap between them, or the input.
    #[must_use]
    pub fn groups(&self, layer: usize) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        let mut channel = 0;
        for &source in self.topology.sources(layer) {
            match groups.last_mut() {
                Some(group) if group.sources.last().is_some_and(|&last| last > 0 && last + 1 == source) => {
                    group.sources.push(source);
                }
                _ => groups.push(Group { sources: vec![source], first_channel: channel }),
            }
            channel += self.channels(source);
        }
        groups
    }
}

impl Reads {
    /// One block of channels.
    #[must_use]
    pub fn block(channels: usize, taps: usize) -> Self {
        Self { blocks: vec![channels], taps }
    }

    /// Channels of all blocks.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.blocks.iter().sum()
    }

    /// Numbers that one unit reads.
    #[must_use]
    pub fn fan_in(&self) -> usize {
        self.channels() * self.taps * self.taps
    }

    /// The row of a weight matrix for a channel at a place of the kernel. Rows are ordered by the kernel's row, then by
    /// block, then by the kernel's column, then by channel: so the blocks of a dense network, seen through one row of
    /// the kernel, lie side by side as they do in the unfolded activities.
    #[must_use]
    pub fn row(&self, channel: usize, kernel_row: usize, kernel_column: usize) -> usize {
        let mut before = 0;
        for &block in &self.blocks {
            if channel < before + block {
                let in_block = self.taps * before + kernel_column * block + channel - before;
                return kernel_row * self.taps * self.channels() + in_block;
            }
            before += block;
        }
        panic!("channel {channel} of {before}")
    }
}

/// Where the positions of images lie in a matrix of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Rows of positions of an image.
    pub height: usize,
    /// Columns of positions of an image.
    pub width: usize,
    /// Positions from a row to the next.
    pub pitch: usize,
    /// Positions from an image to the next.
    pub image: usize,
    /// Positions before the first image, and after the last.
    pub guard: usize,
}

impl Frame {
    fn new(extent: Extent, framed: bool) -> Self {
        let frame = usize::from(framed);
        let (height, width) = (extent.height, extent.width);
        let pitch = width + frame;
        Self { height, width, pitch, image: (height + frame) * pitch, guard: frame * (pitch + 1) }
    }

    /// Whether positions of zeros lie between those of images.
    #[must_use]
    pub fn is_framed(self) -> bool {
        self.guard > 0
    }

    /// Positions of so many images, zeros between them included.
    #[must_use]
    pub fn positions(self, images: usize) -> usize {
        images * self.image
    }

    /// All positions of so many images, those before the first and after the last included.
    #[must_use]
    pub fn allocated(self, images: usize) -> usize {
        2 * self.guard + self.positions(images)
    }

    /// The first position of a row of an image.
    #[must_use]
    pub fn row(self, image: usize, row: usize) -> usize {
        self.guard + image * self.image + row * self.pitch
    }
}

/// Where the numbers of a layer lie in a slice: lines of equal length at equal distances, in two levels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lines {
    /// The first number of the first line.
    pub first: usize,
    /// How many groups of lines, and the numbers from one to the next.
    pub outer: (usize, usize),
    /// How many lines in a group, and the numbers from one to the next.
    pub inner: (usize, usize),
    /// Numbers of a line.
    pub length: usize,
}

impl Lines {
    /// The lines of so many images in a frame, of columns `columns` of a matrix whose rows are `stride` apart.
    #[must_use]
    pub fn new(frame: Frame, images: usize, columns: Range<usize>, stride: usize) -> Self {
        let first = frame.guard * stride + columns.start;
        let (count, step) = (frame.height, frame.pitch * stride);
        let outer = (images, frame.image * stride);
        if frame.is_framed() {
            assert_eq!(columns.len(), stride, "framed positions have a matrix of their own");
            return Self { first, outer, inner: (count, step), length: frame.width * stride };
        }
        Self { first, outer, inner: (1, 0), length: columns.len() }
    }

    /// Where each line begins.
    pub fn starts(&self) -> impl Iterator<Item = usize> + use<> {
        let Self { first, outer, inner, .. } = *self;
        (0..outer.0).flat_map(move |place| {
            let start = first + place * outer.1;
            (0..inner.0).map(move |line| start + line * inner.1)
        })
    }
}

#[cfg(test)]
mod tests {
    use biosweep_common::configuration::{Convolution, Skip};
    use biosweep_common::vocabulary::Network;

    use super::*;

    #[test]
    fn neighbouring_hidden_sources_form_a_group_and_the_input_one_of_its_own() {
        let skip = Skip { input: true, ..Skip::default() };
        let extents = [5, 3, 4, 6, 2].map(Extent::flat).to_vec();
        let wiring = Wiring::new(Topology::new(Network::Dn, 3, &skip), false, extents);
        let groups = wiring.groups(4);
        assert_eq!(groups[0], Group { sources: vec![0], first_channel: 0 });
        assert_eq!(groups[1], Group { sources: vec![1, 2, 3], first_channel: 5 });
        assert_eq!((wiring.hidden_sources(4), wiring.hidden_channels(4)), (&[1, 2, 3][..], 13));
        assert_eq!(wiring.reads(4).fan_in(), 18);
    }

    #[test]
    fn every_weight_of_a_kernel_has_a_row_of_its_own() {
        let reads = Reads { blocks: vec![2, 3], taps: 3 };
        let mut rows: Vec<usize> = Vec::new();
        for channel in 0..5 {
            rows.extend((0..9).map(|tap| reads.row(channel, tap / 3, tap % 3)));
        }
        rows.sort_unstable();
        assert_eq!(rows, (0..reads.fan_in()).collect::<Vec<_>>());
    }

    #[test]
    fn a_framed_position_has_its_neighbours_at_fixed_distances_and_zeros_around_it() {
        let convolution = Convolution { channel_multiplier: 2, downsample_after: vec![1] };
        let extents = [Extent { channels: 1, height: 3, width: 4 }, Extent { channels: 2, height: 3, width: 4 }]
            .into_iter()
            .chain([Extent::flat(10)])
            .collect();
        let skip = Skip::default();
        let wiring = Wiring::new(Topology::new(Network::Convnet, 1, &skip), true, extents);
        assert_eq!(convolution.downsample_after, [1]);
        let frame = wiring.frame(1);
        assert_eq!((frame.pitch, frame.image, frame.guard), (5, 20, 6));
        let occupied: Vec<usize> = (0..2)
            .flat_map(|image| (0..3).flat_map(move |row| (0..4).map(move |x| frame.row(image, row) + x)))
            .collect();
        for &position in &[frame.row(0, 0), frame.row(1, 2) + 3] {
            for (dy, dx) in [(-1_i64, -1_i64), (-1, 0), (0, -1), (1, 1), (1, 0), (0, 1)] {
                let neighbour = position as i64 + dy * 5 + dx;
                assert!((0..frame.allocated(2) as i64).contains(&neighbour));
                let inside = occupied.contains(&(neighbour as usize));
                let at_first = position == frame.row(0, 0);
                let expected = if at_first { dy >= 0 && dx >= 0 } else { dy <= 0 && dx <= 0 };
                assert_eq!(inside, expected, "{position} {dy} {dx}");
            }
        }
    }
}
