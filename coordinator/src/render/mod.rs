//! Output for people and programs: answers on stdout, messages on stderr.
//!
//! | module | contents |
//! |---|---|
//! | [`access`] | tokens |
//! | [`best`] | the best candidates |
//! | [`compare`] | the comparison of two arms |
//! | [`human`] | answers for people |
//! | [`importance`] | the importance of axes |
//! | [`json`] | answers for programs, with stable field names |
//! | [`table`] | tables |
//! | [`progress`] | the progress of a sweep |
//! | [`rate`] | the speed of a sweep, and its remaining time |
//! | [`sensitivity`] | the sensitivity of arms to their tuning settings |
//! | [`spec_error`] | errors in a spec, each with its place |

pub(crate) mod access;
pub(crate) mod best;
pub(crate) mod compare;
pub(crate) mod human;
pub(crate) mod importance;
pub(crate) mod json;
pub(crate) mod progress;
pub(crate) mod rate;
pub(crate) mod sensitivity;
pub(crate) mod spec_error;
pub(crate) mod table;
