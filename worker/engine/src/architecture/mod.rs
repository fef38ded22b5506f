//! The architecture of a network: the inputs of each layer, the size of each layer, and its layout in memory.
//!
//! The values of a layer are a matrix [positions, channels]. A fully connected layer has one position per image. A
//! convolutional layer has height × width positions per image, with zero padding. A 3×3 convolution is three products
//! with one matrix of unfolded rows; each product is shifted by one row of positions. This module and
//! [`crate::activations`] hold all differences between the two kinds of layers.
//!
//! | module | contents |
//! |---|---|
//! | here | the architecture, the inputs of a layer |
//! | `layout` | the padded image layout, strided rows |

mod layout;

use biosweep_common::configuration::Shape;
use biosweep_common::network::extents::{TooSmall, extents};
use biosweep_common::network::topology::Topology;
use biosweep_common::vocabulary::extent::Extent;

pub use layout::{PaddedImageLayout, StridedRows};

/// Rows, and columns, of a convolution kernel.
pub const KERNEL_SIZE: usize = 3;

/// The inputs and the size of each layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Architecture {
    /// The sources of each layer.
    pub topology: Topology,
    is_convolutional: bool,
    /// The extents of the input, of each hidden layer and of the output layer.
    extents: Vec<Extent>,
}

/// A group of sources of a layer: sources that are side by side in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputGroup {
    /// The layers, ascending: the input alone, or hidden layers.
    pub sources: Vec<usize>,
    /// The index of the first channel of the group among all input channels of the layer.
    pub first_channel: usize,
}

/// The inputs of a weight matrix, in the order of its rows: blocks of channels, each with a kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputSpec {
    /// The channels of each block.
    pub blocks: Vec<usize>,
    /// Rows, and columns, of the kernel: 3 or 1.
    pub kernel_size: usize,
}

impl Architecture {
    /// An architecture of this topology. `extents` holds the input, each hidden layer and the output layer.
    ///
    /// # Panics
    /// The number of extents is not the number of layers.
    #[must_use]
    pub fn new(topology: Topology, is_convolutional: bool, extents: Vec<Extent>) -> Self {
        assert_eq!(extents.len(), topology.output() + 1, "an extent for each layer");
        Self { topology, is_convolutional, extents }
    }

    /// The architecture of a shape, for images of this extent.
    ///
    /// # Errors
    /// The images are too small for the halvings of a convolutional network.
    pub fn from_shape(shape: &Shape, image: Extent, classes: usize) -> Result<Self, TooSmall> {
        let topology = Topology::new(shape.network, shape.depth as usize, &shape.skip);
        Ok(Self::new(topology, shape.network.is_convolutional(), extents(shape, image, classes)?))
    }

    /// Whether the hidden layers are convolutions.
    #[must_use]
    pub fn is_convolutional(&self) -> bool {
        self.is_convolutional
    }

    /// The extent of a layer. Layers are 0 (the input) to L+1 (the output).
    #[must_use]
    pub fn extent(&self, layer: usize) -> Extent {
        self.extents[layer]
    }

    /// The channels of a layer; the units, if the layer is fully connected.
    #[must_use]
    pub fn channels(&self, layer: usize) -> usize {
        self.extents[layer].channels
    }

    /// The units of the output layer.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.channels(self.topology.output())
    }

    /// The memory layout of a layer, and of the inputs of that layer.
    #[must_use]
    pub fn layout(&self, layer: usize) -> PaddedImageLayout {
        PaddedImageLayout::new(self.extents[layer], self.is_convolutional && layer != self.topology.output())
    }

    /// The hidden sources of a layer.
    #[must_use]
    pub fn hidden_sources(&self, layer: usize) -> &[usize] {
        let sources = self.topology.sources(layer);
        &sources[usize::from(sources[0] == 0)..]
    }

    /// The sum of the channels of the hidden sources of a layer.
    #[must_use]
    pub fn hidden_channels(&self, layer: usize) -> usize {
        self.hidden_sources(layer).iter().map(|&source| self.channels(source)).sum()
    }

    /// The kernel size of a layer.
    #[must_use]
    pub fn kernel_size(&self, layer: usize) -> usize {
        if self.is_convolutional && layer != self.topology.output() { KERNEL_SIZE } else { 1 }
    }

    /// The inputs of the weights of a layer.
    #[must_use]
    pub fn inputs(&self, layer: usize) -> InputSpec {
        let sources = self.topology.sources(layer).iter();
        InputSpec {
            blocks: sources.map(|&source| self.channels(source)).collect(),
            kernel_size: self.kernel_size(layer),
        }
    }

    /// The input groups of a layer: the input alone, and hidden layers without a gap between them.
    #[must_use]
    pub fn input_groups(&self, layer: usize) -> Vec<InputGroup> {
        let mut input_groups: Vec<InputGroup> = Vec::new();
        let mut channel = 0;
        for &source in self.topology.sources(layer) {
            match input_groups.last_mut() {
                Some(group) if group.sources.last().is_some_and(|&last| last > 0 && last + 1 == source) => {
                    group.sources.push(source);
                }
                _ => input_groups.push(InputGroup { sources: vec![source], first_channel: channel }),
            }
            channel += self.channels(source);
        }
        input_groups
    }
}

impl InputSpec {
    /// One block of channels.
    #[must_use]
    pub fn block(channels: usize, kernel_size: usize) -> Self {
        Self { blocks: vec![channels], kernel_size }
    }

    /// The channels of all blocks.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.blocks.iter().sum()
    }

    /// The inputs of one unit.
    #[must_use]
    pub fn fan_in(&self) -> usize {
        self.channels() * self.kernel_size * self.kernel_size
    }

    /// The row of the weight matrix for one channel and one position of the kernel. The order of rows is: kernel row,
    /// block, kernel column, channel. The blocks of one kernel row are therefore side by side, as in the unfolded
    /// activations.
    ///
    /// # Panics
    /// The channel is not one of the blocks'.
    #[must_use]
    pub fn row(&self, channel: usize, kernel_row: usize, kernel_column: usize) -> usize {
        let mut before = 0;
        for &block in &self.blocks {
            if channel < before + block {
                let in_block = self.kernel_size * before + kernel_column * block + channel - before;
                return kernel_row * self.kernel_size * self.channels() + in_block;
            }
            before += block;
        }
        panic!("channel {channel} of {before}")
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
        let architecture = Architecture::new(Topology::new(Network::Dn, 3, &skip), false, extents);
        let input_groups = architecture.input_groups(4);
        assert_eq!(input_groups[0], InputGroup { sources: vec![0], first_channel: 0 });
        assert_eq!(input_groups[1], InputGroup { sources: vec![1, 2, 3], first_channel: 5 });
        assert_eq!((architecture.hidden_sources(4), architecture.hidden_channels(4)), (&[1, 2, 3][..], 13));
        assert_eq!(architecture.inputs(4).fan_in(), 18);
    }

    #[test]
    fn every_weight_of_a_kernel_has_a_row_of_its_own() {
        let inputs = InputSpec { blocks: vec![2, 3], kernel_size: 3 };
        let mut rows: Vec<usize> = Vec::new();
        for channel in 0..5 {
            rows.extend((0..9).map(|offset| inputs.row(channel, offset / 3, offset % 3)));
        }
        rows.sort_unstable();
        assert_eq!(rows, (0..inputs.fan_in()).collect::<Vec<_>>());
    }

    #[test]
    fn a_padded_position_has_its_neighbours_at_fixed_distances_and_zeros_around_it() {
        let convolution = Convolution { channel_multiplier: 2, downsample_after: vec![1] };
        let extents = [Extent { channels: 1, height: 3, width: 4 }, Extent { channels: 2, height: 3, width: 4 }]
            .into_iter()
            .chain([Extent::flat(10)])
            .collect();
        let skip = Skip::default();
        let architecture = Architecture::new(Topology::new(Network::Convnet, 1, &skip), true, extents);
        assert_eq!(convolution.downsample_after, [1]);
        let layout = architecture.layout(1);
        assert_eq!((layout.row_stride, layout.image_stride, layout.padding), (5, 20, 6));
        let occupied: Vec<usize> = (0..2)
            .flat_map(|image| (0..3).flat_map(move |row| (0..4).map(move |x| layout.row(image, row) + x)))
            .collect();
        for &position in &[layout.row(0, 0), layout.row(1, 2) + 3] {
            for (dy, dx) in [(-1_i64, -1_i64), (-1, 0), (0, -1), (1, 1), (1, 0), (0, 1)] {
                let neighbour = position as i64 + dy * 5 + dx;
                assert!((0..layout.allocated(2) as i64).contains(&neighbour));
                let inside = occupied.contains(&(neighbour as usize));
                let at_first = position == layout.row(0, 0);
                let expected = if at_first { dy >= 0 && dx >= 0 } else { dy <= 0 && dx <= 0 };
                assert_eq!(inside, expected, "{position} {dy} {dx}");
            }
        }
    }
}
