//! Numeric code with the same results on every machine.
//!
//! | module | contents |
//! |---|---|
//! | [`random`] | random streams, each a pure function of its name |
//! | [`vector`] | loops compiled for several instruction sets |

pub mod random;
pub mod vector;

#[doc(hidden)]
pub use multiversion;
