//! Checkpoints: the state of a lane on disk or in an object store, from which any worker can resume.
//!
//! | module | contents |
//! |---|---|
//! | [`store`] | the checkpoint store: at most two files per trajectory |
//! | [`writer`] | writes checkpoints while training goes on |

pub mod store;
pub mod writer;
