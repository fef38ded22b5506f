//! The worker of biosweep: trains what a coordinator hands out.
//!
//! | module | contents |
//! |---|---|
//! | [`agent`], [`trainer`] | the stream to the coordinator, the training thread |
//! | [`checkpoint`] | checkpoints in a folder or an object store |
//! | [`spool`] | reports that the coordinator has not acknowledged yet |
//! | [`environment`] | environment variables that change the last bits of results |
//! | [`cli`] | the command line |

pub mod agent;
pub mod checkpoint;
pub mod cli;
pub mod environment;
pub mod spool;
pub mod trainer;
