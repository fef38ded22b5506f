//! What both programs need of the machine they run on.
//!
//! | file | holds |
//! |---|---|
//! | [`clock`] | the only reader of time |
//! | [`id`] | fresh ids |
//! | [`logging`] | logging, set up once per program |
//! | `stop` | the signals that ask a program to stop |
//! | `deadline` | the time at which a batch job ends |
//! | [`memory`] | how much memory there is |
//! | [`name`] | the name of the machine |
//! | [`limits`] | limits on open files and threads |
//! | `variables` | environment variables of the command line |

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
