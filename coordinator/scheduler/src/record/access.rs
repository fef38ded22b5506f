//! Changes of access: tokens, and workers that enrol with them. The scheduler passes them on and does not read them.

use std::collections::BTreeMap;

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
    /// A worker has a new certificate for its key.
    Renewed {
        /// The worker.
        worker: WorkerId,
        /// Time of the certificate.
        at: WallTime,
    },
    /// Workers without a certificate since a time are forgotten, but for those that were revoked.
    Forgotten {
        /// This time.
        before: WallTime,
    },
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

/// The tokens and the enrolled workers in memory.
#[derive(Debug, Clone, Default)]
pub struct AccessTables {
    /// The tokens.
    pub tokens: BTreeMap<TokenId, TokenRow>,
    /// The workers.
    pub workers: BTreeMap<WorkerId, EnrolledWorker>,
}

impl From<AccessRows> for AccessTables {
    fn from(rows: AccessRows) -> Self {
        Self {
            tokens: rows.tokens.into_iter().map(|row| (row.info.id, row)).collect(),
            workers: rows.workers.into_iter().map(|row| (row.worker, row)).collect(),
        }
    }
}

impl AccessTables {
    /// The tokens, oldest first, and the workers, by id.
    #[must_use]
    pub fn rows(&self) -> AccessRows {
        let mut tokens: Vec<TokenRow> = self.tokens.values().cloned().collect();
        tokens.sort_by_key(|row| (row.info.created_at, row.info.id));
        AccessRows { tokens, workers: self.workers.values().cloned().collect() }
    }

    /// Applies a change completely, or refuses it and changes nothing. Stores in SQL do the same.
    ///
    /// # Errors
    /// A token that already exists, is unknown, or has no uses left.
    pub fn apply(&mut self, change: &AccessChange) -> Result<(), String> {
        match change {
            AccessChange::TokenCreated(row) => {
                if self.tokens.contains_key(&row.info.id) {
                    return Err(format!("token {} already exists", row.info.id));
                }
                self.tokens.insert(row.info.id, row.clone());
            }
            AccessChange::TokenRevoked { id, at } => {
                if let Some(token) = self.tokens.get_mut(id) {
                    token.info.revoked_at.get_or_insert(*at);
                }
                for worker in self.workers.values_mut().filter(|worker| worker.token == *id) {
                    worker.revoked_at.get_or_insert(*at);
                }
            }
            AccessChange::Enrolled(row) => {
                let token = self.tokens.get_mut(&row.token);
                let token = token.ok_or_else(|| format!("token {} does not exist", row.token))?;
                if let Some(uses) = &mut token.info.uses_left {
                    *uses = uses.checked_sub(1).ok_or_else(|| format!("token {} has no uses left", row.token))?;
                }
                let known = self.workers.entry(row.worker).or_insert_with(|| row.clone());
                (known.token, known.enrolled_at) = (row.token, row.enrolled_at);
            }
            AccessChange::Renewed { worker, at } => {
                if let Some(worker) = self.workers.get_mut(worker) {
                    worker.enrolled_at = *at;
                }
            }
            AccessChange::Forgotten { before } => {
                self.workers.retain(|_, worker| worker.revoked_at.is_some() || worker.enrolled_at >= *before);
            }
            AccessChange::WorkerRevoked { worker, at } => {
                if let Some(worker) = self.workers.get_mut(worker) {
                    worker.revoked_at.get_or_insert(*at);
                }
            }
        }
        Ok(())
    }
}
