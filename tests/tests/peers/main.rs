//! Peers: large reports, peers that break the protocol, and what tokens and certificates allow.

mod access;
mod certificates;
mod hostile;
mod login;
mod misbehaving;
mod reports;
