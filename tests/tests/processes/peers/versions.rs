//! Programs of different versions: those with the same protocol work together, and both sides refuse all others by name.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};

use biosweep_common::configuration::NUMERICS_VERSION;
use biosweep_common::protocol::version::{PROGRAM_HEADER, PROGRAM_VERSION, PROTOCOL_HEADER, PROTOCOL_VERSION};
use biosweep_proto::v1;
use biosweep_proto::v1::coordinator_message::Message as Down;
use biosweep_proto::v1::sweeps_client::SweepsClient;
use biosweep_proto::v1::worker_message::Message as Up;
use biosweep_proto::v1::workers_client::WorkersClient;
use biosweep_proto::v1::workers_server::{Workers, WorkersServer};
use biosweep_tests::Home;
use biosweep_tests::cluster::Cluster;
use futures::{Stream, StreamExt as _};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::server::NamedService;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Request, Response, Status, Streaming};

const NEXT: u32 = PROTOCOL_VERSION + 1;

/// The part of an error about the program that reads the message.
fn own() -> String {
    format!("has version {PROGRAM_VERSION} (protocol {PROTOCOL_VERSION})")
}

/// A running coordinator.
fn coordinator() -> Cluster {
    let mut cluster = Cluster::new(None);
    cluster.serve();
    let _sweeps = cluster.json(&["list"]);
    cluster
}

async fn introduce(cluster: &Cluster, version: &str, protocol_version: u32) -> Result<Down, Status> {
    let hello = v1::Hello {
        worker: "00000000-0000-0000-0000-000000000001".to_owned(),
        name: "host/1".to_owned(),
        device: "none".to_owned(),
        lanes: 4,
        numerics_version: NUMERICS_VERSION,
        version: version.to_owned(),
        // Another version may not know this field.
        environment: (protocol_version == PROTOCOL_VERSION).then(v1::NumericEnvironment::default),
        protocol_version,
        ..v1::Hello::default()
    };
    let hello = v1::WorkerMessage { message: Some(Up::Hello(hello)) };
    let mut client = WorkersClient::connect(cluster.url()).await.expect("a coordinator");
    let mut answers = client.session(tokio_stream::iter([hello]).chain(futures::stream::pending())).await?.into_inner();
    let first = answers.message().await?.expect("the stream is open");
    Ok(first.message.expect("a message"))
}

#[test]
fn a_coordinator_refuses_a_worker_of_another_protocol_by_name() {
    let cluster = coordinator();
    Runtime::new().expect("a runtime").block_on(async {
        let of_next = format!("the worker host/1 has version 9.9.9 (protocol {NEXT})");
        for (version, protocol, named) in [
            ("", 0, "the worker host/1 has an unknown version (protocol 0)"),
            ("0.0.9", 0, "the worker host/1 has version 0.0.9 (protocol 0)"),
            ("9.9.9", NEXT, of_next.as_str()),
        ] {
            let status = introduce(&cluster, version, protocol).await.expect_err("it is refused");
            let expected = format!("{named}, but the coordinator {}; start a worker", own());
            assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
            assert!(status.message().starts_with(&expected), "{status}");
        }
        // The version of the program does not matter.
        let answer = introduce(&cluster, "9.9.9", PROTOCOL_VERSION).await.expect("it is welcome");
        let Down::Welcome(welcome) = answer else { panic!("the answer is {answer:?}") };
        assert_eq!((welcome.protocol_version, welcome.version.as_str()), (PROTOCOL_VERSION, PROGRAM_VERSION));
    });
}

#[test]
fn a_coordinator_refuses_a_command_of_another_protocol_by_name() {
    let cluster = coordinator();
    Runtime::new().expect("a runtime").block_on(async {
        let mut client = SweepsClient::connect(cluster.url()).await.expect("a coordinator");
        let mut list = async |headers: &[(&'static str, String)]| {
            let mut request = Request::new(v1::ListRequest {});
            for (name, value) in headers {
                request.metadata_mut().insert(*name, value.parse().expect("a header"));
            }
            client.list(request).await.map(Response::into_parts)
        };
        for (headers, named) in [
            (vec![], "the command has an unknown version (protocol 0)".to_owned()),
            (
                vec![(PROTOCOL_HEADER, NEXT.to_string()), (PROGRAM_HEADER, "9.9.9".to_owned())],
                format!("the command has version 9.9.9 (protocol {NEXT})"),
            ),
        ] {
            let status = list(&headers).await.expect_err("it is refused");
            let expected = format!("{named}, but the coordinator {}; start", own());
            assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
            assert!(status.message().starts_with(&expected), "{status}");
        }
        let (metadata, ..) = list(&[(PROTOCOL_HEADER, PROTOCOL_VERSION.to_string())]).await.expect("it is answered");
        assert_eq!(metadata.get(PROTOCOL_HEADER).expect("a header"), PROTOCOL_VERSION.to_string().as_str());
    });
}

/// A coordinator of another version. It does not check the version of its peers.
#[derive(Debug, Clone)]
struct Other;

type Messages = Pin<Box<dyn Stream<Item = Result<v1::CoordinatorMessage, Status>> + Send>>;

#[tonic::async_trait]
impl Workers for Other {
    type SessionStream = Messages;

    async fn session(&self, _: Request<Streaming<v1::WorkerMessage>>) -> Result<Response<Messages>, Status> {
        let (store, version) = (String::new(), "9.9.9".to_owned());
        let welcome = v1::Welcome { heartbeat_ms: 1_000, store, protocol_version: NEXT, version, epoch: 0 };
        let welcome = v1::CoordinatorMessage { message: Some(Down::Welcome(welcome)) };
        Ok(Response::new(Box::pin(tokio_stream::iter([Ok(welcome)]).chain(futures::stream::pending()))))
    }

    async fn which_ended(&self, _: Request<v1::WhichEndedRequest>) -> Result<Response<v1::WhichEndedResponse>, Status> {
        Ok(Response::new(v1::WhichEndedResponse::default()))
    }
}

/// The same for commands: every request has an empty answer.
impl Service<http::Request<Body>> for Other {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Request<Body>) -> Self::Future {
        let answer = http::Response::builder().header("content-type", "application/grpc");
        let answer = answer.header(PROTOCOL_HEADER, NEXT).header(PROGRAM_HEADER, "9.9.9");
        ready(Ok(answer.body(Body::empty()).expect("an answer")))
    }
}

impl NamedService for Other {
    const NAME: &'static str = "biosweep.v1.Sweeps";
}

/// Serves [`Other`] as long as the runtime lives, and returns its address.
fn serve_other(runtime: &Runtime) -> String {
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let _inside = runtime.enter();
    let server = Server::builder().add_service(WorkersServer::new(Other)).add_service(Other);
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    url
}

#[test]
fn a_worker_and_a_command_refuse_a_coordinator_of_another_protocol_by_name() {
    let (runtime, home) = (Runtime::new().expect("a runtime"), Home::default());
    let url = serve_other(&runtime);
    let other = format!("the coordinator has version 9.9.9 (protocol {NEXT}), but this");
    let output = home.worker(&["--coordinator", &url]).output().expect("it starts");
    let printed = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{printed}");
    assert!(printed.contains(&format!("{other} worker {}; start a worker", own())), "{printed}");
    for command in ["list", "workers"] {
        let output = home.run(&[command, "--coordinator", &url]);
        let printed = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{printed}");
        assert!(printed.contains(&format!("{other} program {}; start", own())), "{printed}");
    }
}
