//! A misbehaving worker: it repeats reports, sends them in the wrong order, under other attempts and in the name of
//! other workers. Each trial still has one result. Another worker fails trials that others complete.

use biosweep_common::configuration::NUMERICS_VERSION;
use biosweep_common::protocol::version::PROTOCOL_VERSION;
use biosweep_proto::v1;
use biosweep_proto::v1::coordinator_message::Message as Down;
use biosweep_proto::v1::worker_message::Message as Up;
use biosweep_proto::v1::workers_client::WorkersClient;
use biosweep_tests::cluster::{Cluster, QUICK_SPEC};
use biosweep_tests::on_both_stores;
use biosweep_tests::store::Store;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

struct Client {
    out: mpsc::Sender<v1::WorkerMessage>,
    inbound: Streaming<v1::CoordinatorMessage>,
}

impl Client {
    async fn hello(cluster: &Cluster, id: &str) -> Self {
        let (out, letters) = mpsc::channel(64);
        let hello = v1::Hello {
            worker: id.to_owned(),
            name: id.to_owned(),
            device: "none".to_owned(),
            lanes: 4,
            version: String::new(),
            numerics_version: NUMERICS_VERSION,
            memory_bytes: 0,
            labels: Vec::new(),
            held: Vec::new(),
            environment: Some(v1::NumericEnvironment::default()),
            protocol_version: PROTOCOL_VERSION,
        };
        out.send(in_message(Up::Hello(hello))).await.expect("the stream is open");
        let mut client = WorkersClient::connect(cluster.url()).await.expect("a coordinator");
        let inbound = client.session(ReceiverStream::new(letters)).await.expect("a session").into_inner();
        Self { out, inbound }
    }

    async fn say(&self, message: Up) {
        self.out.send(in_message(message)).await.expect("the stream is open");
    }

    async fn grant(&mut self) -> v1::Grant {
        self.say(Up::Poll(v1::Poll { lanes: 4 })).await;
        loop {
            let message = self.inbound.message().await.expect("the stream is open").and_then(|message| message.message);
            if let Some(Down::Grant(grant)) = message {
                return grant;
            }
        }
    }

    /// The coordinator's verdicts on this many reports.
    async fn verdicts(&mut self, count: usize) -> Vec<bool> {
        let mut verdicts = Vec::new();
        while verdicts.len() < count {
            let message = self.inbound.message().await.expect("the stream is open").and_then(|message| message.message);
            if let Some(Down::Acknowledged(verdict)) = message {
                verdicts.extend(verdict.trajectories.iter().map(|_| verdict.accepted));
            }
        }
        verdicts
    }
}

fn in_message(body: Up) -> v1::WorkerMessage {
    v1::WorkerMessage { message: Some(body) }
}

fn ended(grant: &v1::Grant, attempt: u64, lane: usize, accuracy: f64) -> Up {
    let point =
        v1::CurvePoint { update: 1, train_loss: 1.0, validation_accuracy: accuracy, test_accuracy: Some(accuracy) };
    Up::AttemptEnded(v1::AttemptEnded {
        sweep: grant.sweep.clone(),
        attempt,
        trajectory: grant.lanes[lane].trajectory,
        outcome: v1::Outcome::Completed as i32,
        cause: String::new(),
        curve: vec![point],
        diagnostics: Vec::new(),
        updates: 1,
        seconds: 0.0,
        dataset_size: None,
        traceparent: None,
    })
}

fn failed(grant: &v1::Grant, lane: usize, cause: &str) -> Up {
    let Up::AttemptEnded(ended) = ended(grant, grant.attempt, lane, 0.5) else { unreachable!("it is a report") };
    Up::AttemptEnded(v1::AttemptEnded {
        outcome: v1::Outcome::Failed as i32,
        cause: cause.to_owned(),
        curve: Vec::new(),
        ..ended
    })
}

on_both_stores! {
    every_trial_has_one_result_whatever_its_worker_sends
    a_worker_that_fails_what_others_complete_gets_no_trial_until_it_is_released
}

fn every_trial_has_one_result_whatever_its_worker_sends(store: &Store) {
    Runtime::new().expect("a runtime").block_on(misbehave(Cluster::new(store.fresh())));
}

async fn misbehave(mut cluster: Cluster) {
    cluster.serve();
    let spec = cluster.home().spec(QUICK_SPEC);
    let _sweep = cluster.json(&["submit", &spec.to_string_lossy()]);
    let mut honest = Client::hello(&cluster, "00000000-0000-0000-0000-000000000001").await;
    let mut other = Client::hello(&cluster, "00000000-0000-0000-0000-000000000002").await;

    let (ours, theirs) = (honest.grant().await, other.grant().await);
    assert_eq!((ours.lanes.len(), theirs.lanes.len()), (4, 4));
    // In reverse order, three times each. A repeated report counts once and is acknowledged.
    for lane in (0..4).rev() {
        for _ in 0..3 {
            honest.say(ended(&ours, ours.attempt, lane, 0.5)).await;
        }
    }
    assert_eq!(honest.verdicts(12).await, [true; 12]);
    // Under attempts that belong to another worker, are over, or never existed.
    for attempt in [theirs.attempt, ours.attempt + 100, 0] {
        honest.say(ended(&theirs, attempt, 0, 0.9)).await;
        honest.say(ended(&ours, attempt, 0, 0.9)).await;
    }
    assert_eq!(honest.verdicts(6).await, [false; 6]);
    // A curve that ends before the trial does is a failure without a score, and the trial is retried.
    let Up::AttemptEnded(mut short) = ended(&theirs, theirs.attempt, 0, 0.9) else { unreachable!("it is a report") };
    short.curve.clear();
    other.say(Up::AttemptEnded(short)).await;
    for lane in 1..4 {
        other.say(ended(&theirs, theirs.attempt, lane, 0.5)).await;
    }
    assert_eq!(other.verdicts(4).await, [true; 4]);
    // The remaining trials, by the worker that gets them.
    let mut left = 5;
    while left > 0 {
        let grant = honest.grant().await;
        left -= grant.lanes.len();
        for lane in 0..grant.lanes.len() {
            honest.say(ended(&grant, grant.attempt, lane, 0.5)).await;
        }
        let accepted = honest.verdicts(grant.lanes.len()).await;
        assert!(accepted.into_iter().all(|accepted| accepted));
    }
    // A stream without a hello, or with an unreadable message, does no harm.
    let (out, letters) = mpsc::channel(4);
    out.send(in_message(Up::Goodbye(v1::Goodbye {}))).await.expect("the stream is open");
    let mut client = WorkersClient::connect(cluster.url()).await.expect("a coordinator");
    assert!(client.session(ReceiverStream::new(letters)).await.is_err());
    honest.say(Up::Heartbeat(v1::Heartbeat { progress: Vec::new() })).await;

    cluster.until("every trial is done", |status| status["state"] == "finished");
    let rows = cluster.json(&["results", "small"]);
    let rows = rows.as_array().expect("an array");
    let trials: Vec<_> = rows.iter().map(|row| row["trial"].as_u64()).collect();
    assert_eq!(trials, (0..12).map(Some).collect::<Vec<_>>());
    assert!(rows.iter().all(|row| row["test_accuracy"] == 0.5), "none of the wrong reports counted");
}

fn a_worker_that_fails_what_others_complete_gets_no_trial_until_it_is_released(store: &Store) {
    Runtime::new().expect("a runtime").block_on(quarantine(Cluster::new(store.fresh())));
}

async fn quarantine(mut cluster: Cluster) {
    let broken = "00000000-0000-0000-0000-000000000001";
    cluster.serve();
    let spec = cluster.home().spec(QUICK_SPEC);
    let _sweep = cluster.json(&["submit", &spec.to_string_lossy()]);
    let mut failing = Client::hello(&cluster, broken).await;
    let mut sound = Client::hello(&cluster, "00000000-0000-0000-0000-000000000002").await;
    let grant = failing.grant().await;
    for (lane, cause) in ["no data", "no room", "no weights", "no luck"].into_iter().enumerate() {
        failing.say(failed(&grant, lane, cause)).await;
    }
    assert_eq!(failing.verdicts(4).await, [true; 4]);
    // A failed trial is granted again alone, and first.
    for lane in &grant.lanes {
        let again = sound.grant().await;
        assert_eq!(again.lanes.iter().map(|lane| lane.trajectory).collect::<Vec<_>>(), [lane.trajectory]);
        sound.say(ended(&again, again.attempt, 0, 0.5)).await;
        assert_eq!(sound.verdicts(1).await, [true]);
    }
    let why = |cluster: &Cluster| {
        let workers = cluster.json(&["workers"]);
        let worker = workers.as_array().expect("an array").iter().find(|worker| worker["id"] == broken);
        worker.and_then(|worker| worker["quarantined"].as_str().map(str::to_owned))
    };
    assert_eq!(
        why(&cluster).as_deref(),
        Some("the worker failed 3 trajectories in a row that other workers completed")
    );

    // The quarantine is kept when the coordinator restarts.
    cluster.kill_coordinator();
    cluster.serve();
    cluster.until("it serves again", |status| status["state"] == "running");
    let mut failing = Client::hello(&cluster, broken).await;
    failing.say(Up::Poll(v1::Poll { lanes: 4 })).await;
    // The answer to the next message shows that the poll was received.
    failing.say(ended(&grant, 0, 0, 0.5)).await;
    assert_eq!(failing.verdicts(1).await, [false]);
    assert!(why(&cluster).is_some());
    let status = cluster.json(&["show", "small"]);
    let waits = "the sweep waits for a worker: all connected workers are in quarantine";
    assert_eq!((status["running"].as_u64(), status["reason"].as_str()), (Some(0), Some(waits)));
    assert_eq!(cluster.json(&["release", broken])["quarantined"], serde_json::Value::Null);
    assert_eq!(failing.grant().await.lanes.len(), 4);
    assert_eq!(why(&cluster), None);
}
