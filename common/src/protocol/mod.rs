//! What coordinator and worker say to each other, and the only place where generated messages meet domain types.
//!
//! | module | contents |
//! |---|---|
//! | [`messages`] | the messages of a worker's stream, as domain types |
//! | [`session`] | the worker's side of that stream, a pure state machine |
//! | [`wire`] | the conversion traits, their errors, and the values that both services use |
//! | [`bounds`] | the bounds of every field that a peer may send |
//! | [`reports`] | reports of any size, in pieces where they are large |
//! | `workers` | conversions for the service of workers |
//! | `sweeps` | conversions for the service of people |
//! | [`pieces`] | answers that may be long, in pieces |
//!
//! A message is read with [`wire::FromWire`] and may be refused; it is written with [`wire::IntoWire`] and always can be.

pub mod bounds;
pub mod messages;
pub mod pieces;
pub mod reports;
pub mod session;
mod sweeps;
pub mod wire;
mod workers;
