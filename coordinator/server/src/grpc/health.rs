//! A port for health checks only, without TLS: it serves gRPC's health service and nothing else. Kubernetes' own checks before
//! version 1.37 have no TLS.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::transport::Server;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::connections;

/// The name of the service that serves as long as the process does.
const LIVENESS: &str = "liveness";
/// The names of the service that serves while the coordinator takes requests. The empty name means the whole server.
const READINESS: [&str; 2] = ["readiness", ""];
/// How long a connection may exist, and then how long its last answer may take.
const AGE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(2));
/// Maximum number of requests of one connection at once.
const REQUESTS_MAX: u32 = 8;
/// How long the last answers may take.
const CLOSING: Duration = Duration::from_secs(1);

/// A port for health checks. It listens before the coordinator is ready, and until the coordinator has stopped.
pub struct HealthPort {
    /// The address that it listens on.
    pub address: SocketAddr,
    reporter: HealthReporter,
    shutdown: CancellationToken,
    server: JoinHandle<Result<(), tonic::transport::Error>>,
    tasks: TaskTracker,
}

impl HealthPort {
    /// Listens on an address. The coordinator is not ready yet.
    ///
    /// # Errors
    /// An address that cannot be listened on.
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let listener = connections::listen(address)?;
        let address = listener.local_addr()?;
        let (reporter, health) = tonic_health::server::health_reporter();
        reporter.set_service_status(LIVENESS, ServingStatus::Serving).await;
        let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
        let callers = connections::accept_checks(listener, &tasks);
        let server = Server::builder()
            .max_connection_age(AGE.0)
            .max_connection_age_grace(AGE.1)
            .max_concurrent_streams(REQUESTS_MAX)
            .add_service(health.max_decoding_message_size(super::SHORT_BYTES_MAX))
            .serve_with_incoming_shutdown(callers, shutdown.clone().cancelled_owned());
        let port = Self { address, reporter, shutdown, server: tokio::spawn(server), tasks };
        port.set_ready(false).await;
        Ok(port)
    }

    /// Says whether the coordinator takes requests: not while it loads its state, and not while it stops.
    pub async fn set_ready(&self, is_ready: bool) {
        let status = if is_ready { ServingStatus::Serving } else { ServingStatus::NotServing };
        for service in READINESS {
            self.reporter.set_service_status(service, status).await;
        }
    }

    /// Stops listening. Callers that still follow the health are left.
    pub async fn close(mut self) {
        self.shutdown.cancel();
        if tokio::time::timeout(CLOSING, &mut self.server).await.is_err() {
            self.server.abort();
        }
        self.tasks.close();
        // The tasks end with the server. The answers to health checks do not matter any more.
        let _ended = tokio::time::timeout(CLOSING, self.tasks.wait()).await;
    }
}
