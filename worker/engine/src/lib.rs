//! The engine of biosweep: trains networks by hand-written learning rules on libtorch.
//!
//! | module | contents |
//! |---|---|
//! | [`train`] | a bundle from data to results |
//! | [`wiring`], [`network`] | networks: which layer reads what, and the forward pass |
//! | [`parameters`], [`activities`], [`buffer`] | their numbers in flat buffers |
//! | [`layer`], [`activation`] | kernels |
//! | [`rules`] | learning rules, one file each |
//! | [`optim`] | optimisers, one file each |
//! | [`checkpoint`] | a lane's whole state as bytes |
//! | [`device`], [`libtorch`], [`environment`] | what there is to compute with, and what the last bits of results depend on |
//! | [`step`] | one update on given tensors |
//! | [`mod@bench`] | updates per second beside the bare matrix products |

pub mod activation;
pub mod activities;
pub mod bench;
pub mod buffer;
pub mod checkpoint;
pub mod device;
pub mod environment;
pub mod layer;
pub mod libtorch;
pub mod network;
pub mod optim;
pub mod parameters;
pub mod rules;
pub mod scalar;
pub mod step;
pub mod train;
pub mod wiring;
