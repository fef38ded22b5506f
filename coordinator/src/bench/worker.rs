//! A worker's side of a session without training: it reports every trajectory as completed, at once or after a delay.

use std::collections::VecDeque;
use std::thread::JoinHandle;
use std::time::Duration;

use biosweep_common::configuration::NUMERICS_VERSION;
use biosweep_common::protocol::messages::{Grant, Held, Hello, Report, ToCoordinator, ToWorker, WorkerDescription};
use biosweep_common::protocol::wire::{FromWire, IntoWire};
use biosweep_common::results::curve::CurvePoint;
use biosweep_common::results::outcome::Outcome;
use biosweep_common::vocabulary::ids::WorkerId;
use biosweep_common::workers::capability::Capabilities;
use biosweep_connection::bearer::Bearer;
use biosweep_connection::dial::Dialer;
use biosweep_connection::file::ConnectionFile;
use biosweep_host::clock::Clock;
use biosweep_host::id::new_id;
use biosweep_proto::v1;
use biosweep_proto::v1::workers_client::WorkersClient;
use tokio::runtime::Builder;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Endpoint;

use super::BenchError;
use crate::client::ClientError;

/// Maximum number of messages that wait to be sent.
const OUTBOX: usize = 1_024;

/// How a worker takes leases and ends them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    /// Maximum number of trajectories in a lease.
    pub(super) lanes: u32,
    /// Leases it holds at the same time.
    pub(super) slots: u32,
    /// Simulated duration of training.
    pub(super) trains: Duration,
}

/// A worker whose stream is open.
pub(super) struct BenchWorker {
    manner: Manner,
    out: mpsc::Sender<v1::WorkerMessage>,
    inbound: Streaming<v1::CoordinatorMessage>,
    heartbeat: Duration,
}

impl BenchWorker {
    /// Connects and waits for the welcome.
    pub(super) async fn connect(connection: &ConnectionFile, manner: Manner) -> Result<Self, BenchError> {
        let url = connection.first_address();
        let unreachable =
            |error: tonic::transport::Error| ClientError::Unreachable { url: url.to_owned(), why: error.to_string() };
        let description = WorkerDescription {
            name: "bench".to_owned(),
            capabilities: Capabilities { device: "none".to_owned(), ..Capabilities::default() },
            lanes: manner.lanes * manner.slots,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..WorkerDescription::default()
        };
        let hello =
            Hello { worker: new_id::<WorkerId>(), description, numerics_version: NUMERICS_VERSION, held: Vec::new() };
        let (out, letters) = mpsc::channel(OUTBOX);
        out.try_send(ToCoordinator::Hello(hello).into_wire()).map_err(|_| BenchError::Closed)?;
        let endpoint = Endpoint::from_shared(url.to_owned()).map_err(unreachable)?;
        let dialer = Dialer::new(url, connection, None).map_err(ClientError::from)?;
        let channel = dialer.connect(&endpoint).await.map_err(unreachable)?;
        let mut client = WorkersClient::with_interceptor(channel, Bearer::new(connection.token.as_ref()));
        let inbound = client.session(ReceiverStream::new(letters)).await.map_err(ClientError::from)?.into_inner();
        let mut worker = Self { manner, out, inbound, heartbeat: Duration::ZERO };
        match worker.receive().await? {
            ToWorker::Welcome { heartbeat_ms, .. } => worker.heartbeat = Duration::from_millis(heartbeat_ms),
            other => return Err(BenchError::Unexpected { message: format!("{other:?}") }),
        }
        for _ in 0..manner.slots {
            worker.say(ToCoordinator::Poll { lanes: manner.lanes }).await?;
        }
        Ok(worker)
    }

    /// Works until the coordinator ends. Sends to `waits` the seconds from each report of a lease's last trajectory to
    /// the next grant.
    pub(super) async fn work(mut self, waits: mpsc::UnboundedSender<f64>) -> Result<(), BenchError> {
        let clock = Clock::start();
        let mut finished = VecDeque::new();
        loop {
            let ToWorker::Grant(grant) = self.receive().await? else { continue };
            if let Some(at) = finished.pop_front() {
                // The receiver may be gone already.
                let _uncounted = waits.send(clock.seconds() - at);
            }
            if !self.manner.trains.is_zero() {
                tokio::time::sleep(self.manner.trains).await;
            }
            for report in reports(&grant) {
                self.say(report).await?;
            }
            self.say(ToCoordinator::Poll { lanes: self.manner.lanes }).await?;
            finished.push_back(clock.seconds());
        }
    }

    /// Only sends heartbeats, until the coordinator ends.
    pub(super) async fn idle(mut self) -> Result<(), BenchError> {
        let mut beats = tokio::time::interval(self.heartbeat);
        loop {
            tokio::select! {
                _now = beats.tick() => self.say(ToCoordinator::Heartbeat { progress: Vec::new() }).await?,
                message = self.inbound.message() => if message.map_err(ClientError::from)?.is_none() {
                    return Err(BenchError::Closed);
                },
            }
        }
    }

    async fn say(&self, message: ToCoordinator) -> Result<(), BenchError> {
        self.out.send(message.into_wire()).await.map_err(|_| BenchError::Closed)
    }

    async fn receive(&mut self) -> Result<ToWorker, BenchError> {
        let message = self.inbound.message().await.map_err(ClientError::from)?.ok_or(BenchError::Closed)?;
        Ok(ToWorker::from_wire(message).map_err(ClientError::from)?)
    }
}

/// Workers on separate threads, as a substitute for separate processes.
pub(super) struct WorkerClass(Vec<JoinHandle<()>>);

impl WorkerClass {
    /// Starts this many workers, which work until the coordinator ends.
    pub(super) fn start(
        connection: &ConnectionFile,
        count: u32,
        manner: Manner,
        waits: &mpsc::UnboundedSender<f64>,
    ) -> Result<Self, BenchError> {
        let failed = |source| BenchError::Process { what: "starting a worker", source };
        let mut threads = Vec::new();
        for _ in 0..count {
            let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
            let (connection, waits) = (connection.clone(), waits.clone());
            threads.push(std::thread::spawn(move || {
                let work = async { BenchWorker::connect(&connection, manner).await?.work(waits).await };
                // A worker always ends with an error, because the coordinator ends first.
                if let Err(error) = runtime.block_on(work) {
                    tracing::info!(%error, "a worker ends");
                }
            }));
        }
        Ok(Self(threads))
    }

    /// Waits for the workers' end, after the coordinator has ended.
    pub(super) fn join(self) {
        for thread in self.0 {
            thread.join().expect("a worker does not panic");
        }
    }
}

fn reports(grant: &Grant) -> impl Iterator<Item = ToCoordinator> {
    grant.lanes.iter().map(|lane| {
        let point = CurvePoint { update: 1, train_loss: 1.0, validation_accuracy: 0.5, test_accuracy: Some(0.5) };
        ToCoordinator::AttemptEnded(Box::new(Report {
            held: Held { sweep: grant.sweep, attempt: grant.attempt, trajectory: lane.trajectory },
            outcome: Outcome::Completed,
            cause: None,
            curve: vec![point],
            diagnostics: Vec::new(),
            updates: 1,
            seconds: 0.0,
            dataset_size: None,
            traceparent: None,
        }))
    })
}
