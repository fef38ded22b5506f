//! Conversions between messages and domain types for the service for access.

use biosweep_proto::v1;

use super::bounds;
use super::error::WireError;
use super::wire::{FromWire, IntoWire, choice, parsed, required};
use crate::vocabulary::access::rows::{NewToken, TokenInfo, TokenView, USES_MAX};
use crate::vocabulary::time::WallTime;

/// Maximum milliseconds until a token expires: a hundred years.
const EXPIRY_MS_MAX: u64 = 100 * 366 * 86_400_000;

impl IntoWire<v1::CreateTokenRequest> for NewToken {
    fn into_wire(self) -> v1::CreateTokenRequest {
        let Self { role, label, expires_in_ms, uses } = self;
        v1::CreateTokenRequest { role: role.into_wire(), label, expires_in_ms, uses }
    }
}

impl FromWire<v1::CreateTokenRequest> for NewToken {
    fn from_wire(message: v1::CreateTokenRequest) -> Result<Self, WireError> {
        Ok(Self {
            role: choice(message.role, "role")?,
            label: bounds::line(message.label, "label")?,
            expires_in_ms: message.expires_in_ms.map(expiry).transpose()?,
            uses: message.uses.map(uses).transpose()?,
        })
    }
}

fn expiry(ms: u64) -> Result<u64, WireError> {
    let takes = || "a time of at most a hundred years".to_owned();
    bounds::within((1..=EXPIRY_MS_MAX).contains(&ms), ms, "expires_in_ms", takes)
}

fn uses(uses: u32) -> Result<u32, WireError> {
    bounds::within((1..=USES_MAX).contains(&uses), uses, "uses", || format!("a number from 1 to {USES_MAX}"))
}

impl IntoWire<v1::Token> for TokenView {
    fn into_wire(self) -> v1::Token {
        let TokenInfo { id, role, label, creator, created_at, expires_at, uses_left, revoked_at } = self.info;
        v1::Token {
            id: id.to_string(),
            role: role.into_wire(),
            label,
            creator,
            created_at_ms: created_at.0,
            expires_at_ms: expires_at.map(|at| at.0),
            uses_left,
            revoked_at_ms: revoked_at.map(|at| at.0),
            workers: self.workers,
        }
    }
}

impl FromWire<v1::Token> for TokenView {
    fn from_wire(message: v1::Token) -> Result<Self, WireError> {
        let time = |ms: u64, field| bounds::number(ms, field).map(WallTime);
        let info = TokenInfo {
            id: parsed(&message.id, "token.id")?,
            role: choice(message.role, "token.role")?,
            label: bounds::line(message.label, "token.label")?,
            creator: bounds::line(message.creator, "token.creator")?,
            created_at: time(message.created_at_ms, "token.created_at_ms")?,
            expires_at: message.expires_at_ms.map(|ms| time(ms, "token.expires_at_ms")).transpose()?,
            uses_left: message.uses_left,
            revoked_at: message.revoked_at_ms.map(|ms| time(ms, "token.revoked_at_ms")).transpose()?,
        };
        Ok(Self { info, workers: bounds::number(message.workers, "token.workers")? })
    }
}

impl FromWire<v1::ListTokensResponse> for Vec<TokenView> {
    fn from_wire(message: v1::ListTokensResponse) -> Result<Self, WireError> {
        message.tokens.into_iter().map(TokenView::from_wire).collect()
    }
}

impl FromWire<Option<v1::Token>> for TokenView {
    fn from_wire(message: Option<v1::Token>) -> Result<Self, WireError> {
        Self::from_wire(required(message, "token")?)
    }
}
