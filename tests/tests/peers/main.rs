//! Peers: large reports, peers that break the protocol, peers of other versions, floods, health checks, KEDA, what tokens and
//! certificates allow, and other users of the machine.

mod access;
mod certificates;
mod floods;
mod health;
mod hostile;
mod login;
mod misbehaving;
mod reports;
mod scaler;
mod users;
mod versions;
