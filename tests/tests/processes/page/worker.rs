//! A worker that trains nothing.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use biosweep_common::configuration::NUMERICS_VERSION;
use biosweep_common::protocol::version::PROTOCOL_VERSION;
use biosweep_proto::v1;
use biosweep_proto::v1::coordinator_message::Message as Down;
use biosweep_proto::v1::worker_message::Message as Up;
use biosweep_proto::v1::workers_client::WorkersClient;
use biosweep_tests::name_of;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

/// Time between two heartbeats: a part of the lease time of a [`Cluster`](biosweep_tests::cluster::Cluster).
const HEARTBEAT: Duration = Duration::from_millis(500);

/// The variable with the coordinator's address for a worker in a process of its own.
const URL: &str = "BIOSWEEP_TEST_WORKER";

/// A connected worker. When it is dropped its connection breaks.
pub(crate) struct Worker {
    out: mpsc::Sender<v1::WorkerMessage>,
    inbound: Streaming<v1::CoordinatorMessage>,
    runtime: Runtime,
}

impl Worker {
    /// Connects a worker with this name.
    pub(crate) fn connect(url: &str, name: &str) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let (out, letters) = mpsc::channel(64);
        let hello = v1::Hello {
            worker: uuid::Uuid::now_v7().to_string(),
            name: name.to_owned(),
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
        let inbound = runtime.block_on(async {
            out.send(v1::WorkerMessage { message: Some(Up::Hello(hello)) }).await.expect("the stream is open");
            let mut client = WorkersClient::connect(url.to_owned()).await.expect("a coordinator");
            tokio::spawn(heartbeats(out.clone()));
            client.session(ReceiverStream::new(letters)).await.expect("a session").into_inner()
        });
        Self { out, inbound, runtime }
    }

    fn say(&self, message: Up) {
        let message = v1::WorkerMessage { message: Some(message) };
        self.runtime.block_on(self.out.send(message)).expect("the stream is open");
    }

    /// Takes trials.
    pub(crate) fn take(&mut self) -> v1::Grant {
        self.say(Up::Poll(v1::Poll { lanes: 4 }));
        self.runtime.block_on(async {
            loop {
                let message = self.inbound.message().await.expect("the stream is open");
                if let Some(Down::Grant(grant)) = message.and_then(|message| message.message) {
                    return grant;
                }
            }
        })
    }

    /// Reports all trials of a grant as completed, with this accuracy, and waits until that is recorded.
    pub(crate) fn complete(&mut self, grant: &v1::Grant, accuracy: f64) {
        let point = |update| v1::CurvePoint {
            update,
            train_loss: 1.0,
            validation_accuracy: accuracy,
            test_accuracy: Some(accuracy),
        };
        for lane in &grant.lanes {
            self.say(Up::AttemptEnded(v1::AttemptEnded {
                sweep: grant.sweep.clone(),
                attempt: grant.attempt,
                trajectory: lane.trajectory,
                outcome: v1::Outcome::Completed as i32,
                cause: String::new(),
                curve: (1..=4).map(|step| point(100 * step)).collect(),
                diagnostics: Vec::new(),
                updates: 400,
                seconds: 0.0,
                dataset_size: None,
                traceparent: None,
            }));
        }
        let mut left = grant.lanes.len();
        self.runtime.block_on(async {
            while left > 0 {
                let message = self.inbound.message().await.expect("the stream is open");
                if let Some(Down::Acknowledged(verdict)) = message.and_then(|message| message.message) {
                    assert!(verdict.accepted, "a report is refused");
                    left -= verdict.trajectories.len();
                }
            }
        });
    }
}

/// Sends heartbeats until the connection breaks.
async fn heartbeats(out: mpsc::Sender<v1::WorkerMessage>) {
    let mut beats = tokio::time::interval(HEARTBEAT);
    let beat = v1::WorkerMessage { message: Some(Up::Heartbeat(v1::Heartbeat { progress: Vec::new() })) };
    loop {
        beats.tick().await;
        if out.send(beat.clone()).await.is_err() {
            return;
        }
    }
}

/// A process with a worker that trains until the coordinator ends. It is this test program again, with only the test below.
pub(crate) fn process(url: &str) -> Child {
    let program = std::env::current_exe().expect("a test is a file");
    let mut command = Command::new(program);
    command.args(["--exact", name_of(&is_the_process_of_a_worker_if_told_so)]).env(URL, url);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts")
}

#[test]
fn is_the_process_of_a_worker_if_told_so() {
    let Ok(url) = std::env::var(URL) else { return };
    let mut worker = Worker::connect(&url, "worker-2");
    let _in_training = worker.take();
    // Until the coordinator ends, at the latest.
    worker.runtime.block_on(async { while let Ok(Some(_)) = worker.inbound.message().await {} });
}
