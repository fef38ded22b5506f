//! What people and programs read: stdout is the answer, stderr the conversation.
//!
//! | module | writes |
//! |---|---|
//! | [`human`] | answers for people |
//! | [`json`] | answers for programs, with stable field names |
//! | [`table`] | tables |
//! | [`progress`] | a sweep as it runs |
//! | [`spec_error`] | mistakes in a spec, each at its place |

pub(crate) mod human;
pub(crate) mod json;
pub(crate) mod progress;
pub(crate) mod spec_error;
pub(crate) mod table;
