//! Reports of any size arrive, the number of lanes is limited on both sides, and a disconnected worker receives the
//! reason.

use biosweep_common::configuration::NUMERICS_VERSION;
use biosweep_common::protocol::messages::{Held, Report, ToCoordinator};
use biosweep_common::protocol::reports::pieces;
use biosweep_common::protocol::version::PROTOCOL_VERSION;
use biosweep_common::results::curve::CurvePoint;
use biosweep_common::results::outcome::Outcome;
use biosweep_common::vocabulary::diagnostics::{DiagnosticPoint, Measure};
use biosweep_common::vocabulary::ids::{Attempt, TrajectoryIndex};
use biosweep_proto::v1;
use biosweep_proto::v1::coordinator_message::Message as Down;
use biosweep_proto::v1::worker_message::Message as Up;
use biosweep_proto::v1::workers_client::WorkersClient;
use biosweep_tests::cluster::Cluster;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

/// A spec as deep as the deepest of the paper, with this many evaluations and five measures of each layer.
fn spec(evaluations: u64) -> String {
    format!(
        "name = \"small\"\nmeasure = [\"update_angle\", \"feedback_angle\", \"weight_norm\", \"update_norm\", \"dead_units\"]\n\
         [data]\ndataset = \"synthetic-digits\"\n[train]\nhidden = 4\nbatch_size = 8\neval_every = 1\n\
         max_updates = {evaluations}\n[grid]\nrule = \"fa\"\nnetwork = \"nn\"\ndepth = 14\n"
    )
}

struct Client {
    out: mpsc::Sender<v1::WorkerMessage>,
    inbound: Streaming<v1::CoordinatorMessage>,
}

impl Client {
    async fn hello(cluster: &Cluster, lanes: u32) -> Result<Self, Status> {
        let (out, letters) = mpsc::channel(64);
        let hello = v1::Hello {
            worker: "00000000-0000-0000-0000-000000000001".to_owned(),
            name: "one".to_owned(),
            device: "none".to_owned(),
            lanes,
            version: String::new(),
            numerics_version: NUMERICS_VERSION,
            memory_bytes: 0,
            labels: Vec::new(),
            held: Vec::new(),
            environment: Some(v1::NumericEnvironment::default()),
            protocol_version: PROTOCOL_VERSION,
        };
        let mut client = Self::connect(cluster).await;
        out.send(v1::WorkerMessage { message: Some(Up::Hello(hello)) }).await.expect("the stream is open");
        let inbound = client.session(ReceiverStream::new(letters)).await?.into_inner();
        Ok(Self { out, inbound })
    }

    async fn connect(cluster: &Cluster) -> WorkersClient<tonic::transport::Channel> {
        WorkersClient::connect(cluster.url()).await.expect("a coordinator")
    }

    async fn say(&self, message: Up) {
        self.out.send(v1::WorkerMessage { message: Some(message) }).await.expect("the stream is open");
    }

    /// The next message of that kind, or the status that ended the stream.
    async fn receive<T>(&mut self, is: impl Fn(Down) -> Option<T>) -> Result<T, Status> {
        loop {
            let message =
                self.inbound.message().await?.ok_or_else(|| Status::aborted("the stream ended without a status"))?;
            if let Some(meant) = message.message.and_then(&is) {
                return Ok(meant);
            }
        }
    }

    async fn grant(&mut self) -> v1::Grant {
        self.say(Up::Poll(v1::Poll { lanes: 1 })).await;
        let is_grant = |message| if let Down::Grant(grant) = message { Some(grant) } else { None };
        self.receive(is_grant).await.expect("a grant")
    }
}

fn serving(evaluations: u64) -> Cluster {
    let mut cluster = Cluster::new(None);
    cluster.serve();
    let spec = cluster.home().spec(&spec(evaluations));
    let _sweep = cluster.json(&["submit", &spec.to_string_lossy()]);
    cluster
}

#[test]
fn the_papers_longest_report_is_accepted() {
    Runtime::new().expect("a runtime").block_on(async {
        let cluster = serving(2_565);
        let point = |update| CurvePoint { update, train_loss: 1.0, validation_accuracy: 0.5, test_accuracy: Some(0.5) };
        let measured = |update| {
            let of_layer = move |layer| {
                let measures = Measure::ALL[..5].iter();
                measures.map(move |&measure| DiagnosticPoint { update, layer, measure, value: 0.1 })
            };
            (1..=15).flat_map(of_layer)
        };
        let (curve, diagnostics) = ((1..=2_565).map(point).collect(), (1..=2_565).flat_map(measured).collect());
        let mut client = Client::hello(&cluster, 1).await.expect("it is welcome");
        let grant = client.grant().await;
        let (attempt, trajectory) = (grant.attempt, grant.lanes[0].trajectory);
        let report = Report {
            held: Held {
                sweep: grant.sweep.parse().expect("an id"),
                attempt: Attempt(attempt),
                trajectory: TrajectoryIndex(trajectory),
            },
            outcome: Outcome::Completed,
            cause: None,
            curve,
            diagnostics,
            updates: 2_565,
            seconds: 1.0,
            dataset_size: None,
            traceparent: None,
        };
        for message in pieces(ToCoordinator::AttemptEnded(Box::new(report))) {
            // Heartbeats keep the lease, however slow this machine is.
            let progress = vec![v1::Progress { attempt, trajectory, updates: 2_565 }];
            client.say(Up::Heartbeat(v1::Heartbeat { progress })).await;
            client.out.send(message).await.expect("the stream is open");
        }
        let is_verdict =
            |message| if let Down::Acknowledged(verdict) = message { Some(verdict.accepted) } else { None };
        assert!(client.receive(is_verdict).await.expect("a verdict"));
        cluster.until("it is done", |status| status["state"] == "finished" && status["completed"] == 1);
    });
}

#[test]
fn a_worker_delivers_a_report_in_pieces() {
    let mut cluster = serving(60);
    cluster.work(&[], &[]);
    cluster.until("it is done", |status| status["state"] == "finished" && status["completed"] == 1);
    let results =
        cluster.asking(&["results", "small", "--diagnostics", "--format", "csv"]).output().expect("it starts");
    let text = String::from_utf8(results.stdout).expect("answers are text");
    assert!(text.contains("dead_units"), "{text:.200}");
}

#[test]
fn a_worker_with_an_invalid_message_is_disconnected_with_the_reason() {
    Runtime::new().expect("a runtime").block_on(async {
        let cluster = serving(1);
        let refused = Client::hello(&cluster, 1_025).await.err().expect("more lanes than there are");
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().contains("`hello.lanes` = `1025`; it takes at most 1024 lanes"), "{refused}");
        let mut client = Client::hello(&cluster, 1).await.expect("it is welcome");
        client.say(Up::Poll(v1::Poll { lanes: u32::MAX })).await;
        let cut = client.receive(|_| None::<()>).await.expect_err("it is cut off");
        assert_eq!(cut.code(), Code::InvalidArgument);
        assert!(cut.message().contains("`poll.lanes` = `4294967295`"), "{cut}");
        let mut client = Client::hello(&cluster, 1).await.expect("it is welcome");
        let trajectories = vec![0; 3 << 20];
        let progress = |trajectory| v1::Progress { attempt: 1, trajectory, updates: 1 };
        client.say(Up::Heartbeat(v1::Heartbeat { progress: trajectories.into_iter().map(progress).collect() })).await;
        let cut = client.receive(|_| None::<()>).await.expect_err("it is cut off");
        assert_eq!(cut.code(), Code::InvalidArgument, "{cut}");
        assert!(cut.message().contains("too large"), "{cut}");
    });
}

#[test]
fn a_worker_with_too_many_lanes_does_not_start() {
    let mut cluster = Cluster::new(None);
    cluster.work(&["--lanes", "4294967295"], &[]);
    let ended = biosweep_tests::until_ended(cluster.last_worker());
    assert_eq!(ended.code(), Some(2));
    assert!(cluster.printed("worker-1.log").contains("at most 1024 lanes"), "{}", cluster.printed("worker-1.log"));
}
