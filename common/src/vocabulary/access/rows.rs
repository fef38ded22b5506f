//! What is known of a token, and of a worker that enrolled with one.

use super::role::Role;
use super::token::{Fingerprint, TokenId};
use crate::vocabulary::ids::WorkerId;
use crate::vocabulary::time::WallTime;

/// Maximum bytes of a token's label, and of the name of its creator.
pub const LABEL_BYTES_MAX: usize = 128;
/// Maximum number of uses of a token.
pub const USES_MAX: u32 = 1_000_000;

/// What users may know of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenInfo {
    /// The public name.
    pub id: TokenId,
    /// The role.
    pub role: Role,
    /// What its creator wrote to it; may be empty.
    pub label: String,
    /// Who created it.
    pub creator: String,
    /// Time of the creation.
    pub created_at: WallTime,
    /// When it expires; `None` for never.
    pub expires_at: Option<WallTime>,
    /// How many workers may still enrol with it; `None` for any number.
    pub uses_left: Option<u32>,
    /// When it was revoked.
    pub revoked_at: Option<WallTime>,
}

/// A token as a coordinator stores it: without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    /// What users may know.
    pub info: TokenInfo,
    /// SHA-256 of the secret.
    pub secret_digest: [u8; 32],
}

/// A token as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenView {
    /// The token.
    pub info: TokenInfo,
    /// Number of workers that enrolled with it.
    pub workers: u64,
}

/// A request for a new token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    /// The role.
    pub role: Role,
    /// What its creator writes to it; may be empty.
    pub label: String,
    /// Milliseconds until it expires; `None` for never.
    pub expires_in_ms: Option<u64>,
    /// How many workers may enrol with it; `None` for any number.
    pub uses: Option<u32>,
}

/// A worker that enrolled: it has a certificate for its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolledWorker {
    /// The worker.
    pub worker: WorkerId,
    /// SHA-256 of the public key of its first enrolment. It enrols with no other one.
    pub key: Fingerprint,
    /// The token with which it enrolled last.
    pub token: TokenId,
    /// Time of its last enrolment or renewal.
    pub enrolled_at: WallTime,
    /// When it was revoked.
    pub revoked_at: Option<WallTime>,
}

/// Why a token is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// It was revoked.
    #[error("the token was revoked")]
    Revoked,
    /// It has expired.
    #[error("the token has expired")]
    Expired,
    /// Every use is used up.
    #[error("the token has no uses left")]
    UsedUp,
}

impl TokenInfo {
    /// Checks that the token is valid now, apart from its uses.
    ///
    /// # Errors
    /// Why it is not.
    pub fn check(&self, now: WallTime) -> Result<(), Invalid> {
        if self.revoked_at.is_some() {
            return Err(Invalid::Revoked);
        }
        if self.expires_at.is_some_and(|expires| expires <= now) {
            return Err(Invalid::Expired);
        }
        Ok(())
    }

    /// Checks that one more worker may enrol with it now.
    ///
    /// # Errors
    /// Why not.
    pub fn check_use(&self, now: WallTime) -> Result<(), Invalid> {
        self.check(now)?;
        if self.uses_left == Some(0) { Err(Invalid::UsedUp) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_valid_until_it_expires_is_revoked_or_used_up() {
        let token = TokenInfo {
            id: TokenId([0; 8]),
            role: Role::Worker,
            label: String::new(),
            creator: "a".to_owned(),
            created_at: WallTime(0),
            expires_at: Some(WallTime(10)),
            uses_left: Some(1),
            revoked_at: None,
        };
        assert_eq!((token.check_use(WallTime(9)), token.check(WallTime(10))), (Ok(()), Err(Invalid::Expired)));
        let used = TokenInfo { uses_left: Some(0), ..token.clone() };
        assert_eq!((used.check_use(WallTime(9)), used.check(WallTime(9))), (Err(Invalid::UsedUp), Ok(())));
        let revoked = TokenInfo { revoked_at: Some(WallTime(1)), ..token };
        assert_eq!(revoked.check(WallTime(9)), Err(Invalid::Revoked));
    }
}
