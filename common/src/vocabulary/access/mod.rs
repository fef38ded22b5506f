//! Who may do what: roles, tokens, and the fingerprint of a certificate authority.
//!
//! | module | contents |
//! |---|---|
//! | [`role`] | the roles, and what includes what |
//! | [`token`] | tokens as text: `bsj1.<fingerprint>.<id>.<secret>` |
//! | [`rows`] | what is known of a token, and of a worker that enrolled with one |

pub mod role;
pub mod rows;
pub mod token;
