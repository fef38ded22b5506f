//! Peers: large reports, peers that break the protocol, peers of other versions, health checks, KEDA, and what tokens and
//! certificates allow.

mod access;
mod certificates;
mod health;
mod hostile;
mod login;
mod misbehaving;
mod reports;
mod scaler;
mod versions;
