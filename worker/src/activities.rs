//! The numbers of all hidden layers for one batch: activities, or what is said of them (errors, targets).
//!
//! Fully connected layers lie side by side in one matrix [images, Σ units], so that what a dense layer reads is a range
//! of its columns, and nothing is ever copied. Convolutional layers have a matrix [positions, channels] each; what their
//! readers see of them, pooled to the readers' resolution and unfolded by one row of the kernel, lies side by side in
//! one matrix for each resolution, with the same effect. What the output sees is one position an image in either case.

use std::ops::Range;

use tch::{TchError, Tensor};

use crate::buffer::{Buffer, aligned};
use crate::scalar::Scalar;
use crate::vector::wide;
use crate::wiring::{Frame, Lines, TAPS, Wiring};

/// Numbers of all hidden layers.
#[derive(Debug)]
pub struct Activities<T> {
    planes: Vec<Plane<T>>,
    own: Vec<Own>,
    copies: Vec<Copies>,
    runs: Vec<Vec<Run>>,
}

/// Memory that layers share.
#[derive(Debug)]
struct Plane<T> {
    buffer: Buffer<T>,
    stride: usize,
}

/// Where a layer's own numbers lie.
#[derive(Debug)]
struct Own {
    plane: usize,
    lines: Lines,
    matrix: Tensor,
}

/// What readers see of a layer, where that is not the layer's own numbers.
#[derive(Debug)]
struct Copies {
    source: usize,
    plane: usize,
    sight: Sight,
}

/// How a convolutional layer is seen.
#[derive(Debug, Clone, Copy)]
struct Sight {
    images: usize,
    own: Frame,
    seen: Frame,
    /// The first own number at a position, and the numbers from an own position to the next.
    from: (usize, usize),
    /// Own positions that become one, in either direction.
    factor: usize,
    channels: usize,
    /// From a seen position to the next.
    stride: usize,
    /// The first number of the layer at a seen position.
    column: usize,
    /// Whether a seen position holds the row's positions before and after it too.
    is_unfolded: bool,
}

/// Hidden sources of a reader that lie side by side, as one matrix.
#[derive(Debug)]
pub struct Run {
    /// [positions of the reader, in].
    pub matrix: Tensor,
    /// The same transposed.
    pub transposed: Tensor,
    /// Whose numbers these are.
    pub sources: Vec<usize>,
    /// The memory they lie in.
    plane: usize,
}

impl<T: Scalar> Activities<T> {
    /// Zeros for so many images.
    ///
    /// # Errors
    /// Memory that cannot be had.
    pub fn zeros(wiring: &Wiring, images: usize) -> Result<Self, TchError> {
        if wiring.is_convolutional() { convolutional(wiring, images) } else { fully_connected(wiring, images) }
    }

    /// A hidden layer's numbers, [positions, channels].
    pub fn layer(&self, layer: usize) -> &Tensor {
        &self.own[layer - 1].matrix
    }

    /// The memory of a hidden layer, and where in it the layer's numbers lie.
    #[must_use]
    pub fn numbers(&self, layer: usize) -> (&[T], &Lines) {
        let own = &self.own[layer - 1];
        (self.planes[own.plane].buffer.slice(), &own.lines)
    }

    /// The same, to be changed.
    #[must_use]
    pub fn numbers_mut(&mut self, layer: usize) -> (&mut [T], &Lines) {
        let own = &self.own[layer - 1];
        (self.planes[own.plane].buffer.slice_mut(), &own.lines)
    }

    /// What a layer reads of hidden layers; the matrices are in the order of its weights.
    #[must_use]
    pub fn runs(&self, reader: usize) -> &[Run] {
        &self.runs[reader - 1]
    }

    /// Sets everything to zero.
    pub fn clear(&mut self) {
        self.planes.iter_mut().for_each(|plane| plane.buffer.slice_mut().fill(T::default()));
    }

    /// Sets to zero what lies before the first image and after the last.
    pub fn clear_guards(&mut self) {
        for Copies { plane, sight, .. } in &self.copies {
            let numbers = self.planes[*plane].buffer.slice_mut();
            let (guard, end) = (sight.seen.guard * sight.stride, numbers.len());
            numbers[..guard].fill(T::default());
            numbers[end - guard..].fill(T::default());
        }
    }

    /// Shows a layer's own numbers to its readers.
    pub fn show(&mut self, layer: usize) {
        for Copies { plane, sight, .. } in self.copies.iter().filter(|copies| copies.source == layer) {
            let [own, seen] = self.planes.get_disjoint_mut([self.own[layer - 1].plane, *plane]).expect(PLANES);
            see(seen.buffer.slice_mut(), own.buffer.slice(), *sight);
        }
    }

    /// The adjoint of [`Activities::show`]: a layer's own numbers become the sum of what its readers left in their sights.
    pub fn collect(&mut self, layer: usize) {
        let mut is_first = true;
        for Copies { plane, sight, .. } in self.copies.iter().filter(|copies| copies.source == layer) {
            let [own, seen] = self.planes.get_disjoint_mut([self.own[layer - 1].plane, *plane]).expect(PLANES);
            let own = own.buffer.slice_mut();
            if is_first && !sight.covers_all() {
                own.fill(T::default());
                is_first = false;
            }
            give_back(own, seen.buffer.slice(), *sight, is_first);
            is_first = false;
        }
    }

    /// Copies what a reader sees of its hidden sources into rows of so many numbers, a source's channels beside those of
    /// the source before; framed as the reader is.
    pub fn gather(&self, wiring: &Wiring, reader: usize, into: &mut [T]) {
        let stride = wiring.hidden_channels(reader);
        let frame = wiring.frame(reader);
        let mut column = 0;
        for &source in wiring.hidden_sources(reader) {
            let channels = wiring.channels(source);
            let (from, first, from_stride) = self.seen_by(reader, source, wiring);
            let rows = Rows { frame, channels, to: (column, stride), from: (first, from_stride) };
            copy_rows(into, from, rows);
            column += channels;
        }
    }

    /// The memory in which a reader sees a source, the first of its numbers at a position, and the distance from a
    /// position to the next.
    fn seen_by(&self, reader: usize, source: usize, wiring: &Wiring) -> (&[T], usize, usize) {
        let frame = wiring.frame(reader);
        let copies = self.copies.iter().find(|copies| copies.source == source && copies.sight.seen == frame);
        match copies {
            Some(Copies { plane, sight, .. }) => {
                let first = sight.column + usize::from(sight.is_unfolded) * sight.channels;
                (self.planes[*plane].buffer.slice(), first, sight.stride)
            }
            None => {
                let own = &self.own[source - 1];
                (self.planes[own.plane].buffer.slice(), own.lines.first, self.planes[own.plane].stride)
            }
        }
    }

    /// Adds to a layer's own numbers `scale` times those that lie in rows of `stride` numbers, from `column` on, at the
    /// resolution of `frame`; each goes to all positions it stands for.
    pub fn spread(&mut self, wiring: &Wiring, layer: usize, from: &[T], rows: (usize, usize), frame: Frame, scale: T) {
        let own_frame = wiring.frame(layer);
        let own = &self.own[layer - 1];
        let stride = self.planes[own.plane].stride;
        let images = own.lines.outer.0;
        let spread = Spread {
            images,
            own: own_frame,
            // Column of the layer in its plane: its first number less the guard.
            own_column: own.lines.first - own_frame.guard * stride,
            own_stride: stride,
            from: frame,
            column: rows.0,
            stride: rows.1,
            channels: wiring.channels(layer),
        };
        add_spread(self.planes[own.plane].buffer.slice_mut(), from, spread, scale);
    }
}

/// A framed matrix [positions, channels] as a convolution reads it: unfolded by one row of the kernel.
#[derive(Debug)]
pub struct Unfolded<T> {
    buffer: Buffer<T>,
    sights: Vec<Sight>,
    /// [positions, in] for each row of the kernel, in the order of the weights.
    pub matrices: Vec<Tensor>,
}

impl<T: Scalar> Unfolded<T> {
    /// Room for so many images in a frame, of these blocks of channels.
    ///
    /// # Errors
    /// Memory that cannot be had.
    pub fn new(frame: Frame, images: usize, blocks: &[usize]) -> Result<Self, TchError> {
        let channels: usize = blocks.iter().sum();
        let stride = TAPS * channels;
        let buffer = Buffer::zeros(frame.allocated(images) * stride)?;
        let mut sights = Vec::with_capacity(blocks.len());
        let mut before = 0;
        for &block in blocks {
            sights.push(Sight {
                images,
                own: frame,
                seen: frame,
                from: (before, channels),
                factor: 1,
                channels: block,
                stride,
                column: TAPS * before,
                is_unfolded: true,
            });
            before += block;
        }
        let matrix = |shift: usize| {
            let start = (frame.guard + shift * frame.pitch - frame.pitch) * stride;
            buffer.matrix(start, frame.positions(images), stride, stride)
        };
        let matrices = shifts(TAPS).map(matrix).collect::<Result<_, _>>()?;
        Ok(Self { buffer, sights, matrices })
    }

    /// Unfolds a matrix whose rows hold the blocks side by side and nothing else.
    pub fn look(&mut self, from: &[T]) {
        self.sights.iter().for_each(|sight| see(self.buffer.slice_mut(), from, *sight));
    }
}

const PLANES: &str = "a layer's own numbers and what is seen of them lie in two planes";

impl Run {
    /// Whose numbers these are, and in which memory: what tells whether an error has arrived there before.
    pub fn places(&self) -> impl Iterator<Item = (usize, usize)> {
        self.sources.iter().map(|&source| (self.plane, source))
    }
}

impl Sight {
    fn covers_all(self) -> bool {
        !self.is_unfolded || (self.own.height.is_multiple_of(self.factor) && self.own.width.is_multiple_of(self.factor))
    }
}

fn fully_connected<T: Scalar>(wiring: &Wiring, images: usize) -> Result<Activities<T>, TchError> {
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

fn convolutional<T: Scalar>(wiring: &Wiring, images: usize) -> Result<Activities<T>, TchError> {
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

wide! {
    /// What is seen of a layer: its mean over squares of `factor` positions, with its neighbours in the row; or its mean
    /// over all positions.
    fn see<'a, T: Scalar>(seen: &'a mut [T], own: &'a [T], sight: Sight) {
        let Sight { images, own: frame, seen: to, from, factor, channels, stride, column, is_unfolded } = sight;
        let (first, pitch) = from;
        if !is_unfolded {
            let share = T::of(1.0 / (frame.height * frame.width) as f64);
            for image in 0..images {
                let mean = &mut seen[image * stride + column..][..channels];
                mean.fill(T::default());
                for y in 0..frame.height {
                    let row = frame.row(image, y);
                    for position in row..row + frame.width {
                        let position = &own[position * pitch + first..][..channels];
                        mean.iter_mut().zip(position).for_each(|(mean, &h)| *mean += h);
                    }
                }
                mean.iter_mut().for_each(|mean| *mean = *mean * share);
            }
            return;
        }
        let share = T::of(1.0 / (factor * factor) as f64);
        for image in 0..images {
            for y in 0..to.height {
                for x in 0..to.width {
                    let position = to.row(image, y) + x;
                    let middle = position * stride + column + channels;
                    let pooled = &mut seen[middle..][..channels];
                    let corner = frame.row(image, y * factor) + x * factor;
                    pooled.copy_from_slice(&own[corner * pitch + first..][..channels]);
                    if factor > 1 {
                        for place in 1..factor * factor {
                            let other = corner + place / factor * frame.pitch + place % factor;
                            let other = &own[other * pitch + first..][..channels];
                            pooled.iter_mut().zip(other).for_each(|(pooled, &h)| *pooled += h);
                        }
                        pooled.iter_mut().for_each(|pooled| *pooled = *pooled * share);
                    }
                    // The position after this one has it on its left, the one before on its right.
                    seen.copy_within(middle..middle + channels, middle + stride - channels);
                    seen.copy_within(middle..middle + channels, middle - stride + channels);
                }
            }
        }
    }
}

wide! {
    /// The adjoint of [`see`].
    fn give_back<'a, T: Scalar>(own: &'a mut [T], seen: &'a [T], sight: Sight, is_first: bool) {
        let Sight { images, own: to, seen: from, factor, channels, stride, column, is_unfolded, .. } = sight;
        if !is_unfolded {
            let share = T::of(1.0 / (to.height * to.width) as f64);
            for image in 0..images {
                let mean = &seen[image * stride + column..][..channels];
                for y in 0..to.height {
                    let row = &mut own[to.row(image, y) * channels..][..to.width * channels];
                    for position in row.chunks_exact_mut(channels) {
                        if is_first {
                            position.iter_mut().zip(mean).for_each(|(own, &mean)| *own = mean * share);
                        } else {
                            position.iter_mut().zip(mean).for_each(|(own, &mean)| *own += mean * share);
                        }
                    }
                }
            }
            return;
        }
        let share = T::of(1.0 / (factor * factor) as f64);
        for image in 0..images {
            for y in 0..from.height {
                for x in 0..from.width {
                    let middle = (from.row(image, y) + x) * stride + column + channels;
                    let middles = &seen[middle..][..channels];
                    let after = &seen[middle + stride - channels..][..channels];
                    let before = &seen[middle - stride + channels..][..channels];
                    for place in 0..factor * factor {
                        let row = to.row(image, y * factor + place / factor);
                        let own = &mut own[(row + x * factor + place % factor) * channels..][..channels];
                        let sums = middles.iter().zip(after).zip(before).map(|((&m, &a), &b)| (m + a + b) * share);
                        if is_first {
                            own.iter_mut().zip(sums).for_each(|(own, sum)| *own = sum);
                        } else {
                            own.iter_mut().zip(sums).for_each(|(own, sum)| *own += sum);
                        }
                    }
                }
            }
        }
    }
}

/// Rows of numbers in two places; `(first, stride)` each, counted from the first allocated position.
#[derive(Clone, Copy)]
struct Rows {
    frame: Frame,
    channels: usize,
    to: (usize, usize),
    from: (usize, usize),
}

wide! {
    fn copy_rows<'a, T: Scalar>(to: &'a mut [T], from: &'a [T], rows: Rows) {
        let Rows { frame, channels, to: (to_first, to_stride), from: (from_first, from_stride) } = rows;
        let images = (to.len() / to_stride - 2 * frame.guard) / frame.image;
        for image in 0..images {
            for y in 0..frame.height {
                for position in frame.row(image, y)..frame.row(image, y) + frame.width {
                    let to = &mut to[position * to_stride + to_first..][..channels];
                    to.copy_from_slice(&from[position * from_stride + from_first..][..channels]);
                }
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Spread {
    images: usize,
    own: Frame,
    own_column: usize,
    own_stride: usize,
    from: Frame,
    column: usize,
    stride: usize,
    channels: usize,
}

wide! {
    fn add_spread<'a, T: Scalar>(own: &'a mut [T], from: &'a [T], spread: Spread, scale: T) {
        let Spread { images, own: to, own_column, own_stride, from: low, column, stride, channels } = spread;
        for image in 0..images {
            for y in 0..to.height {
                let row = low.row(image, y * low.height / to.height);
                for x in 0..to.width {
                    let position = row + x * low.width / to.width;
                    let from = &from[position * stride + column..][..channels];
                    let own = &mut own[(to.row(image, y) + x) * own_stride + own_column..][..channels];
                    own.iter_mut().zip(from).for_each(|(own, &from)| *own += scale * from);
                }
            }
        }
    }
}
