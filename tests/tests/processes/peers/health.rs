//! The port for health checks: what it says while the coordinator starts, serves and stops, and that it serves nothing else.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::process::Child;
use std::time::Duration;

use biosweep_proto::v1;
use biosweep_proto::v1::sweeps_client::SweepsClient;
use biosweep_tests::cluster::pid;
use biosweep_tests::{Home, until, until_ended};
use nix::sys::signal::{Signal, kill};
use tonic::Code;
use tonic::transport::{Channel, Endpoint};
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

/// Number of connections that take part without asking anything; more than the port has.
const IDLE: usize = 40;

/// Number of connections that follow the health; more than the port has.
const FOLLOWERS: usize = 32;
/// Number of checks meanwhile.
const CHECKS: usize = 10;

/// A process that is killed when this value is dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn serve(home: &Home, log: &str, more: &[&str]) -> Process {
    let log = fs::File::create(home.path().join(log)).expect("a log");
    let mut command = home.biosweep(&[&["serve", "--listen", "127.0.0.1:0"], more].concat());
    Process(command.stdout(log.try_clone().expect("the same log")).stderr(log).spawn().expect("biosweep starts"))
}

async fn status(client: &mut HealthClient<Channel>, service: &str) -> Result<ServingStatus, Code> {
    let request = HealthCheckRequest { service: service.to_owned() };
    let answer = client.check(request).await.map_err(|status| status.code())?.into_inner();
    match answer.status {
        1 => Ok(ServingStatus::Serving),
        2 => Ok(ServingStatus::NotServing),
        _ => Ok(ServingStatus::Unknown),
    }
}

/// Followers of the health that connect again and again keep no check of another machine out.
async fn starve_nobody(endpoint: &Endpoint) {
    let follow = async |endpoint: Endpoint| {
        loop {
            let Ok(channel) = endpoint.connect().await else { continue };
            let request = HealthCheckRequest { service: "readiness".to_owned() };
            let Ok(changes) = HealthClient::new(channel).watch(request).await else { continue };
            let mut changes = changes.into_inner();
            while matches!(changes.message().await, Ok(Some(_))) {}
        }
    };
    let mut followers = tokio::task::JoinSet::new();
    for _ in 0..FOLLOWERS {
        followers.spawn(follow(endpoint.clone()));
    }
    let check = async || {
        let endpoint = endpoint.clone().local_address(Some(IpAddr::from([127, 0, 0, 2])));
        let channel = endpoint.connect().await.ok()?;
        status(&mut HealthClient::new(channel), "liveness").await.ok()
    };
    let mut served = 0;
    for _ in 0..CHECKS {
        let answer = tokio::time::timeout(Duration::from_secs(5), check()).await;
        served += usize::from(matches!(answer, Ok(Some(ServingStatus::Serving))));
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert_eq!(served, CHECKS, "checks are served");
}

#[tokio::test(flavor = "multi_thread")]
async fn health_follows_the_start_and_the_end_of_a_coordinator() {
    let home = Home::default();
    let first = serve(&home, "first.log", &[]);
    until("the first coordinator serves", || home.is_announced().then_some(()));
    // A holder of the store without its address file is waited for.
    fs::remove_file(home.path().join("coordinator.json")).expect("it is there");
    let mut second = serve(&home, "second.log", &["--health-listen", "127.0.0.1:0"]);
    let address: SocketAddr = until("the port for health checks is named", || {
        let log = fs::read_to_string(home.path().join("second.log")).expect("a log");
        log.lines().find_map(|line| line.strip_prefix("health ")?.trim().parse().ok())
    });
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
    let endpoint = endpoint.connect_timeout(Duration::from_secs(5));
    let channel = endpoint.connect().await.expect("it listens");
    let mut client = HealthClient::new(channel.clone());

    // It waits for the store.
    assert_eq!(status(&mut client, "liveness").await, Ok(ServingStatus::Serving));
    for service in ["readiness", ""] {
        assert_eq!(status(&mut client, service).await, Ok(ServingStatus::NotServing), "`{service}`");
    }
    assert_eq!(status(&mut client, "biosweep.v1.Workers").await, Err(Code::NotFound));
    let request = HealthCheckRequest { service: "readiness".to_owned() };
    let mut changes = client.watch(request).await.expect("it is served").into_inner();
    let mut next = async || changes.message().await.ok().flatten().map(|answer| answer.status);
    assert_eq!(next().await, Some(ServingStatus::NotServing as i32));

    drop(first);
    assert_eq!(next().await, Some(ServingStatus::Serving as i32), "it serves");
    assert!(home.is_announced());
    assert_eq!(status(&mut client, "readiness").await, Ok(ServingStatus::Serving));

    // Nothing else is served there, and idle connections keep no check out.
    let refused = SweepsClient::new(channel).list(v1::ListRequest {}).await.expect_err("only health checks");
    assert_eq!(refused.code(), Code::Unimplemented, "{refused}");
    let mut browser = TcpStream::connect(address).expect("it listens");
    browser.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").expect("it is taken");
    let mut answer = Vec::new();
    drop(browser.read_to_end(&mut answer));
    assert_eq!(String::from_utf8_lossy(&answer), "", "there is no page");
    let _idle: Vec<_> = (0..IDLE).map(|_| TcpStream::connect(address).expect("it listens")).collect();
    let another = HealthClient::new(endpoint.connect().await.expect("there is room"));
    assert_eq!(status(&mut another.clone(), "liveness").await, Ok(ServingStatus::Serving));
    starve_nobody(&endpoint).await;

    // The first connection has given way to later ones.
    let mut another = HealthClient::new(endpoint.connect().await.expect("there is room"));
    let request = HealthCheckRequest { service: "readiness".to_owned() };
    let mut changes = another.watch(request).await.expect("it is served").into_inner();
    let mut next = async || changes.message().await.ok().flatten().map(|answer| answer.status);
    assert_eq!(next().await, Some(ServingStatus::Serving as i32));

    kill(pid(&second.0), Signal::SIGTERM).expect("it runs");
    assert_eq!(next().await, Some(ServingStatus::NotServing as i32), "it stops");
    assert!(until_ended(&mut second.0).success());
    assert_eq!(next().await, None);
}
