//! Access to the machine for both programs: time, signals, limits, logging.
//!
//! | module | contents |
//! |---|---|
//! | [`clock`] | the clock; only this module reads the time |
//! | [`id`] | new ids |
//! | [`logging`] | logging, set up once per program |
//! | `stop` | the signals that ask a program to stop |
//! | `deadline` | the end of a batch job |
//! | [`name`] | the name of the machine |
//! | [`private`] | folders of one user |
//! | [`process`] | the identity of a process |
//! | [`resources`] | the cores and the memory that this process may use |
//! | `traces` | traces for OpenTelemetry |
//! | `variables` | environment variables of command-line flags |

pub mod clock;
#[cfg(feature = "program")]
pub mod deadline;
pub mod id;
pub mod logging;
pub mod name;
pub mod private;
pub mod process;
pub mod resources;
#[cfg(feature = "program")]
pub mod stop;
#[cfg(feature = "traces")]
pub mod traces;
#[cfg(feature = "program")]
pub mod variables;
