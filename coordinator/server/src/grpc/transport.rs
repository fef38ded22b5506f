//! The connection of a command to the service for users: over the network, or within this process.

use std::task::{Context, Poll};

use biosweep_common::vocabulary::ids::StoreId;
use biosweep_proto::v1::sweeps_server::SweepsServer;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, InterceptedService, Service, StdError, http};
use tonic::transport::Channel;

use super::identity::StoreTag;
use super::sweeps;
use crate::commands::Commands;

/// A connection to a coordinator.
#[derive(Clone)]
pub struct Transport(Kind);

#[derive(Clone)]
enum Kind {
    /// To a coordinator at an address.
    There(InterceptedService<Channel, StoreTag>),
    /// To a coordinator in this process, which nobody else can reach.
    Here(SweepsServer<sweeps::Service>),
}

impl Transport {
    /// To the coordinator at the other end of a channel. If a store is given, every request is for this store.
    pub fn there(channel: Channel, store: Option<StoreId>) -> Self {
        Self(Kind::There(InterceptedService::new(channel, StoreTag::new(store))))
    }

    /// To the coordinator in this process.
    pub fn here(commands: Commands) -> Self {
        Self(Kind::Here(super::sweeps_server(commands)))
    }
}

impl Service<http::Request<Body>> for Transport {
    type Response = http::Response<Body>;
    type Error = StdError;
    type Future = BoxFuture<Self::Response, StdError>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), StdError>> {
        match &mut self.0 {
            Kind::There(service) => service.poll_ready(context).map_err(Into::into),
            Kind::Here(service) => Service::<http::Request<Body>>::poll_ready(service, context).map_err(Into::into),
        }
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        match &mut self.0 {
            Kind::There(service) => {
                let answer = service.call(request);
                Box::pin(async move { Ok(answer.await?.map(Body::new)) })
            }
            Kind::Here(service) => {
                let answer = service.call(request);
                Box::pin(async move { Ok(answer.await?) })
            }
        }
    }
}
