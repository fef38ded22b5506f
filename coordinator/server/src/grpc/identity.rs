//! The identity of a coordinator's store. An address may belong to another coordinator by now. A client that needs a
//! certain store first checks that the coordinator serves it, and then sends the store's id with every request.

use std::time::Duration;

use biosweep_common::vocabulary::ids::StoreId;
use biosweep_connection::dial::Dialer;
use biosweep_connection::file::ConnectionFile;
use tonic::metadata::AsciiMetadataValue;
use tonic::service::Interceptor;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, health_check_response};

/// The header with the store that a request is for.
const HEADER: &str = "biosweep-store";
/// The time limit for the answer of a coordinator about its store.
const PROOF: Duration = Duration::from_secs(5);

/// The name of the store in gRPC's health service. A coordinator with another store does not know the name.
pub(super) fn service_of(store: StoreId) -> String {
    format!("biosweep.store/{store}")
}

/// Whether a coordinator that is reached in this way serves this store; `false` if there is no answer. The token is not sent.
pub async fn serves(connection: &ConnectionFile, store: StoreId) -> bool {
    let proof = async {
        let url = connection.first_address();
        let endpoint = Endpoint::from_shared(url.to_owned()).ok()?.connect_timeout(PROOF);
        let channel = Dialer::new(url, connection, None).ok()?.connect(&endpoint).await.ok()?;
        let request = HealthCheckRequest { service: service_of(store) };
        Some(HealthClient::new(channel).check(request).await.is_ok())
    };
    matches!(tokio::time::timeout(PROOF, proof).await, Ok(Some(true)))
}

/// Whether a coordinator serves its store: one that stands by does not.
pub async fn is_serving(channel: Channel) -> bool {
    let request = HealthCheckRequest { service: String::new() };
    let answer = tokio::time::timeout(PROOF, HealthClient::new(channel).check(request)).await;
    matches!(answer, Ok(Ok(answer)) if answer.get_ref().status() == health_check_response::ServingStatus::Serving)
}

/// Adds the store's id to every request, if it is known.
#[derive(Debug, Clone)]
pub struct StoreTag(Option<AsciiMetadataValue>);

impl StoreTag {
    /// For requests to that store, or to any store if none is given.
    #[must_use]
    pub fn new(store: Option<StoreId>) -> Self {
        Self(store.and_then(|store| store.to_string().parse().ok()))
    }
}

impl Interceptor for StoreTag {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(store) = &self.0 {
            request.metadata_mut().insert(HEADER, store.clone());
        }
        Ok(request)
    }
}

/// Refuses requests for another store than this one.
#[derive(Debug, Clone)]
pub(super) struct StoreCheck(pub(super) Option<StoreId>);

impl Interceptor for StoreCheck {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let own = self.0.map(|store| store.to_string());
        match request.metadata().get(HEADER) {
            Some(meant) if own.as_deref().map(str::as_bytes) != Some(meant.as_bytes()) => {
                Err(Status::failed_precondition(format!(
                    "the coordinator at this address serves the store {}, but the request is for the store {}; run the \
                     command again",
                    own.as_deref().unwrap_or("one in memory"),
                    meant.to_str().unwrap_or("?"),
                )))
            }
            _ => Ok(request),
        }
    }
}
