//! Checkpoints: a lane's whole state on disk or in an object store, so that who takes it up next goes on where it was.
//!
//! | module | contents |
//! |---|---|
//! | [`store`] | where the files lie: two for each trajectory at most, the newest first |
//! | [`writer`] | writes them beside training |

pub mod store;
pub mod writer;
