//! Peers: large reports, peers that break the protocol, peers of other versions, floods, health checks, and KEDA.

mod floods;
mod health;
pub(crate) mod hostile;
mod misbehaving;
mod reports;
mod scaler;
mod versions;
