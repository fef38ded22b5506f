//! Peers: large reports, peers that break the protocol, peers of other versions, what tokens and certificates allow, and other users of the machine.

mod access;
mod certificates;
mod floods;
mod hostile;
mod login;
mod misbehaving;
mod reports;
mod users;
mod versions;
