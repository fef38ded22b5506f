//! Changes of access: tokens, and workers that enrol with them. The scheduler passes them on and does not read them.

use biosweep_common::vocabulary::access::rows::{EnrolledWorker, TokenRow};
use biosweep_common::vocabulary::access::token::TokenId;
use biosweep_common::vocabulary::ids::WorkerId;
use biosweep_common::vocabulary::time::WallTime;

/// A change of access to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessChange {
    /// A token was created.
    TokenCreated(TokenRow),
    /// A token was revoked, with the certificates of all workers that enrolled with it.
    TokenRevoked {
        /// The token.
        id: TokenId,
        /// Time of the revocation.
        at: WallTime,
    },
    /// A worker enrolled with a token, which has one use less if its uses are counted.
    Enrolled(EnrolledWorker),
    /// The certificates of a worker were revoked.
    WorkerRevoked {
        /// The worker.
        worker: WorkerId,
        /// Time of the revocation.
        at: WallTime,
    },
}

/// All that a store knows of access.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessRows {
    /// The tokens, oldest first.
    pub tokens: Vec<TokenRow>,
    /// The workers, by id.
    pub workers: Vec<EnrolledWorker>,
}
