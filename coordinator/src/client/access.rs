//! Requests about access: tokens.

use biosweep_common::protocol::error::WireError;
use biosweep_common::protocol::wire::{FromWire as _, IntoWire as _};
use biosweep_common::vocabulary::access::rows::{NewToken, TokenView};
use biosweep_common::vocabulary::access::token::Token;
use biosweep_proto::v1;

use super::{Client, ClientError};

impl Client {
    /// Creates a token. Only this answer has its secret.
    pub(crate) async fn create_token(&mut self, new: NewToken) -> Result<(Token, TokenView), ClientError> {
        let response = self.access.create_token(new.into_wire()).await?.into_inner();
        let unreadable = |_| WireError::Unreadable { field: "token", value: "…".to_owned() };
        Ok((response.token.parse().map_err(unreadable)?, TokenView::from_wire(response.row)?))
    }

    /// All tokens, oldest first.
    pub(crate) async fn tokens(&mut self) -> Result<Vec<TokenView>, ClientError> {
        Ok(Vec::from_wire(self.access.list_tokens(v1::ListTokensRequest {}).await?.into_inner())?)
    }

    /// Revokes a token or the certificate of a worker; returns the number of workers whose certificates are no longer valid.
    pub(crate) async fn revoke(&mut self, id: &str) -> Result<u64, ClientError> {
        Ok(self.access.revoke(v1::RevokeRequest { id: id.to_owned() }).await?.into_inner().workers)
    }
}
