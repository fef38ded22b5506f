//! The size of each layer, in channels and resolution, from a shape and the size of the images.

use super::width::{Ends, hidden_units};
use crate::configuration::{Convolution, Shape};
use crate::vocabulary::extent::Extent;

/// An image has too few rows or columns for the requested halvings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "images of {height} by {width} can be halved {possible} times, and `downsample_after` has {asked} layers within the depth"
)]
pub struct TooSmall {
    height: usize,
    width: usize,
    possible: u32,
    asked: usize,
}

/// The sizes of layers 0 (the input) to L+1 (the output) of a network for images of this size.
///
/// # Errors
/// An image too small for the halvings of a convolutional network.
pub fn extents(shape: &Shape, image: Extent, classes: usize) -> Result<Vec<Extent>, TooSmall> {
    let depth = shape.depth as usize;
    if shape.network.is_convolutional() {
        return convolutional(depth, &shape.convolution, image, classes);
    }
    let units = hidden_units(shape, Ends { inputs: image.units(), classes });
    let hidden = (0..depth).map(|_| Extent::flat(units));
    Ok([Extent::flat(image.units())].into_iter().chain(hidden).chain([Extent::flat(classes)]).collect())
}

/// The sizes for a convolutional network. Layer l has l times `channel_multiplier` channels. The layer after each layer
/// in `downsample_after` has half the resolution, rounded down.
///
/// # Errors
/// An image too small for so many halvings.
pub fn convolutional(
    depth: usize,
    convolution: &Convolution,
    image: Extent,
    classes: usize,
) -> Result<Vec<Extent>, TooSmall> {
    let mut extents = vec![image];
    let (mut height, mut width, mut halved) = (image.height, image.width, 0);
    for layer in 1..=depth {
        extents.push(Extent { channels: layer * convolution.channel_multiplier as usize, height, width });
        if layer < depth && convolution.downsample_after.contains(&(layer as u64)) {
            (height, width, halved) = (height / 2, width / 2, halved + 1);
        }
    }
    if height == 0 || width == 0 {
        let possible = image.height.min(image.width).max(1).ilog2();
        return Err(TooSmall { height: image.height, width: image.width, possible, asked: halved });
    }
    extents.push(Extent::flat(classes));
    Ok(extents)
}
