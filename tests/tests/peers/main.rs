//! Peers: large reports, peers that break the protocol, peers of other versions, and what tokens and certificates allow.

mod access;
mod certificates;
mod hostile;
mod login;
mod misbehaving;
mod reports;
mod versions;
