//! libtorch on this machine.
//!
//! | module | contents |
//! |---|---|
//! | [`device`] | the device that a worker trains on |
//! | [`libtorch`] | the loaded version of libtorch |
//! | [`environment`] | the numeric environment: everything that the last bits of results depend on |

pub mod device;
pub mod environment;
pub mod libtorch;
