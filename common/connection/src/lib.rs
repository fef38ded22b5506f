//! How the programs of biosweep reach a coordinator.
//!
//! | module | contents |
//! |---|---|
//! | [`mod@file`] | connection files: addresses, fingerprint, token |
//! | [`authority`] | the check that a server's certificate comes from the expected authority |
//! | [`identity`] | the key and the certificate of a worker |
//! | [`dial`] | connections: TCP, TLS, and the channel of gRPC on top |
//! | [`stream`] | an open connection, with or without TLS |
//! | [`user`] | the user of this machine at the other end of a connection |
//! | [`bearer`] | the token in the headers of requests |

pub mod authority;
pub mod bearer;
pub mod dial;
pub mod file;
pub mod identity;
pub mod stream;
pub mod user;
