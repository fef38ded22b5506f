//! Workers: their capabilities, their numeric environment, and the values of their flags.

pub mod capability;
pub mod environment;
pub mod flags;
