//! Peers: large reports, peers that break the protocol, peers of other versions, floods, memory, health checks, and KEDA.

mod floods;
mod health;
pub(crate) mod hostile;
mod memory;
mod misbehaving;
mod reports;
mod scaler;
mod versions;
