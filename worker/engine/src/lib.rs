//! The engine of biosweep: trains networks by hand-written learning rules on libtorch.
//!
//! | module | contents |
//! |---|---|
//! | [`train`] | the training loop of a bundle, from the data to the results |
//! | [`architecture`] | the architecture of a network: the inputs and the size of each layer |
//! | [`model`] | the parameters of a network, and the forward pass |
//! | [`activations`] | the activations of all hidden layers, in buffers that layers share |
//! | [`kernels`] | every operation on memory: the only code that sees slices of it |
//! | [`rules`] | learning rules, one file each |
//! | [`optim`] | optimisers, one file each |
//! | [`checkpoint`] | the encoding of a lane's state as bytes |
//! | [`torch`] | the device, the libtorch version, the numeric environment |
//! | [`step`] | one update on tensors from a file |
//! | [`mod@bench`] | the benchmark: updates per second, and the time of the bare matrix products |

pub mod activations;
pub mod architecture;
pub mod bench;
pub mod checkpoint;
pub mod kernels;
pub mod model;
pub mod optim;
pub mod rules;
pub mod step;
pub mod torch;
pub mod train;
