//! Hostile peers: every field of every message is spoiled in every way. Accepted messages are within the limits, and
//! the coordinator survives all messages.

use std::collections::BTreeSet;
use std::time::Duration;

use biosweep_common::configuration::{Configuration, EarlyStop, NUMERICS_VERSION, Point, StoppingRule};
use biosweep_common::protocol::messages::{Grant, Lane, ToWorker};
use biosweep_common::protocol::pieces::{Curves, curve_pieces, trained_of_pieces, trained_pieces};
use biosweep_common::protocol::reports::ReportReader;
use biosweep_common::protocol::version::{PROTOCOL_HEADER, PROTOCOL_VERSION};
use biosweep_common::protocol::wire::{FromWire as _, IntoWire as _};
use biosweep_common::results::views::{ResultView, WatchEvent};
use biosweep_common::settings::{Setting, Value};
use biosweep_common::vocabulary::access::rows::TokenView;
use biosweep_common::vocabulary::diagnostics::Measure;
use biosweep_common::vocabulary::ids::{Attempt, SweepId, TrajectoryIndex, WorkerId};
use biosweep_common::vocabulary::trace::{Span, Traceparent};
use biosweep_host::id::new_id;
use biosweep_proto::v1;
use biosweep_proto::v1::coordinator_message::Message as Down;
use biosweep_proto::v1::worker_message::Message as Up;
use biosweep_tests::cluster::{Cluster, QUICK_SPEC};
use biosweep_tests::hostile::{Method, Protocol, Spoiled};
use biosweep_tests::on_both_stores;
use biosweep_tests::store::Store;
use nix::sys::signal::Signal;
use prost::Message;
use prost::bytes::{Buf as _, BufMut as _};
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

/// A time limit far above any real duration.
const LONG: Duration = Duration::from_secs(120);

fn curve() -> Vec<v1::CurvePoint> {
    vec![v1::CurvePoint { update: 1, train_loss: 1.0, validation_accuracy: 0.5, test_accuracy: Some(0.5) }]
}

fn diagnostics() -> Vec<v1::DiagnosticPoint> {
    vec![v1::DiagnosticPoint { update: 1, layer: 1, measure: "weight_norm".to_owned(), value: 1.0 }]
}

/// The hello of a worker that holds nothing.
pub(crate) fn hello_of(worker: WorkerId) -> v1::WorkerMessage {
    let Up::Hello(hello) = hello("") else { unreachable!("it is a hello") };
    let hello = v1::Hello { worker: worker.to_string(), held: Vec::new(), ..hello };
    v1::WorkerMessage { message: Some(Up::Hello(hello)) }
}

fn hello(sweep: &str) -> Up {
    Up::Hello(v1::Hello {
        worker: "00000000-0000-0000-0000-000000000009".to_owned(),
        name: "host/1".to_owned(),
        device: "none".to_owned(),
        lanes: 4,
        numerics_version: NUMERICS_VERSION,
        version: "1".to_owned(),
        held: vec![v1::Held { sweep: sweep.to_owned(), attempt: 7, trajectory: 3 }],
        memory_bytes: 1 << 30,
        labels: vec!["a100".to_owned()],
        environment: Some(environment()),
        protocol_version: PROTOCOL_VERSION,
    })
}

const DATASET_SIZE: v1::DatasetSize =
    v1::DatasetSize { classes: 10, train_images: 50, validation_images: 10, test_images: 10 };

fn ended(sweep: &str) -> Up {
    Up::AttemptEnded(v1::AttemptEnded {
        sweep: sweep.to_owned(),
        attempt: 7,
        trajectory: 3,
        outcome: v1::Outcome::Failed as i32,
        cause: "no luck".to_owned(),
        curve: curve(),
        updates: 1,
        seconds: 0.5,
        dataset_size: Some(DATASET_SIZE),
        diagnostics: diagnostics(),
        traceparent: Some(format!("00-{}-00000000000000ab-01", sweep.replace('-', ""))),
    })
}

/// Messages of a worker in which every field is set.
fn worker_messages(sweep: &str) -> Vec<Vec<u8>> {
    let all = [
        hello(sweep),
        Up::Poll(v1::Poll { lanes: 2 }),
        Up::Heartbeat(v1::Heartbeat { progress: vec![v1::Progress { attempt: 7, trajectory: 3, updates: 1 }] }),
        Up::Evaluated(v1::Evaluated { attempt: 7, trajectory: 3, point: curve().pop() }),
        Up::ReportPart(v1::ReportPart { attempt: 7, trajectory: 3, curve: curve(), diagnostics: diagnostics() }),
        ended(sweep),
        Up::Goodbye(v1::Goodbye {}),
    ];
    all.map(worker_message).to_vec()
}

fn worker_message(message: Up) -> Vec<u8> {
    v1::WorkerMessage { message: Some(message) }.encode_to_vec()
}

fn grant(sweep: &str) -> v1::Grant {
    let name = |name: &'static str| Value::Name(name.into());
    let point = Point::from([
        (Setting::Dataset, name("mnist")),
        (Setting::Network, name("convnet")),
        (Setting::Rule, name("bp")),
        (Setting::Depth, Value::Integer(5)),
        (Setting::Optimizer, name("sgd")),
        (Setting::Momentum, Value::Real(0.5)),
        (Setting::Nesterov, Value::Flag(true)),
        (Setting::DownsampleAfter, Value::Integers(vec![1, 2])),
    ]);
    let configuration = Configuration::from_point(&point).expect("a configuration");
    let sweep: SweepId = sweep.parse().expect("an id");
    let lane = |trajectory: u64| {
        let mut hyperparameters = configuration.hyperparameters;
        hyperparameters.seed = trajectory;
        let early_stop = Some(EarlyStop { start: 1, patience: 2 });
        let stopping_rules = vec![StoppingRule { max_updates: 9, early_stop }];
        let trajectory = TrajectoryIndex(trajectory);
        let traceparent = Some(Traceparent::new(sweep, Span::Grant(trajectory, Attempt(7)), true));
        Lane { trajectory, hyperparameters, stopping_rules, traceparent }
    };
    let grant = Grant {
        sweep,
        attempt: Attempt(7),
        shape: configuration.shape.clone(),
        measures: vec![Measure::WeightNorm],
        checkpoint_every_ms: 60_000,
        lanes: vec![lane(3), lane(4)],
    };
    grant.into_wire()
}

fn welcome(sweep: &str) -> v1::Welcome {
    let (store, version) = (sweep.to_owned(), "1".to_owned());
    v1::Welcome { heartbeat_ms: 2_000, store, protocol_version: PROTOCOL_VERSION, version, epoch: 7 }
}

/// Messages of a coordinator to a worker in which every field is set.
fn coordinator_messages(sweep: &str) -> Vec<Vec<u8>> {
    let (attempt, trajectories, reason) = (7, vec![3, 4], "paused".to_owned());
    let all = [
        Down::Welcome(welcome(sweep)),
        Down::Grant(grant(sweep)),
        Down::Acknowledged(v1::Acknowledged { attempt, trajectories: trajectories.clone(), accepted: true }),
        Down::Stop(v1::Stop { attempt, trajectories: trajectories.clone(), reason: reason.clone() }),
        Down::HandBack(v1::HandBack { attempt, trajectories, reason: reason.clone() }),
        Down::Drain(v1::Drain { reason }),
    ];
    all.map(|message| v1::CoordinatorMessage { message: Some(message) }.encode_to_vec()).to_vec()
}

fn settings() -> Vec<v1::Setting> {
    use v1::setting::Value as Of;
    let setting = |name: &str, value| v1::Setting { name: name.to_owned(), value: Some(value) };
    vec![
        setting("rule", Of::Text("bp".to_owned())),
        setting("depth", Of::Integer(3)),
        setting("learning_rate", Of::Real(0.5)),
        setting("downsample_after", Of::Integers(v1::IntegerList { values: vec![1, 2] })),
        setting("skip_input", Of::Flag(true)),
    ]
}

fn incomplete_cause() -> v1::IncompleteCause {
    let (outcome, cause) = (v1::Outcome::Failed as i32, "the disk is full".to_owned());
    v1::IncompleteCause { outcome, cause, attempts: 12, latest_at_ms: 9 }
}

fn incomplete_attempt() -> v1::IncompleteAttempt {
    v1::IncompleteAttempt {
        trajectory: 3,
        attempt: 7,
        worker: "host/1".to_owned(),
        outcome: v1::Outcome::Failed as i32,
        cause: "no luck".to_owned(),
        at_ms: 5,
    }
}

/// Events for a watcher in which every field is set.
fn watch_events(sweep: &str) -> Vec<Vec<u8>> {
    let lane = v1::LaneProgress {
        sweep: sweep.to_owned(),
        trajectory: 3,
        attempt: 7,
        settings: settings(),
        latest: curve().pop(),
        max_updates: 9,
        updates: 1,
    };
    let worker = v1::Worker {
        id: sweep.to_owned(),
        name: "host/1".to_owned(),
        device: "cpu".to_owned(),
        lanes: 4,
        connected: true,
        training: vec![lane],
        training_count: 1,
        quarantined: "it failed".to_owned(),
        memory_bytes: 1 << 30,
        labels: vec!["a100".to_owned()],
    };
    let of = v1::Sweep {
        id: sweep.to_owned(),
        name: "small".to_owned(),
        state: v1::SweepState::Running as i32,
        trials: 9,
        trajectories: 8,
        completed: 1,
        diverged: 1,
        failed: 1,
        running: 1,
        submitted_at_ms: 5,
        reason: "it waits".to_owned(),
        reused: 1,
        note: Some("why it was run".to_owned()),
        state_at_ms: 8,
    };
    let state = v1::SweepStatus {
        sweep: Some(of),
        workers: vec![worker],
        incomplete_attempts: vec![incomplete_attempt()],
        incomplete_causes: vec![incomplete_cause()],
        degraded: "the disk is full".to_owned(),
        in_training_done: 0.5,
    };
    let all = [v1::watch_event::Event::State(state), v1::watch_event::Event::IncompleteAttempt(incomplete_attempt())];
    all.map(|event| v1::WatchEvent { event: Some(event) }.encode_to_vec()).to_vec()
}

/// Messages with results in which every field is set.
fn results(sweep: &str) -> Vec<Vec<u8>> {
    let score = v1::Score { validation_accuracy: 0.5, test_accuracy: 0.5, best_update: 1, updates: 1 };
    let result = v1::TrialResult {
        trial: 3,
        key: "ab".repeat(32),
        status: v1::TrialStatus::Completed as i32,
        settings: settings(),
        score: Some(score),
        updates: 1,
        attempts: 1,
        worker: "host/1".to_owned(),
        seconds: 0.5,
        dataset_size: Some(DATASET_SIZE),
        reused_from: format!("{sweep}/3"),
        environment: Some(environment()),
    };
    vec![result.encode_to_vec()]
}

/// An environment in which every field is set.
fn environment() -> v1::NumericEnvironment {
    v1::NumericEnvironment {
        device: "cpu".to_owned(),
        processor: "A Processor".to_owned(),
        instructions: "avx2".to_owned(),
        libtorch: "2.11.0".to_owned(),
        variables: [("MKL_CBWR".to_owned(), "COMPATIBLE".to_owned())].into(),
    }
}

fn curves() -> Vec<Vec<u8>> {
    let (settings, points, diagnostics) = (settings(), curve(), diagnostics());
    vec![v1::Curve { trajectory: 3, first_trial: 3, settings, points, diagnostics }.encode_to_vec()]
}

/// A trained trial with the results of its trajectory, in which every field is set.
fn trained(sweep: &str) -> Vec<Vec<u8>> {
    let result = v1::TrialResult::decode(&results(sweep)[0][..]).expect("a result");
    let curve = v1::Curve::decode(&curves()[0][..]).expect("a curve");
    let trained = v1::TrainedResponse { trial: format!("{sweep}/3"), results: vec![result], curve: Some(curve) };
    vec![trained.encode_to_vec()]
}

/// Reads a peer's bytes and writes the result; `None` if they are refused.
fn understood(message: &str, bytes: &[u8], sweep: &str) -> Option<Vec<u8>> {
    match message {
        "WorkerMessage" => {
            let mut reader = ReportReader::default();
            let mut read = |bytes: &[u8]| reader.read(v1::WorkerMessage::decode(bytes).ok()?).ok();
            // A piece of a report has no meaning before the last one.
            let message = match read(bytes)? {
                Some(message) => message,
                None => read(&worker_message(ended(sweep)))??,
            };
            Some(message.into_wire().encode_to_vec())
        }
        "CoordinatorMessage" => {
            let message = ToWorker::from_wire(v1::CoordinatorMessage::decode(bytes).ok()?).ok()?;
            Some(message.into_wire().encode_to_vec())
        }
        "WatchEvent" => {
            let event = WatchEvent::from_wire(v1::WatchEvent::decode(bytes).ok()?).ok()?;
            Some(event.into_wire().encode_to_vec())
        }
        "TrialResult" => {
            let result = ResultView::from_wire(v1::TrialResult::decode(bytes).ok()?).ok()?;
            Some(result.into_wire().encode_to_vec())
        }
        "Curve" => {
            let mut curves = Curves::default();
            curves.add(v1::Curve::decode(bytes).ok()?).ok()?;
            let mut pieces = curve_pieces(curves.finish().ok()??);
            pieces.next().map(|first| first.encode_to_vec())
        }
        "Token" => {
            let token = TokenView::from_wire(v1::Token::decode(bytes).ok()?).ok()?;
            Some(token.into_wire().encode_to_vec())
        }
        "TrainedResponse" => {
            let trained = trained_of_pieces(vec![v1::TrainedResponse::decode(bytes).ok()?]).ok()?;
            trained_pieces(trained).next().map(|first| first.encode_to_vec())
        }
        other => panic!("nobody reads {other}"),
    }
}

/// Texts in answers without their own limits: the texts of a spec, which are parsed, and ids, which are only compared.
const READ_OTHERWISE: [&str; 6] = [
    "SpecResponse.spec",
    "SpecResponse.resolved",
    "WhichEndedResponse.sweeps",
    "EnrolResponse.chain",
    "RenewResponse.chain",
    "CreateTokenResponse.token",
];

fn token() -> v1::Token {
    v1::Token {
        id: "0123456789abcdef".to_owned(),
        role: v1::Role::Worker as i32,
        label: "alice".to_owned(),
        creator: "owner".to_owned(),
        created_at_ms: 1,
        expires_at_ms: Some(2),
        uses_left: Some(3),
        revoked_at_ms: Some(4),
        workers: 5,
    }
}

#[test]
fn accepted_messages_are_within_the_limits() {
    let (protocol, sweep) = (Protocol::default(), new_id::<SweepId>().to_string());
    let samples = [
        ("WorkerMessage", worker_messages(&sweep)),
        ("CoordinatorMessage", coordinator_messages(&sweep)),
        ("WatchEvent", watch_events(&sweep)),
        ("TrialResult", results(&sweep)),
        ("Curve", curves()),
        ("TrainedResponse", trained(&sweep)),
        ("Token", vec![token().encode_to_vec()]),
    ];
    let mut read = BTreeSet::new();
    for (message, samples) in samples {
        read.extend(protocol.fields_under(message));
        let (mut fields, mut refused) = (BTreeSet::new(), 0);
        for honest in samples {
            protocol.fields_in(message, &honest, &mut fields);
            let understands = understood(message, &honest, &sweep).expect("an honest message is understood");
            assert_eq!(protocol.beyond_bounds(message, &understands), None);
            for Spoiled { what, bytes } in protocol.spoil(message, &honest) {
                match understood(message, &bytes, &sweep) {
                    Some(understood) => assert_eq!(protocol.beyond_bounds(message, &understood), None, "{what}"),
                    None => refused += 1,
                }
            }
        }
        assert_eq!(fields, protocol.fields_under(message), "a sample here has every field");
        assert!(refused > 30, "{refused} spoiled messages of {message} were refused");
    }
    for method in protocol.methods() {
        let mut unread = protocol.unbounded_under(&method.response);
        unread.retain(|field| !read.contains(field) && !READ_OTHERWISE.contains(&field.as_str()));
        assert!(unread.is_empty(), "{} answers with {unread:?}: sample them here", method.path);
    }
}

on_both_stores! {
    a_coordinator_survives_every_message
}

fn a_coordinator_survives_every_message(store: &Store) {
    Runtime::new().expect("a runtime").block_on(send_everything(Cluster::new(store.fresh())));
}

async fn send_everything(mut cluster: Cluster) {
    cluster.serve();
    let spec = cluster.home().spec(QUICK_SPEC);
    let submitted = cluster.json(&["submit", &spec.to_string_lossy()]);
    let sweep = submitted["id"].as_str().expect("an id").to_owned();
    let channel = Endpoint::from_shared(cluster.url()).expect("an address").connect().await.expect("a coordinator");
    let protocol = Protocol::default();
    for method in protocol.methods() {
        for honest in requests(method, &sweep) {
            for Spoiled { what, bytes } in protocol.spoil(&method.request, &honest) {
                let messages = match method.takes_many {
                    true => vec![worker_message(hello(&sweep)), bytes.clone()],
                    false => vec![bytes.clone()],
                };
                call(&channel, method, messages, &what).await;
                if method.takes_many {
                    call(&channel, method, vec![bytes], &what).await;
                }
            }
        }
    }
    // It still serves valid peers, in the same process.
    let _again = cluster.json(&["submit", "--fresh", &spec.to_string_lossy()]);
    cluster.work(&[], &[]);
    cluster.until("every trial is done", |status| status["state"] == "finished" && status["completed"] == 12);
    assert!(cluster.end_coordinator(Signal::SIGTERM).success(), "it ends cleanly");
}

/// Valid requests of this method in which every field is set.
fn requests(method: &Method, sweep: &str) -> Vec<Vec<u8>> {
    let sweep_id = sweep.to_owned();
    let (spec, origin) = (QUICK_SPEC.to_owned(), "small.toml".to_owned());
    let format = v1::SpecFormat::Toml as i32;
    let rule = v1::Setting { name: "rule".to_owned(), value: Some(v1::setting::Value::Text("bp".to_owned())) };
    vec![match method.request.as_str() {
        "WorkerMessage" => return worker_messages(sweep),
        "EnrolRequest" => v1::EnrolRequest { worker: sweep_id, request: vec![0x30, 0x03, 1, 2, 3] }.encode_to_vec(),
        "RenewRequest" => v1::RenewRequest { request: vec![0x30, 0x03, 1, 2, 3] }.encode_to_vec(),
        "CreateTokenRequest" => {
            let (role, label) = (v1::Role::Viewer as i32, "alice".to_owned());
            v1::CreateTokenRequest { role, label, expires_in_ms: Some(1_000), uses: Some(1) }.encode_to_vec()
        }
        "ListTokensRequest" => v1::ListTokensRequest {}.encode_to_vec(),
        "RevokeRequest" => v1::RevokeRequest { id: "0123456789abcdef".to_owned() }.encode_to_vec(),
        "WhichEndedRequest" => v1::WhichEndedRequest { sweeps: vec![sweep_id] }.encode_to_vec(),
        "SubmitRequest" => v1::SubmitRequest { spec, format, origin, fresh: false }.encode_to_vec(),
        "ExtendRequest" => v1::ExtendRequest { sweep: sweep_id, spec, format, origin }.encode_to_vec(),
        "PlanRequest" => v1::PlanRequest { spec, format, origin }.encode_to_vec(),
        "DeleteRequest" => v1::DeleteRequest { sweep: sweep_id, dry_run: true }.encode_to_vec(),
        "SpecRequest" => v1::SpecRequest { sweep: sweep_id }.encode_to_vec(),
        "ListRequest" => v1::ListRequest {}.encode_to_vec(),
        "ShowRequest" => v1::ShowRequest { sweep: sweep_id }.encode_to_vec(),
        "WatchRequest" => v1::WatchRequest { sweep: sweep_id }.encode_to_vec(),
        "CancelRequest" => v1::CancelRequest { sweep: sweep_id }.encode_to_vec(),
        "PauseRequest" => v1::PauseRequest { sweep: sweep_id }.encode_to_vec(),
        "ResumeRequest" => v1::ResumeRequest { sweep: sweep_id }.encode_to_vec(),
        "RetryRequest" => v1::RetryRequest { sweep: sweep_id, r#where: vec![rule] }.encode_to_vec(),
        "NoteRequest" => v1::NoteRequest { sweep: sweep_id, note: "why it was run".to_owned() }.encode_to_vec(),
        "ListWorkersRequest" => v1::ListWorkersRequest {}.encode_to_vec(),
        "ReleaseWorkerRequest" => v1::ReleaseWorkerRequest { worker: "host/1".to_owned() }.encode_to_vec(),
        "ResultsRequest" => v1::ResultsRequest { sweep: sweep_id }.encode_to_vec(),
        "TrainedRequest" => v1::TrainedRequest { trial: format!("{sweep}/0") }.encode_to_vec(),
        "CurvesRequest" => v1::CurvesRequest { sweep: sweep_id }.encode_to_vec(),
        other => panic!("say here what an honest {other} is"),
    }]
}

/// Sends these messages and waits for an answer: the end of a worker's stream, or the first answer of any other method.
async fn call(channel: &Channel, method: &Method, messages: Vec<Vec<u8>>, what: &str) {
    let path = PathAndQuery::try_from(method.path.as_str()).expect("a path");
    let mut client = Grpc::new(channel.clone());
    let answered = async {
        client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let mut request = Request::new(tokio_stream::iter(messages));
        request.metadata_mut().insert(PROTOCOL_HEADER, PROTOCOL_VERSION.into());
        let mut answers = client.streaming(request, path, Raw).await?.into_inner();
        while answers.message().await?.is_some() && method.takes_many {}
        Ok::<_, Status>(())
    };
    let answered = timeout(LONG, answered).await.unwrap_or_else(|_| panic!("no answer to {what}"));
    if let Err(status) = answered {
        assert_ne!(status.code(), Code::Unavailable, "{what}: {status}");
        assert!(status.message().len() < 20_000, "{what} is told in {} bytes", status.message().len());
    }
}

/// A codec that passes bytes unchanged.
#[derive(Debug, Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, bytes: &mut EncodeBuf<'_>) -> Result<(), Status> {
        bytes.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        Ok(Some(bytes.copy_to_bytes(bytes.remaining()).to_vec()))
    }
}
