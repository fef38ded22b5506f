//! What people change.
//!
//! | module | contents |
//! |---|---|
//! | [`submit`] | a new sweep |
//! | [`extend`] | more trials for a sweep |
//! | [`retry`] | failed trajectories, tried again |
//! | [`mod@delete`] | a sweep that goes |
//! | [`reuse`] | results that the store has already, for the first three |

pub mod delete;
pub mod extend;
pub mod retry;
pub mod reuse;
pub mod submit;
