//! The protocol of coordinator and worker. Only this module converts between generated messages and domain types.
//!
//! | module | contents |
//! |---|---|
//! | [`messages`] | the messages of a worker's stream, as domain types |
//! | [`session`] | the worker's side of that stream, a pure state machine |
//! | [`error`] | why a message cannot be read |
//! | [`wire`] | the conversion traits, and the values that both services use |
//! | [`bounds`] | the limits of every field of a message |
//! | [`version`] | the version of the protocol, and the refusal of another one |
//! | [`reports`] | reports of any size; large ones are sent in pieces |
//! | `workers` | conversions for the service for workers |
//! | `access` | conversions for the service for access |
//! | `sweeps` | conversions for the service for users |
//! | [`pieces`] | long answers, in pieces |
//!
//! [`wire::FromWire`] reads a message and may refuse it. [`wire::IntoWire`] writes a message and cannot fail.

mod access;
pub mod bounds;
pub mod error;
pub mod messages;
pub mod pieces;
pub mod reports;
pub mod session;
mod sweeps;
pub mod version;
pub mod wire;
mod workers;
