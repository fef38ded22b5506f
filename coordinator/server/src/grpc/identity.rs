//! Whose store a coordinator serves. An address may have gone to another coordinator since it was written down: who means
//! a certain store has the coordinator prove that it serves that one, and says with every request which one is meant.

use std::time::Duration;

use biosweep_common::ids::StoreId;
use tonic::metadata::AsciiMetadataValue;
use tonic::service::Interceptor;
use tonic::transport::Endpoint;
use tonic::{Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

/// Names the store that a request is for.
const HEADER: &str = "biosweep-store";
/// How long a coordinator may take to prove itself.
const PROOF: Duration = Duration::from_secs(5);

/// What a coordinator calls its store among the services whose health it tells: one that serves another store does not
/// know the name.
pub(super) fn service_of(store: StoreId) -> String {
    format!("biosweep.store/{store}")
}

/// Whether the coordinator that listens there serves this store; no where nobody answers.
pub async fn serves(url: &str, store: StoreId) -> bool {
    let proof = async {
        let channel = Endpoint::from_shared(url.to_owned())?.connect_timeout(PROOF).connect().await?;
        let request = HealthCheckRequest { service: service_of(store) };
        let known = HealthClient::new(channel).check(request).await.is_ok();
        Ok::<_, tonic::transport::Error>(known)
    };
    matches!(tokio::time::timeout(PROOF, proof).await, Ok(Ok(true)))
}

/// Says with every request which store is meant, where that is known.
#[derive(Debug, Clone)]
pub struct StoreTag(Option<AsciiMetadataValue>);

impl StoreTag {
    /// Requests for that store; any store where none is given.
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

/// Refuses requests that are meant for another store than this one.
#[derive(Debug, Clone)]
pub(super) struct StoreCheck(pub(super) Option<StoreId>);

impl Interceptor for StoreCheck {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let own = self.0.map(|store| store.to_string());
        match request.metadata().get(HEADER) {
            Some(meant) if own.as_deref().map(str::as_bytes) != Some(meant.as_bytes()) => {
                Err(Status::failed_precondition(format!(
                    "the coordinator that listens here serves another store ({}) than the one that is meant ({}); give the \
                     command again",
                    own.as_deref().unwrap_or("one in memory"),
                    meant.to_str().unwrap_or("?"),
                )))
            }
            _ => Ok(request),
        }
    }
}
