//! What both programs need of the machine they run on.
//!
//! | file | holds |
//! |---|---|
//! | [`stop`] | the signals that ask a program to stop |
//! | [`deadline`] | the time at which a batch job ends |
//! | [`name`] | the name of the machine |
//! | [`limits`] | limits on open files and threads |
//! | [`variables`] | environment variables of the command line |

pub mod deadline;
pub mod limits;
pub mod name;
pub mod stop;
pub mod variables;
