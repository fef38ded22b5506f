//! Floods: many connections, unfinished handshakes, slow headers, streams that are reset at once, guessed tokens. A coordinator with
//! TLS lets none of them in, and an honest user and an honest worker are served meanwhile.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use biosweep_common::vocabulary::access::token::{Secret, Token, TokenId};
use biosweep_connection::bearer::Bearer;
use biosweep_connection::dial::Dialer;
use biosweep_connection::file::ConnectionFile;
use biosweep_host::clock::Clock;
use biosweep_proto::v1;
use biosweep_proto::v1::sweeps_client::SweepsClient;
use biosweep_tests::cluster::QUICK_SPEC;
use biosweep_tests::cluster::secured::Secured;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

/// The start of HTTP/2: the preface and empty settings.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";
/// An answer takes less than a second; the rest is for a busy machine.
const PATIENCE_S: f64 = 10.0;

/// Open files that this process and its children may have.
pub(super) fn more_files() -> u64 {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("the limit");
    setrlimit(Resource::RLIMIT_NOFILE, most, most).expect("up to the hard limit");
    most
}

pub(super) async fn channel(secured: &Secured, connection: &ConnectionFile) -> Channel {
    let dialer = Dialer::new(&secured.url(), connection, None).expect("they fit");
    let endpoint = Endpoint::from_shared(secured.url()).expect("an address");
    dialer.connect(&endpoint).await.expect("it listens")
}

/// Asks again and again over one connection, and over new ones, until the flood ends. Returns the longest wait in seconds.
async fn honest(secured: Arc<Secured>, file: std::path::PathBuf, ends: Arc<AtomicBool>) -> f64 {
    let connection = ConnectionFile::read(&file).expect("it was made");
    let over = async |channel: Channel| {
        let mut client = SweepsClient::with_interceptor(channel, Bearer::new(connection.token.as_ref()));
        client.list(v1::ListRequest {}).await.expect("an honest user is served");
    };
    let kept = channel(&secured, &connection).await;
    let mut longest: f64 = 0.0;
    while !ends.load(Ordering::Relaxed) {
        let clock = Clock::start();
        over(kept.clone()).await;
        over(channel(&secured, &connection).await).await;
        longest = longest.max(clock.seconds());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    longest
}

/// A connection with TLS, as strangers open it.
pub(super) async fn stranger(secured: &Secured, protocol: &[u8]) -> TlsStream<TcpStream> {
    let authority = std::fs::read(secured.certificates().join("ca.pem")).expect("it was made");
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(pem::parse(authority).expect("PEM").into_contents())).expect("an authority");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("TLS");
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    let stream = TcpStream::connect(secured.url().replace("https://", "")).await.expect("it listens");
    let name = ServerName::try_from("localhost").expect("a name");
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("a handshake")
}

/// A frame that begins a stream with a request: `:method POST`, `:scheme https` and a path that the table of HTTP/2 has.
pub(super) fn begin(stream: u32) -> Vec<u8> {
    const HEADERS: [u8; 3] = [0x83, 0x87, 0x84];
    let mut frame = vec![0, 0, HEADERS.len() as u8, 1, 4];
    frame.extend(stream.to_be_bytes());
    frame.extend(HEADERS);
    frame
}

/// A frame that resets a stream.
fn reset(stream: u32) -> Vec<u8> {
    let mut frame = vec![0, 0, 4, 3, 0];
    frame.extend(stream.to_be_bytes());
    frame.extend(8_u32.to_be_bytes());
    frame
}

/// Sends frames until the server ends the connection, or all are sent; returns whether it has ended.
async fn send_streams(mut stream: TlsStream<TcpStream>, count: u32, frames: impl Fn(u32) -> Vec<u8>) -> bool {
    stream.write_all(PREFACE).await.expect("it is taken");
    let (mut reader, mut writer) = tokio::io::split(stream);
    let drain = tokio::spawn(async move {
        let mut bytes = [0; 16_384];
        while matches!(reader.read(&mut bytes).await, Ok(1..)) {}
    });
    for number in 0..count {
        if writer.write_all(&frames(2 * number + 1)).await.is_err() {
            return true;
        }
    }
    let ended = writer.flush().await.is_err() || tokio::time::timeout(Duration::from_secs(2), drain).await.is_ok();
    drop(writer);
    ended
}

async fn guesses(secured: &Secured, honest: &Path, count: u32) {
    let connection = ConnectionFile::read(honest).expect("it was made");
    let known = connection.token.expect("a token");
    let channel = channel(secured, &connection).await;
    for guess in 0..count {
        let mut secret = known.secret.0;
        secret[guess as usize % 32] ^= 1 << (guess / 32 % 8);
        let id = if guess % 2 == 0 { known.id } else { TokenId(u64::from(guess).to_be_bytes()) };
        let token = Token { id, secret: Secret(secret), ..known };
        let mut client = SweepsClient::with_interceptor(channel.clone(), Bearer::new(Some(&token)));
        let refused = client.list(v1::ListRequest {}).await.expect_err("a guess");
        assert_eq!(refused.code(), Code::Unauthenticated, "{refused}");
    }
}

/// Messages that are too long or nested too deeply are refused, and nobody else notices.
async fn too_much(secured: &Secured, viewer: &Path) {
    let connection = ConnectionFile::read(viewer).expect("it was made");
    let channel = channel(secured, &connection).await;
    let long = HealthCheckRequest { service: "x".repeat(1_000_000) };
    let refused = HealthClient::new(channel.clone()).check(long).await.expect_err("it is too long");
    assert_eq!(refused.code(), Code::OutOfRange, "{refused}");
    let mut client = SweepsClient::with_interceptor(channel, Bearer::new(connection.token.as_ref()));
    for deep in ["- ".repeat(10_000) + "x", "? ".repeat(3_000) + "x", "[".repeat(5_000)] {
        let format = v1::SpecFormat::Yaml as i32;
        let plan = v1::PlanRequest { spec: deep, format, origin: "deep".to_owned() };
        let refused = client.plan(plan).await.expect_err("it is no spec");
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    }
}

/// The connection of somebody unknown ends soon, whatever was asked on it.
async fn ends_soon(mut stream: TlsStream<TcpStream>) {
    stream.write_all(&[PREFACE, &begin(1)].concat()).await.expect("it is taken");
    let mut bytes = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(60), stream.read_to_end(&mut bytes)).await;
    assert!(ended.is_ok(), "it stays open");
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_let_nobody_in_and_starve_nobody() {
    let files = more_files();
    let mut secured = Secured::default();
    let (viewer, _) = secured.token("viewer", &[]);
    let (worker, _) = secured.token("worker", &[]);
    secured.work(&worker);
    let spec = secured.home().spec(QUICK_SPEC).to_string_lossy().into_owned();
    let _sweep = secured.home().json(&["submit", &spec]);
    let secured = Arc::new(secured);
    let ends = Arc::new(AtomicBool::new(false));
    let waits = tokio::spawn(honest(Arc::clone(&secured), viewer.clone(), Arc::clone(&ends)));
    let address = secured.url().replace("https://", "");

    // Connections that say nothing, and handshakes that stop after the first bytes.
    let count = usize::try_from(files.saturating_sub(500).min(10_000)).expect("a number");
    let mut held = Vec::with_capacity(count);
    for number in 0..count {
        let Ok(mut stream) = TcpStream::connect(&address).await else { continue };
        if number % 10 == 0 {
            // The head of a record that never comes.
            let _taken = stream.write_all(&[0x16, 3, 1, 2, 0, 1, 0]).await;
        }
        held.push(stream);
    }
    assert!(held.len() > count / 2, "{} of {count} connections", held.len());

    // Headers that come byte by byte.
    let mut slow = Vec::new();
    for number in 0..50 {
        let protocol: &[u8] = if number % 2 == 0 { b"h2" } else { b"http/1.1" };
        slow.push(stranger(&secured, protocol).await);
    }
    for byte in *b"GET / HTTP/1.1" {
        for stream in &mut slow {
            let _taken = stream.write_all(&[byte]).await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    guesses(&secured, &viewer, 2_000).await;
    let streams = send_streams(stranger(&secured, b"h2").await, 100_000, begin).await;
    let resets =
        send_streams(stranger(&secured, b"h2").await, 100_000, |stream| [begin(stream), reset(stream)].concat()).await;
    assert!(streams || resets, "streams without end are cut off");

    too_much(&secured, &viewer).await;
    ends_soon(stranger(&secured, b"h2").await).await;

    drop((held, slow));
    ends.store(true, Ordering::Relaxed);
    let longest = waits.await.expect("an honest user is served");
    eprintln!("{count} connections; an honest user waited at most {longest:.3} s; cut off: {streams} {resets}");
    assert!(longest < PATIENCE_S, "an honest user waited {longest} s");
    let show = secured.ask(&viewer, &["show", "small", "--output", "json"]);
    let show: serde_json::Value = serde_json::from_slice(&show.stdout).expect("JSON");
    assert_eq!(show["incomplete_attempts"], serde_json::json!([]), "the worker was never lost");
}
