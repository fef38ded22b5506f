//! Peers: large reports, peers that break the protocol, peers of other versions, floods, memory, strangers and tokens that take
//! too much, health checks, and KEDA.

mod floods;
mod health;
pub(crate) mod hostile;
mod memory;
mod misbehaving;
mod reports;
mod scaler;
mod shares;
mod versions;
