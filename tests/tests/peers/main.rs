//! Peers: large reports, and peers that break the protocol.

mod hostile;
mod misbehaving;
mod reports;
