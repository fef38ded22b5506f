//! Networks as data: the connections and the size of each layer.

pub mod extents;
pub mod topology;
pub mod width;
