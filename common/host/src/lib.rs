//! Access to the machine for both programs: time, signals, limits, logging.
//!
//! | module | contents |
//! |---|---|
//! | [`clock`] | the clock; only this module reads the time |
//! | [`id`] | new ids |
//! | [`logging`] | logging, set up once per program |
//! | `stop` | the signals that ask a program to stop |
//! | `deadline` | the end of a batch job |
//! | [`memory`] | the amount of memory |
//! | [`name`] | the name of the machine |
//! | [`limits`] | limits on open files and threads |
//! | `variables` | environment variables of command-line flags |

pub mod clock;
#[cfg(feature = "program")]
pub mod deadline;
pub mod id;
pub mod limits;
pub mod logging;
pub mod memory;
pub mod name;
#[cfg(feature = "program")]
pub mod stop;
#[cfg(feature = "program")]
pub mod variables;
