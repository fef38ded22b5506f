//! Tokens and enrolled workers in memory.

use std::collections::BTreeMap;

use biosweep_common::vocabulary::access::rows::{EnrolledWorker, TokenRow};
use biosweep_common::vocabulary::access::token::TokenId;
use biosweep_common::vocabulary::ids::WorkerId;
use biosweep_scheduler::record::{AccessChange, AccessRows};

#[derive(Debug, Default, Clone)]
pub(super) struct Access {
    tokens: BTreeMap<TokenId, TokenRow>,
    workers: BTreeMap<WorkerId, EnrolledWorker>,
}

impl Access {
    /// Applies a change completely, or refuses it and changes nothing.
    pub(super) fn apply(&mut self, change: &AccessChange) -> Result<(), String> {
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
            AccessChange::WorkerRevoked { worker, at } => {
                if let Some(worker) = self.workers.get_mut(worker) {
                    worker.revoked_at.get_or_insert(*at);
                }
            }
        }
        Ok(())
    }

    pub(super) fn rows(&self) -> AccessRows {
        let mut tokens: Vec<TokenRow> = self.tokens.values().cloned().collect();
        tokens.sort_by_key(|row| (row.info.created_at, row.info.id));
        AccessRows { tokens, workers: self.workers.values().cloned().collect() }
    }
}
