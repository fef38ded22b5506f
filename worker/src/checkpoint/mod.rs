//! Checkpoints: a lane's whole state on disk or in an object store, so that who takes it up next goes on where it was.
//!
//! | module | contents |
//! |---|---|
//! | [`shelf`] | where the files lie: two for each trajectory at most, the newest first |
//! | [`keeper`] | writes them beside training |

pub mod keeper;
pub mod shelf;
