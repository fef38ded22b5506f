//! Who may call a coordinator: tokens, certificates, roles.
//!
//! | module | contents |
//! |---|---|
//! | [`authority`] | the certificate authority, and every certificate that it signs |
//! | `tls` | TLS of connections: the certificate of the server, and those of its callers |
//! | `registry` | the tokens and the enrolled workers in memory, and who a caller is |
//! | `policy` | the table of methods: who may call what |
//! | `guard` | the check of every request, and the end of answers to callers that are no longer allowed |
//! | [`inspection`] | the dates of the certificates in a folder |
//! | `administration` | creating, listing and revoking tokens; enrolling workers |

mod administration;
pub mod authority;
pub(crate) mod guard;
pub mod inspection;
pub(crate) mod policy;
pub(crate) mod registry;
pub(crate) mod tls;

pub use administration::AccessError;
pub(crate) use administration::Administration;
