//! Values of all hidden layers for one batch: activations, errors or target differences.
//!
//! Fully connected layers are column ranges of one matrix [images, Σ units]. The inputs of a dense layer are therefore a
//! view, and nothing is copied. Each convolutional layer has its own matrix [positions, channels]. A copy of it, pooled
//! to the resolution of the reader and unfolded by one kernel row, stands beside the copies of other layers in one matrix
//! per resolution. The inputs of a dense convolution are therefore a view too. For the output layer, the copy has one
//! position per image.
//!
//! | module | contents |
//! |---|---|
//! | here | the buffers, and the operations on them |
//! | `allocation` | the place of each layer in the buffers |
//! | `im2col` | the im2col buffer of a matrix outside the network |

mod allocation;
mod im2col;

use tch::{TchError, Tensor};

pub use self::allocation::kernel_rows;
use self::allocation::{convolutional, fully_connected};
pub use self::im2col::Im2colBuffer;
use crate::architecture::{Architecture, PaddedImageLayout, StridedRows};
use crate::kernels::buffer::Buffer;
use crate::kernels::handles::{Rows, RowsMut};
use crate::kernels::linear::WriteMode;
use crate::kernels::pool_and_unfold::{PoolAndUnfold, pool_and_unfold, pool_and_unfold_adjoint};
use crate::kernels::rows::{ChannelCopy, UpsampleAdd, copy_channels, upsample_add};
use crate::kernels::scalar::Scalar;
use crate::kernels::transfer::fill;
use crate::kernels::weights::assign;

const SEPARATE_STORAGES: &str = "a layer and the copies of it are in separate storages";

/// Values of all hidden layers.
#[derive(Debug)]
pub struct Activations<T> {
    storages: Vec<Storage<T>>,
    layer_views: Vec<LayerView>,
    input_copies: Vec<InputCopy>,
    column_ranges: Vec<Vec<ColumnRange>>,
}

/// A buffer that layers share.
#[derive(Debug)]
struct Storage<T> {
    buffer: Buffer<T>,
    /// Values from one position to the next.
    stride: usize,
}

/// The values of one layer in a storage.
#[derive(Debug)]
struct LayerView {
    storage: usize,
    strided_rows: StridedRows,
    matrix: Tensor,
}

/// A copy of a layer, pooled and unfolded for its readers.
#[derive(Debug)]
struct InputCopy {
    source: usize,
    storage: usize,
    operation: PoolAndUnfold,
}

/// A range of columns of a storage: hidden sources of one reader, side by side, as one matrix.
#[derive(Debug)]
pub struct ColumnRange {
    /// [positions of the reader, in].
    pub matrix: Tensor,
    /// The transposed matrix.
    pub transposed: Tensor,
    /// The hidden layers in this range, ascending.
    pub sources: Vec<usize>,
    /// The index of the storage.
    storage: usize,
}

impl<T: Scalar> Activations<T> {
    /// Zeros for `images` images.
    ///
    /// # Errors
    /// Memory allocation fails.
    pub fn zeros(architecture: &Architecture, images: usize) -> Result<Self, TchError> {
        if architecture.is_convolutional() {
            convolutional(architecture, images)
        } else {
            fully_connected(architecture, images)
        }
    }

    /// The matrix of a hidden layer, [positions, channels].
    pub fn matrix(&self, layer: usize) -> &Tensor {
        &self.layer_views[layer - 1].matrix
    }

    /// The rows of a hidden layer.
    #[must_use]
    pub fn rows(&self, layer: usize) -> Rows<'_, T> {
        let LayerView { storage, strided_rows, matrix } = &self.layer_views[layer - 1];
        Rows { buffer: &self.storages[*storage].buffer, strided_rows, matrix }
    }

    /// The rows of a hidden layer, mutable.
    #[must_use]
    pub fn rows_mut(&mut self, layer: usize) -> RowsMut<'_, T> {
        let LayerView { storage, strided_rows, matrix } = &self.layer_views[layer - 1];
        RowsMut { buffer: &mut self.storages[*storage].buffer, strided_rows, matrix }
    }

    /// The (storage, layer) key of a fully connected hidden layer, as [`ColumnRange::storage_keys`] has it.
    #[must_use]
    pub fn storage_key(&self, layer: usize) -> (usize, usize) {
        (self.layer_views[layer - 1].storage, layer)
    }

    /// The hidden inputs of a layer, in the order of the layer's weight slices.
    #[must_use]
    pub fn column_ranges(&self, reader: usize) -> &[ColumnRange] {
        &self.column_ranges[reader - 1]
    }

    /// The values of other activations of the same network and batch size.
    pub fn assign(&mut self, others: &Self) {
        for (storage, other) in self.storages.iter_mut().zip(&others.storages) {
            assign(storage.buffer.whole_mut(), other.buffer.whole());
        }
    }

    /// Sets all values to zero.
    pub fn clear(&mut self) {
        self.storages.iter_mut().for_each(|storage| fill(storage.buffer.whole_mut(), T::default()));
    }

    /// Sets the padding before the first image and after the last image to zero.
    pub fn clear_padding(&mut self) {
        for InputCopy { storage, operation, .. } in &self.input_copies {
            let buffer = &mut self.storages[*storage].buffer;
            let (padding, end) = (operation.reader.padding * operation.stride, buffer.length());
            fill(buffer.view_mut(0..padding), T::default());
            fill(buffer.view_mut(end - padding..end), T::default());
        }
    }

    /// Publishes a layer to its readers: fills the copies that they read.
    pub fn publish(&mut self, layer: usize) {
        for InputCopy { storage, operation, .. } in self.input_copies.iter().filter(|copy| copy.source == layer) {
            let pair = [self.layer_views[layer - 1].storage, *storage];
            let [source, copy] = self.storages.get_disjoint_mut(pair).expect(SEPARATE_STORAGES);
            pool_and_unfold(&mut copy.buffer, &source.buffer, *operation);
        }
    }

    /// Sums the contributions of all readers into a layer. This is the adjoint of [`Activations::publish`].
    pub fn sum_contributions(&mut self, layer: usize) {
        let mut mode = WriteMode::Overwrite;
        for InputCopy { storage, operation, .. } in self.input_copies.iter().filter(|copy| copy.source == layer) {
            let pair = [self.layer_views[layer - 1].storage, *storage];
            let [source, copy] = self.storages.get_disjoint_mut(pair).expect(SEPARATE_STORAGES);
            pool_and_unfold_adjoint(mode, &mut source.buffer, &copy.buffer, *operation);
            mode = WriteMode::Add;
        }
    }

    /// Concatenates the hidden sources of a reader, at the reader's resolution and in its padded layout: each row of
    /// `output` holds the channels of all sources.
    pub fn concatenate(&self, architecture: &Architecture, reader: usize, output: &mut Buffer<T>) {
        let stride = architecture.hidden_channels(reader);
        let layout = architecture.layout(reader);
        let mut column = 0;
        for &source in architecture.hidden_sources(reader) {
            let channels = architecture.channels(source);
            let (input, first, input_stride) = self.input_of(reader, source, architecture);
            let images = self.layer_views[source - 1].strided_rows.outer.0;
            let (output_columns, input_columns) = ((column, stride), (first, input_stride));
            let copy = ChannelCopy { images, layout, channels, output: output_columns, input: input_columns };
            copy_channels(output, input, copy);
            column += channels;
        }
    }

    /// The storage that a reader reads a source from, the offset of the source's first value in a row, and the row stride.
    fn input_of(&self, reader: usize, source: usize, architecture: &Architecture) -> (&Buffer<T>, usize, usize) {
        let layout = architecture.layout(reader);
        let is_wanted = |copy: &&InputCopy| copy.source == source && copy.operation.reader == layout;
        match self.input_copies.iter().find(is_wanted) {
            Some(InputCopy { storage, operation, .. }) => {
                let first = operation.column + usize::from(operation.is_unfolded) * operation.channels;
                (&self.storages[*storage].buffer, first, operation.stride)
            }
            None => {
                let view = &self.layer_views[source - 1];
                let storage = &self.storages[view.storage];
                (&storage.buffer, view.strided_rows.first, storage.stride)
            }
        }
    }

    /// Adds `scale` · `input` to a layer, upsampled from the resolution of `layout` to that of the layer. `input` has rows
    /// of `rows.1` values; the layer's channels begin at column `rows.0`.
    pub fn upsample_add(
        &mut self,
        architecture: &Architecture,
        layer: usize,
        input: &Buffer<T>,
        rows: (usize, usize),
        layout: PaddedImageLayout,
        scale: T,
    ) {
        let layer_layout = architecture.layout(layer);
        let view = &self.layer_views[layer - 1];
        let stride = self.storages[view.storage].stride;
        let upsample = UpsampleAdd {
            images: view.strided_rows.outer.0,
            output: layer_layout,
            // The first column of the layer in its storage: its first value, less the padding.
            output_column: view.strided_rows.first - layer_layout.padding * stride,
            output_stride: stride,
            input: layout,
            input_column: rows.0,
            input_stride: rows.1,
            channels: architecture.channels(layer),
        };
        upsample_add(&mut self.storages[view.storage].buffer, input, upsample, scale);
    }
}

impl ColumnRange {
    /// The (storage, layer) keys of this range. A key tells whether an error was already written there.
    pub fn storage_keys(&self) -> impl Iterator<Item = (usize, usize)> {
        self.sources.iter().map(|&source| (self.storage, source))
    }
}
