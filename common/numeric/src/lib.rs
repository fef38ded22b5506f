//! Numbers that are the same on every machine.
//!
//! | module | contents |
//! |---|---|
//! | [`random`] | random streams, each a pure function of what it is for |
//! | [`vector`] | loops compiled for several instruction sets |

pub mod random;
pub mod vector;

#[doc(hidden)]
pub use multiversion;
