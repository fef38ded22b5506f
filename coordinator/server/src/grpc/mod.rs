//! The gRPC services and the server for them, with health and reflection.
//!
//! | module | contents |
//! |---|---|
//! | `access` | the service for access: tokens, and the certificates of workers |
//! | `scaler` | the service for KEDA, which starts and ends workers on Kubernetes |
//! | `sweeps` | the service for users: submit, list, show, watch, cancel, results, curves |
//! | `workers` | the service for workers: one session each |
//! | [`health`] | a port for health checks only |
//! | [`identity`] | the check that a coordinator serves a certain store |
//! | `version` | the protocol version in the headers of commands and answers |
//! | [`transport`] | the connection of commands to the service for users |

mod access;
pub mod health;
pub mod identity;
mod scaler;
mod sweeps;
pub mod transport;
mod version;
mod workers;

use std::future::Future;
use std::io;
use std::time::Duration;

use biosweep_common::protocol::bounds::{TO_COORDINATOR_BYTES_MAX, TO_WORKER_BYTES_MAX};
use biosweep_common::protocol::error::WireError;
use biosweep_common::protocol::pieces::SWEEPS_MESSAGE_BYTES_MAX;
use biosweep_common::vocabulary::ids::StoreId;
use biosweep_proto::externalscaler::external_scaler_server::ExternalScalerServer;
use biosweep_proto::v1::access_server::AccessServer;
use biosweep_proto::v1::sweeps_server::SweepsServer;
use biosweep_proto::v1::workers_server::WorkersServer;
use biosweep_proto::{externalscaler, v1};
use biosweep_store::StoreError;
use futures::Stream;
use tokio::sync::watch;
use tonic::Status;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Server;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use self::identity::StoreCheck;
use self::version::Versioned;
use crate::access::Administration;
use crate::access::guard::Guard;
use crate::commands::Commands;
use crate::connections::Accepted;
use crate::driver::{DriverError, Stopped};

/// Keepalive of connections: seconds of silence until a ping, and seconds until an unanswered ping ends the connection.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(20));

/// Maximum bytes of a request for health or access, and of KEDA.
pub(crate) const SHORT_BYTES_MAX: usize = 256 * 1024;
/// Maximum number of requests of one connection at once. Each may hold a message in memory.
pub(crate) const REQUESTS_MAX: u32 = 32;

/// Why the server failed.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The transport failed.
    #[error("the gRPC server failed: {0}")]
    Transport(#[from] tonic::transport::Error),
    /// The reflection service could not be started.
    #[error("gRPC reflection cannot be offered: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The server ended unexpectedly.
    #[error("the coordinator ended unexpectedly; see its log")]
    Ended,
}

/// The service for users.
fn sweeps_server(commands: Commands) -> SweepsServer<sweeps::Service> {
    SweepsServer::new(sweeps::Service::new(commands))
        .max_decoding_message_size(SWEEPS_MESSAGE_BYTES_MAX)
        .max_encoding_message_size(SWEEPS_MESSAGE_BYTES_MAX)
}

/// The service for access.
fn access_server(administration: Administration) -> AccessServer<access::Service> {
    AccessServer::new(access::Service::new(administration))
        .max_decoding_message_size(SHORT_BYTES_MAX)
        .max_encoding_message_size(SWEEPS_MESSAGE_BYTES_MAX)
}

/// The service for KEDA. It is not bound to a version, because KEDA sends none.
fn scaler_server(commands: &Commands) -> ExternalScalerServer<scaler::Service> {
    ExternalScalerServer::new(scaler::Service::new(commands.handle.clone())).max_decoding_message_size(SHORT_BYTES_MAX)
}

/// Serves this store to those callers whom the guard admits, until `shutdown` completes.
pub(crate) async fn serve(
    callers: impl Stream<Item = io::Result<Accepted>>,
    store: Option<StoreId>,
    (commands, administration): (Commands, Administration),
    guard: Guard,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_serving::<SweepsServer<sweeps::Service>>().await;
    reporter.set_serving::<WorkersServer<workers::Service>>().await;
    if let Some(store) = store {
        reporter.set_service_status(identity::service_of(store), ServingStatus::Serving).await;
    }
    let tasks = commands.tasks.clone();
    tasks.spawn(tell_health(commands.handle.degraded(), reporter));
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(v1::DESCRIPTORS)
        .register_encoded_file_descriptor_set(externalscaler::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    Server::builder()
        // Keepalive ends a stream whose other end is gone without closing it.
        .http2_keepalive_interval(Some(KEEPALIVE.0))
        .http2_keepalive_timeout(Some(KEEPALIVE.1))
        .max_concurrent_streams(REQUESTS_MAX)
        .layer(guard.clone())
        .add_service(health.max_decoding_message_size(SHORT_BYTES_MAX))
        .add_service(reflection)
        .add_service(scaler_server(&commands))
        .add_service(Versioned(access_server(administration)))
        .add_service(InterceptedService::new(Versioned(sweeps_server(commands.clone())), StoreCheck(store)))
        .add_service(
            WorkersServer::new(workers::Service::new(commands, guard.0))
                .max_decoding_message_size(TO_COORDINATOR_BYTES_MAX)
                .max_encoding_message_size(TO_WORKER_BYTES_MAX),
        )
        .serve_with_incoming_shutdown(callers, shutdown)
        .await?;
    Ok(())
}

/// Reports the service for workers as unhealthy while the store cannot be written.
async fn tell_health(mut degraded: watch::Receiver<Option<String>>, reporter: HealthReporter) {
    // The task ends with the driver.
    while degraded.changed().await.is_ok() {
        if degraded.borrow_and_update().is_some() {
            reporter.set_not_serving::<WorkersServer<workers::Service>>().await;
        } else {
            reporter.set_serving::<WorkersServer<workers::Service>>().await;
        }
    }
}

fn command_failed(error: DriverError) -> Status {
    Status::unavailable(error.to_string())
}

fn stopped(error: Stopped) -> Status {
    Status::unavailable(error.to_string())
}

fn unreadable(error: &WireError) -> Status {
    match error {
        WireError::Version(_) => Status::failed_precondition(error.to_string()),
        _ => Status::invalid_argument(error.to_string()),
    }
}

fn store_failed(error: StoreError) -> Status {
    tracing::error!(%error, "a read failed");
    Status::internal(error.to_string())
}
