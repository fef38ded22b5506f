//! Exports with one run a trial, which go to places of their own.
//!
//! | module | contents |
//! |---|---|
//! | [`event_files`] | the folder of TensorBoard event files |

pub(crate) mod event_files;
