//! The connection of a command to the services for users: over the network, or within this process.

use std::task::{Context, Poll};

use biosweep_common::vocabulary::access::token::Token;
use biosweep_common::vocabulary::ids::StoreId;
use biosweep_connection::bearer::Bearer;
use biosweep_proto::v1::access_server::AccessServer;
use biosweep_proto::v1::sweeps_server::SweepsServer;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, InterceptedService, Service, StdError, http};
use tonic::transport::Channel;

use super::identity::StoreTag;
use super::version::{add_version, check_answer};
use super::{access, sweeps};
use crate::access::Administration;
use crate::commands::Commands;

/// The start of the paths of the service for access.
const ACCESS: &str = "/biosweep.v1.Access/";

/// A connection to a coordinator.
#[derive(Clone)]
pub struct Transport(Kind);

#[derive(Clone)]
enum Kind {
    /// To a coordinator at an address.
    There(InterceptedService<InterceptedService<Channel, StoreTag>, Bearer>),
    /// To a coordinator in this process, which nobody else can reach.
    Here(SweepsServer<sweeps::Service>, AccessServer<access::Service>),
}

impl Transport {
    /// To the coordinator at the other end of a channel. If a store is given, every request is for this store; if a token is
    /// given, every request carries it.
    pub fn there(channel: Channel, store: Option<StoreId>, token: Option<&Token>) -> Self {
        let tagged = InterceptedService::new(channel, StoreTag::new(store));
        Self(Kind::There(InterceptedService::new(tagged, Bearer::new(token))))
    }

    /// To the coordinator in this process.
    pub(crate) fn here(commands: Commands, administration: Administration) -> Self {
        Self(Kind::Here(super::sweeps_server(commands), super::access_server(administration)))
    }
}

impl Service<http::Request<Body>> for Transport {
    type Response = http::Response<Body>;
    type Error = StdError;
    type Future = BoxFuture<Self::Response, StdError>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), StdError>> {
        match &mut self.0 {
            Kind::There(service) => service.poll_ready(context).map_err(Into::into),
            // Both are ready whenever one is.
            Kind::Here(sweeps, _) => Service::<http::Request<Body>>::poll_ready(sweeps, context).map_err(Into::into),
        }
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        match &mut self.0 {
            Kind::There(service) => {
                add_version(request.headers_mut());
                let answer = service.call(request);
                Box::pin(async move {
                    let answer = answer.await?;
                    check_answer(&answer).map_err(|mismatch| Status::failed_precondition(mismatch.to_string()))?;
                    Ok(answer.map(Body::new))
                })
            }
            Kind::Here(_, access) if request.uri().path().starts_with(ACCESS) => {
                let answer = access.call(request);
                Box::pin(async move { Ok(answer.await?) })
            }
            Kind::Here(sweeps, _) => {
                let answer = sweeps.call(request);
                Box::pin(async move { Ok(answer.await?) })
            }
        }
    }
}
