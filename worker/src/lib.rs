//! The worker of biosweep: trains networks by hand-written learning rules on libtorch.
//!
//! | room | holds |
//! |---|---|
//! | [`train`] | a bundle from data to results |
//! | [`wiring`], [`network`] | networks: which layer reads what, and the forward pass |
//! | [`parameters`], [`activities`], [`buffer`] | their numbers in flat buffers |
//! | [`layer`], [`activation`] | kernels |
//! | [`rules`] | learning rules, one file each |
//! | [`optim`] | optimisers, one file each |
//! | [`checkpoint`], [`spool`] | what outlives the worker: states of lanes, reports not yet acknowledged |
//! | [`agent`], [`trainer`] | its shell: the stream to the coordinator, the training thread |
//! | [`device`], [`memory`] | what there is to compute with |
//! | [`libtorch`], [`environment`] | what the last bits of results depend on |
//! | [`step`] | one update on given tensors |
//! | [`mod@bench`] | updates per second beside the bare matrix products |
//! | [`cli`] | the command line |

pub mod activation;
pub mod activities;
pub mod agent;
pub mod bench;
pub mod buffer;
pub mod checkpoint;
pub mod cli;
pub mod device;
pub mod environment;
pub mod layer;
pub mod libtorch;
pub mod memory;
pub mod network;
pub mod optim;
pub mod parameters;
pub mod rules;
pub mod scalar;
pub mod spool;
pub mod step;
pub mod train;
pub mod trainer;
pub mod wiring;
