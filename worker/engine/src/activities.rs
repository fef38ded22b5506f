//! The numbers of all hidden layers for one batch: activities, or what is said of them (errors, targets).
//!
//! Fully connected layers lie side by side in one matrix [images, Σ units], so that what a dense layer reads is a range
//! of its columns, and nothing is ever copied. Convolutional layers have a matrix [positions, channels] each; what their
//! readers see of them, pooled to the readers' resolution and unfolded by one row of the kernel, lies side by side in
//! one matrix for each resolution, with the same effect. What the output sees is one position an image in either case.

mod layout;
mod rows;
mod sight;
mod unfolded;

use tch::{TchError, Tensor};

pub use self::layout::shifts;
use self::layout::{convolutional, fully_connected};
use self::rows::{Rows, Spread, add_spread, copy_rows};
use self::sight::{Sight, give_back, see};
pub use self::unfolded::Unfolded;
use crate::buffer::Buffer;
use crate::scalar::Scalar;
use crate::wiring::{Frame, Lines, Wiring};

const PLANES: &str = "a layer's own numbers and what is seen of them lie in two planes";

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

impl Run {
    /// Whose numbers these are, and in which memory: what tells whether an error has arrived there before.
    pub fn places(&self) -> impl Iterator<Item = (usize, usize)> {
        self.sources.iter().map(|&source| (self.plane, source))
    }
}
