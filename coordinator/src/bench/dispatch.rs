//! Trials per second through a real coordinator: everything durable as in use, but workers that answer without training.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};

use biosweep_common::clock::Clock;
use biosweep_common::configuration::NUMERICS_VERSION;
use biosweep_common::curve::CurvePoint;
use biosweep_common::ids::WorkerId;
use biosweep_common::messages::{Grant, Held, Hello, Report, ToCoordinator, ToWorker, WorkerDescription};
use biosweep_common::outcome::{Outcome, SweepState};
use biosweep_common::spec::Format;
use biosweep_common::views::WatchEvent;
use biosweep_common::wire::{FromWire, IntoWire};
use biosweep_proto::v1::workers_client::WorkersClient;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;

use crate::client::{Client, ClientError};
use crate::host::{Host, HostError, Options, PATIENCE, Scope, Stay};

/// What was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Measured {
    /// Trials, each with one durable result.
    pub(crate) trials: u64,
    /// Trials per second, from submission to the end of the sweep.
    pub(crate) trials_per_s: f64,
    /// Seconds it took.
    pub(crate) seconds: f64,
    /// Workers.
    pub(crate) workers: u32,
    /// Trials a worker takes at once.
    pub(crate) lanes: u32,
}

/// Runs a sweep of so many trials of nothing, in a home of its own that is removed afterwards.
pub(crate) async fn dispatch(trials: u64, workers: u32, lanes: u32) -> Result<Measured, ClientError> {
    let home = std::env::temp_dir().join(format!("biosweep-bench-{}", WorkerId::new()));
    let host = Host::start_alone(Options {
        home: &home,
        store: None,
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        insecure: false,
        scope: Scope::Nothing,
        patience: PATIENCE,
        stay: Stay::Moment,
    });
    let host = host.await?;
    let measured = measure(&host, trials, workers, lanes).await;
    host.stop().await?;
    fs::remove_dir_all(&home).map_err(|source| HostError::Home { path: home, source })?;
    measured
}

async fn measure(host: &Host, trials: u64, workers: u32, lanes: u32) -> Result<Measured, ClientError> {
    let url = host.url();
    let mut client = Client::reach(&url).await?;
    let mut serving = JoinSet::new();
    for _ in 0..workers {
        serving.spawn(serve(url.clone(), lanes));
    }
    let spec = super::spec_of(trials);
    let clock = Clock::start();
    let (sweep, _) = client.submit(spec, Format::Toml, "bench dispatch".to_owned(), true).await?;
    let mut events = client.watch(&sweep.id.to_string()).await?;
    let mut ended = false;
    while let Some(event) = events.next().await? {
        ended |= matches!(&event, WatchEvent::State(status) if status.sweep.state == SweepState::Finished);
    }
    let seconds = clock.seconds();
    serving.abort_all();
    if !ended {
        return Err(ClientError::Failed("the sweep did not finish".to_owned()));
    }
    Ok(Measured { trials, trials_per_s: trials as f64 / seconds, seconds, workers, lanes })
}

/// A worker that reports every trajectory as trained the moment it is granted.
async fn serve(url: String, lanes: u32) -> Result<(), ClientError> {
    let unreachable =
        |error: tonic::transport::Error| ClientError::Unreachable { url: url.clone(), why: error.to_string() };
    let (out, letters) = mpsc::channel(1_024);
    let description = WorkerDescription {
        name: "bench".to_owned(),
        device: "none".to_owned(),
        lanes,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..WorkerDescription::default()
    };
    let hello = Hello { worker: WorkerId::new(), description, numerics_version: NUMERICS_VERSION, held: Vec::new() };
    let mut replies = vec![ToCoordinator::Hello(hello)];
    let mut inbound = None;
    let mut letters = Some(letters);
    loop {
        for reply in replies.drain(..) {
            if out.send(reply.into_wire()).await.is_err() {
                return Ok(());
            }
        }
        if let Some(letters) = letters.take() {
            let mut client = WorkersClient::connect(url.clone()).await.map_err(unreachable)?;
            inbound = Some(client.session(ReceiverStream::new(letters)).await?.into_inner());
        }
        let Some(message) = (match &mut inbound {
            Some(inbound) => inbound.message().await?,
            None => None,
        }) else {
            return Ok(());
        };
        match ToWorker::from_wire(message)? {
            ToWorker::Welcome { .. } => replies.push(ToCoordinator::Poll { lanes }),
            ToWorker::Grant(grant) => {
                replies.extend(reports(&grant));
                replies.push(ToCoordinator::Poll { lanes });
            }
            ToWorker::Acknowledged { .. }
            | ToWorker::Stop { .. }
            | ToWorker::HandBack { .. }
            | ToWorker::Drain { .. } => {}
        }
    }
}

fn reports(grant: &Grant) -> impl Iterator<Item = ToCoordinator> {
    grant.lanes.iter().map(|lane| {
        let point = CurvePoint { update: 1, train_loss: 1.0, validation_accuracy: 0.5, test_accuracy: Some(0.5) };
        ToCoordinator::Ended(Box::new(Report {
            held: Held { sweep: grant.sweep, attempt: grant.attempt, trajectory: lane.trajectory },
            outcome: Outcome::Completed,
            cause: None,
            curve: vec![point],
            health: Vec::new(),
            updates: 1,
            seconds: 0.0,
        }))
    })
}
