//! What readers see of a convolutional layer: pooled to their resolution, and unfolded by one row of the kernel.

use biosweep_numeric::vector::wide;

use crate::scalar::Scalar;
use crate::wiring::Frame;

/// How a convolutional layer is seen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sight {
    pub(super) images: usize,
    pub(super) own: Frame,
    pub(super) seen: Frame,
    /// The first own number at a position, and the numbers from an own position to the next.
    pub(super) from: (usize, usize),
    /// Own positions that become one, in either direction.
    pub(super) factor: usize,
    pub(super) channels: usize,
    /// From a seen position to the next.
    pub(super) stride: usize,
    /// The first number of the layer at a seen position.
    pub(super) column: usize,
    /// Whether a seen position holds the row's positions before and after it too.
    pub(super) is_unfolded: bool,
}

impl Sight {
    pub(super) fn covers_all(self) -> bool {
        !self.is_unfolded || (self.own.height.is_multiple_of(self.factor) && self.own.width.is_multiple_of(self.factor))
    }
}

wide! {
    /// What is seen of a layer: its mean over squares of `factor` positions, with its neighbours in the row; or its mean
    /// over all positions.
    pub(super) fn see<T: Scalar>(seen: &mut [T], own: &[T], sight: Sight) {
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
    pub(super) fn give_back<T: Scalar>(own: &mut [T], seen: &[T], sight: Sight, is_first: bool) {
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
