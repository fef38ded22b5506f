//! The service for access: tokens, and the certificates of workers.

use biosweep_common::protocol::bounds::{asked, shown};
use biosweep_common::protocol::wire::{FromWire as _, IntoWire as _};
use biosweep_common::vocabulary::access::rows::NewToken;
use biosweep_proto::v1;
use biosweep_proto::v1::access_server::Access;
use tonic::{Request, Response, Status};

use super::{command_failed, unreadable};
use crate::access::registry::Caller;
use crate::access::{AccessError, Administration};

#[derive(Clone)]
pub(super) struct Service {
    administration: Administration,
}

impl Service {
    pub(super) const fn new(administration: Administration) -> Self {
        Self { administration }
    }
}

/// Who sent a request. A request from within this process comes from the owner.
fn caller<T>(request: &Request<T>) -> Caller {
    request.extensions().get().cloned().unwrap_or(Caller::Owner)
}

#[tonic::async_trait]
impl Access for Service {
    async fn enrol(&self, request: Request<v1::EnrolRequest>) -> Result<Response<v1::EnrolResponse>, Status> {
        let caller = caller(&request);
        let v1::EnrolRequest { worker, request } = request.into_inner();
        let id = worker.parse();
        let id = id.map_err(|_| Status::invalid_argument(format!("`{}` is not an id", shown(&worker))))?;
        let chain = self.administration.enrol(&caller, id, &request).await.map_err(failed)?;
        Ok(Response::new(v1::EnrolResponse { chain }))
    }

    async fn renew(&self, request: Request<v1::RenewRequest>) -> Result<Response<v1::RenewResponse>, Status> {
        let caller = caller(&request);
        let chain = self.administration.renew(&caller, &request.into_inner().request).await.map_err(failed)?;
        Ok(Response::new(v1::RenewResponse { chain }))
    }

    async fn create_token(
        &self,
        request: Request<v1::CreateTokenRequest>,
    ) -> Result<Response<v1::CreateTokenResponse>, Status> {
        let caller = caller(&request);
        let new = NewToken::from_wire(request.into_inner()).map_err(|error| unreadable(&error))?;
        let (token, row) = self.administration.create(new, &caller).await.map_err(failed)?;
        Ok(Response::new(v1::CreateTokenResponse { token: token.to_text(), row: Some(row.into_wire()) }))
    }

    async fn list_tokens(
        &self,
        _request: Request<v1::ListTokensRequest>,
    ) -> Result<Response<v1::ListTokensResponse>, Status> {
        let tokens = self.administration.list().map_err(failed)?;
        let tokens = tokens.into_iter().map(|token| token.into_wire()).collect();
        Ok(Response::new(v1::ListTokensResponse { tokens }))
    }

    async fn revoke(&self, request: Request<v1::RevokeRequest>) -> Result<Response<v1::RevokeResponse>, Status> {
        let id = request.into_inner().id;
        let id = asked(&id).map_err(|error| unreadable(&error))?;
        let workers = self.administration.revoke(id).await.map_err(failed)?;
        Ok(Response::new(v1::RevokeResponse { workers }))
    }
}

fn failed(error: AccessError) -> Status {
    let why = error.to_string();
    match error {
        AccessError::Unprotected | AccessError::NoAuthority => Status::failed_precondition(why),
        AccessError::NoSuch { .. } => Status::not_found(why),
        AccessError::Invalid(_) | AccessError::Revoked { .. } => Status::unauthenticated(why),
        AccessError::OtherKey { .. } | AccessError::Owned { .. } | AccessError::NotAWorker => {
            Status::permission_denied(why)
        }
        AccessError::Request(_) => Status::invalid_argument(why),
        AccessError::DriverError(error) => command_failed(error),
    }
}
