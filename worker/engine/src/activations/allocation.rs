//! Allocation of the buffers: the place of each layer, and the views that each layer reads.

use std::ops::Range;

use tch::TchError;

use super::{Activations, ColumnRange, InputCopy, LayerView, Storage};
use crate::architecture::{Architecture, KERNEL_SIZE, PaddedImageLayout, StridedRows};
use crate::kernels::buffer::{Buffer, aligned};
use crate::kernels::pool_and_unfold::PoolAndUnfold;
use crate::kernels::scalar::Scalar;

/// One storage [images, Σ units] for all hidden layers.
pub(super) fn fully_connected<T: Scalar>(
    architecture: &Architecture,
    images: usize,
) -> Result<Activations<T>, TchError> {
    let topology = &architecture.topology;
    let column = |layer: usize| (1..layer).map(|before| architecture.channels(before)).sum::<usize>();
    let stride = aligned(column(topology.output()));
    let storage = Storage { buffer: Buffer::zeros(images * stride)?, stride };
    let view = |columns: Range<usize>| storage.buffer.matrix(columns.start, images, columns.len(), stride);
    let mut layer_views = Vec::new();
    for layer in topology.hidden() {
        let columns = column(layer)..column(layer) + architecture.channels(layer);
        let strided_rows = StridedRows::new(architecture.layout(layer), images, columns.clone(), stride);
        layer_views.push(LayerView { storage: 0, strided_rows, matrix: view(columns)? });
    }
    let mut column_ranges = Vec::new();
    for reader in 1..=topology.output() {
        let mut of_reader = Vec::new();
        for group in architecture.input_groups(reader).into_iter().filter(|group| group.sources[0] > 0) {
            let (first, last) = (group.sources[0], group.sources[group.sources.len() - 1]);
            let matrix = view(column(first)..column(last) + architecture.channels(last))?;
            of_reader.push(ColumnRange { transposed: matrix.f_tr()?, matrix, sources: group.sources, storage: 0 });
        }
        column_ranges.push(of_reader);
    }
    Ok(Activations { storages: vec![storage], layer_views, input_copies: Vec::new(), column_ranges })
}

/// One storage per hidden layer, and one per resolution of readers.
pub(super) fn convolutional<T: Scalar>(architecture: &Architecture, images: usize) -> Result<Activations<T>, TchError> {
    let topology = &architecture.topology;
    let (mut storages, mut layer_views, mut input_copies) = (Vec::new(), Vec::new(), Vec::new());
    for layer in topology.hidden() {
        let (layout, channels) = (architecture.layout(layer), architecture.channels(layer));
        let buffer = Buffer::zeros(layout.allocated(images) * channels)?;
        let matrix = buffer.matrix(layout.padding * channels, layout.positions(images), channels, channels)?;
        let strided_rows = StridedRows::new(layout, images, 0..channels, channels);
        layer_views.push(LayerView { storage: storages.len(), strided_rows, matrix });
        storages.push(Storage { buffer, stride: channels });
    }
    let mut column_ranges = vec![Vec::new()];
    for reader in 2..=topology.output() {
        let layout = architecture.layout(reader);
        let (is_output, kernel_size) = (reader == topology.output(), architecture.kernel_size(reader));
        let existing = input_copies.iter().find(|copy: &&InputCopy| copy.operation.reader == layout);
        let storage = match existing.map(|copy| copy.storage) {
            Some(storage) => storage,
            None => {
                // The sources of all readers at this resolution, in the order of the layers.
                let has_layout = |other: &usize| architecture.layout(*other) == layout;
                let readers: Vec<usize> = (2..=topology.output()).filter(has_layout).collect();
                let is_read = |source: &usize| readers.iter().any(|&reader| topology.sources(reader).contains(source));
                let sources: Vec<usize> = topology.hidden().filter(is_read).collect();
                let channels = sources.iter().map(|&source| architecture.channels(source)).sum::<usize>();
                let stride = aligned(kernel_size * channels);
                let mut column = 0;
                for source in sources {
                    let (source_layout, channels) = (architecture.layout(source), architecture.channels(source));
                    let operation = PoolAndUnfold {
                        images,
                        source: source_layout,
                        reader: layout,
                        source_columns: (0, channels),
                        factor: if is_output { 1 } else { pooling_factor(source_layout, layout) },
                        channels,
                        stride,
                        column,
                        is_unfolded: !is_output,
                    };
                    input_copies.push(InputCopy { source, storage: storages.len(), operation });
                    column += kernel_size * channels;
                }
                storages.push(Storage { buffer: Buffer::zeros(layout.allocated(images) * stride)?, stride });
                storages.len() - 1
            }
        };
        let sources = topology.sources(reader).to_vec();
        let copy_of = |source: usize| input_copies.iter().find(|copy| copy.storage == storage && copy.source == source);
        let column = sources.first().and_then(|&first| copy_of(first)).map_or(0, |first| first.operation.column);
        let columns = kernel_size * architecture.hidden_channels(reader);
        let Storage { buffer, stride } = &storages[storage];
        let mut of_reader = Vec::new();
        for kernel_row in kernel_rows(kernel_size) {
            let offset = kernel_row * layout.row_stride;
            let start = (layout.padding + offset - usize::from(!is_output) * layout.row_stride) * stride + column;
            let matrix = buffer.matrix(start, layout.positions(images), columns, *stride)?;
            of_reader.push(ColumnRange { transposed: matrix.f_tr()?, matrix, sources: sources.clone(), storage });
        }
        column_ranges.push(of_reader);
    }
    Ok(Activations { storages, layer_views, input_copies, column_ranges })
}

/// The rows of a kernel, in the order of their products. The middle row comes first, because its product overwrites every
/// position that is not padding.
pub fn kernel_rows(kernel_size: usize) -> impl Iterator<Item = usize> {
    let order: &[usize] = if kernel_size == KERNEL_SIZE { &[1, 0, 2] } else { &[0] };
    order.iter().copied()
}

/// The pooling factor, in either direction, from a source to a reader.
fn pooling_factor(source: PaddedImageLayout, reader: PaddedImageLayout) -> usize {
    let is_reached =
        |&halvings: &u32| source.height >> halvings == reader.height && source.width >> halvings == reader.width;
    let halvings = (0..usize::BITS).find(is_reached);
    1 << halvings.expect("the resolution of a reader is that of its source, halved a number of times")
}
