//! Where the numbers of a network's layers lie, and what each layer reads of them.

use std::ops::Range;

use tch::TchError;

use super::sight::Sight;
use super::{Activities, Copies, Own, Plane, Run};
use crate::buffer::{Buffer, aligned};
use crate::scalar::Scalar;
use crate::wiring::{Frame, Lines, TAPS, Wiring};

pub(super) fn fully_connected<T: Scalar>(wiring: &Wiring, images: usize) -> Result<Activities<T>, TchError> {
    let topology = &wiring.topology;
    let column = |layer: usize| (1..layer).map(|before| wiring.channels(before)).sum::<usize>();
    let stride = aligned(column(topology.output()));
    let plane = Plane { buffer: Buffer::zeros(images * stride)?, stride };
    let view = |columns: Range<usize>| plane.buffer.matrix(columns.start, images, columns.len(), stride);
    let mut own = Vec::new();
    for layer in topology.hidden() {
        let columns = column(layer)..column(layer) + wiring.channels(layer);
        let lines = Lines::new(wiring.frame(layer), images, columns.clone(), stride);
        own.push(Own { plane: 0, lines, matrix: view(columns)? });
    }
    let mut runs = Vec::new();
    for reader in 1..=topology.output() {
        let mut of_reader = Vec::new();
        for group in wiring.groups(reader).into_iter().filter(|group| group.sources[0] > 0) {
            let (first, last) = (group.sources[0], group.sources[group.sources.len() - 1]);
            let matrix = view(column(first)..column(last) + wiring.channels(last))?;
            of_reader.push(Run { transposed: matrix.f_tr()?, matrix, sources: group.sources, plane: 0 });
        }
        runs.push(of_reader);
    }
    Ok(Activities { planes: vec![plane], own, copies: Vec::new(), runs })
}

pub(super) fn convolutional<T: Scalar>(wiring: &Wiring, images: usize) -> Result<Activities<T>, TchError> {
    let topology = &wiring.topology;
    let (mut planes, mut own, mut copies) = (Vec::new(), Vec::new(), Vec::new());
    for layer in topology.hidden() {
        let (frame, channels) = (wiring.frame(layer), wiring.channels(layer));
        let buffer = Buffer::zeros(frame.allocated(images) * channels)?;
        let matrix = buffer.matrix(frame.guard * channels, frame.positions(images), channels, channels)?;
        let lines = Lines::new(frame, images, 0..channels, channels);
        own.push(Own { plane: planes.len(), lines, matrix });
        planes.push(Plane { buffer, stride: channels });
    }
    let mut runs = vec![Vec::new()];
    for reader in 2..=topology.output() {
        let frame = wiring.frame(reader);
        let (is_output, unfolded) = (reader == topology.output(), wiring.taps(reader));
        let known = copies.iter().find(|known: &&Copies| known.sight.seen == frame).map(|known| known.plane);
        let plane = match known {
            Some(plane) => plane,
            None => {
                // All that any reader at this resolution sees, in the order of the layers.
                let alike = |other: &usize| wiring.frame(*other) == frame;
                let readers: Vec<usize> = (2..=topology.output()).filter(alike).collect();
                let is_seen = |source: &usize| readers.iter().any(|&reader| topology.sources(reader).contains(source));
                let sources: Vec<usize> = topology.hidden().filter(is_seen).collect();
                let stride = aligned(unfolded * sources.iter().map(|&source| wiring.channels(source)).sum::<usize>());
                let mut column = 0;
                for source in sources {
                    let (own, channels) = (wiring.frame(source), wiring.channels(source));
                    let factor = if is_output { 1 } else { factor(own, frame) };
                    let is_unfolded = !is_output;
                    let sight = Sight {
                        images,
                        own,
                        seen: frame,
                        from: (0, channels),
                        factor,
                        channels,
                        stride,
                        column,
                        is_unfolded,
                    };
                    copies.push(Copies { source, plane: planes.len(), sight });
                    column += unfolded * channels;
                }
                planes.push(Plane { buffer: Buffer::zeros(frame.allocated(images) * stride)?, stride });
                planes.len() - 1
            }
        };
        let sources = topology.sources(reader).to_vec();
        let in_plane = |source: usize| copies.iter().find(|known| known.plane == plane && known.source == source);
        let column = sources.first().and_then(|&first| in_plane(first)).map_or(0, |first| first.sight.column);
        let columns = unfolded * wiring.hidden_channels(reader);
        let Plane { buffer, stride } = &planes[plane];
        let mut of_reader = Vec::new();
        for shift in shifts(wiring.taps(reader)) {
            let start = (frame.guard + shift * frame.pitch - usize::from(!is_output) * frame.pitch) * stride + column;
            let matrix = buffer.matrix(start, frame.positions(images), columns, *stride)?;
            of_reader.push(Run { transposed: matrix.f_tr()?, matrix, sources: sources.clone(), plane });
        }
        runs.push(of_reader);
    }
    Ok(Activities { planes, own, copies, runs })
}

/// The rows of a kernel in the order in which their products are taken: the middle one, which reaches every position
/// that is not zero for ever, first.
pub fn shifts(taps: usize) -> impl Iterator<Item = usize> {
    let order: &[usize] = if taps == TAPS { &[1, 0, 2] } else { &[0] };
    order.iter().copied()
}

/// Own positions, in either direction, that become one at the lower resolution.
fn factor(own: Frame, seen: Frame) -> usize {
    let halvings =
        (0..usize::BITS).find(|&halvings| own.height >> halvings == seen.height && own.width >> halvings == seen.width);
    1 << halvings.expect("a reader's resolution is its source's, halved some times")
}
