//! Kernels: the computations of one layer, over slices and tensors that share memory.
//!
//! | module | contents |
//! |---|---|
//! | [`linear`] | matrix products of a layer: forward, error to input, weight gradient |
//! | [`activation_function`] | bias and activation function, its derivative and its differences |
//! | [`buffer`] | memory as a slice and as tensors |
//! | [`scalar`] | float32 and float64 |

pub mod activation_function;
pub mod buffer;
pub mod linear;
pub mod scalar;
