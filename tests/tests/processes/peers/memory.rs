//! Workers that read nothing, and reports that never end. They cost the coordinator little memory, and other workers are served.

use std::path::Path;

use biosweep_common::protocol::bounds::{PIECE_POINTS_MAX, REPORT_POINTS_MAX};
use biosweep_common::vocabulary::ids::WorkerId;
use biosweep_connection::bearer::Bearer;
use biosweep_connection::dial::Dialer;
use biosweep_connection::file::ConnectionFile;
use biosweep_host::id::new_id;
use biosweep_proto::v1;
use biosweep_proto::v1::coordinator_message::Message as Down;
use biosweep_proto::v1::worker_message::Message as Up;
use biosweep_proto::v1::workers_client::WorkersClient;
use biosweep_tests::cluster::secured::Secured;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Endpoint;
use tonic::{Code, Status, Streaming};

/// MiB by which the coordinator may grow beside what its bounds say.
const SLACK_MIB: f64 = 100.0;

/// A worker's session, on a connection of its own.
struct Session {
    out: mpsc::Sender<v1::WorkerMessage>,
    inbound: Streaming<v1::CoordinatorMessage>,
}

impl Session {
    async fn open(secured: &Secured, file: &Path, worker: WorkerId) -> Self {
        let connection = ConnectionFile::read(file).expect("it was made");
        let dialer = Dialer::new(&secured.url(), &connection, None).expect("they fit");
        let endpoint = Endpoint::from_shared(secured.url()).expect("an address");
        let channel = dialer.connect(&endpoint).await.expect("it listens");
        let mut client = WorkersClient::with_interceptor(channel, Bearer::new(connection.token.as_ref()));
        let (out, messages) = mpsc::channel(16);
        out.send(super::hostile::hello_of(worker)).await.expect("the stream is open");
        let inbound = client.session(ReceiverStream::new(messages)).await.expect("a session").into_inner();
        Self { out, inbound }
    }

    /// Sends a message; returns whether the stream is open.
    async fn say(&self, message: Up) -> bool {
        self.out.send(v1::WorkerMessage { message: Some(message) }).await.is_ok()
    }

    /// Reads to the end of the stream.
    async fn end(&mut self) -> Status {
        loop {
            match self.inbound.message().await {
                Ok(Some(_)) => {}
                Ok(None) => return Status::ok("it ended without a reason"),
                Err(status) => return status,
            }
        }
    }
}

fn heartbeat(attempt: impl Fn(u64) -> u64) -> Up {
    let progress = (0..1_024).map(|number| v1::Progress { attempt: attempt(number), trajectory: number, updates: 1 });
    Up::Heartbeat(v1::Heartbeat { progress: progress.collect() })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_reads_nothing_costs_little_memory_and_is_disconnected() {
    let secured = Secured::default();
    let owner = secured.home().path().join("coordinator.json");
    let worker = new_id::<WorkerId>();
    let before = secured.resident_mib();
    let mut sessions = Vec::new();
    for _ in 0..3 {
        let session = Session::open(&secured, &owner, worker).await;
        for _ in 0..2_000 {
            assert!(session.say(heartbeat(|number| 1_000_000 + number)).await, "it costs nothing, so it stays");
        }
        sessions.push(session);
    }
    let unknown = secured.resident_mib() - before;
    assert!(unknown < SLACK_MIB, "the coordinator grew by {unknown} MiB");

    // Each of these heartbeats has an answer of eight kilobytes.
    let mut last = sessions.pop().expect("a session");
    for _ in 0..5_000 {
        if !last.say(heartbeat(|_| 1_000_000)).await {
            break;
        }
    }
    let grown = secured.resident_mib() - before;
    assert!(grown < SLACK_MIB, "the coordinator grew by {grown} MiB");
    let why = last.end().await;
    // The reason comes, unless the whole connection has ended because nothing was read for a minute.
    assert!([Code::ResourceExhausted, Code::Unknown].contains(&why.code()), "{why}");
    eprintln!("the coordinator grew by {unknown:.0} MiB, then {grown:.0} MiB");
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_that_never_end_cost_bounded_memory_and_disturb_no_other_worker() {
    const BOUND_MIB: f64 = 512.0;
    let secured = Secured::default();
    let owner = secured.home().path().join("coordinator.json");
    let before = secured.resident_mib();
    let point = |update| v1::CurvePoint { update, train_loss: 1.0, validation_accuracy: 0.5, test_accuracy: Some(0.5) };
    let curve: Vec<_> = (0..PIECE_POINTS_MAX as u64).map(point).collect();
    let mut sessions = Vec::new();
    for _ in 0..9 {
        let session = Session::open(&secured, &owner, new_id()).await;
        for _ in 0..REPORT_POINTS_MAX / PIECE_POINTS_MAX {
            let part = v1::ReportPart { attempt: 1, trajectory: 0, curve: curve.clone(), diagnostics: Vec::new() };
            if !session.say(Up::ReportPart(part)).await {
                break;
            }
        }
        sessions.push(session);
    }
    let grown = secured.resident_mib() - before;
    assert!(grown < BOUND_MIB + SLACK_MIB, "the coordinator grew by {grown} MiB");
    let mut honest = Session::open(&secured, &owner, new_id()).await;
    let welcome = honest.inbound.message().await.expect("it stays").and_then(|message| message.message);
    assert!(matches!(welcome, Some(Down::Welcome(_))), "{welcome:?}");
    // The sessions that are left hold less than the bound.
    let mut ended = 0;
    for session in &mut sessions {
        if session.out.is_closed() {
            let why = session.end().await;
            assert_eq!(why.code(), Code::ResourceExhausted, "{why}");
            ended += 1;
        }
    }
    eprintln!("the coordinator grew by {grown:.0} MiB; {ended} of 9 sessions have ended");
    assert!((1..9).contains(&ended), "{ended} of 9 sessions have ended");
}
