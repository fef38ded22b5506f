//! How much strangers and single tokens may have of a coordinator: their connections end, and others are served meanwhile.

use std::path::Path;
use std::time::Duration;

use biosweep_connection::bearer::Bearer;
use biosweep_connection::file::ConnectionFile;
use biosweep_host::clock::Clock;
use biosweep_proto::v1;
use biosweep_proto::v1::sweeps_client::SweepsClient;
use biosweep_tests::cluster::secured::Secured;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tonic::Code;
use tonic::transport::Channel;

use super::floods::{PREFACE, begin, channel, more_files, stranger};

/// Maximum number of connections and of event streams of one token.
const CONNECTIONS_MAX: usize = 128;
const EVENTS_MAX: usize = 32;
/// Seconds in which the connection of a stranger ends: ten, and time for a busy machine.
const STRANGER_S: f64 = 25.0;
/// Seconds in which the connections of a revoked token end: at once, and time for a busy machine.
const REVOKED_S: f64 = 5.0;

fn token(file: &Path) -> ConnectionFile {
    ConnectionFile::read(file).expect("it was made")
}

/// Lists the sweeps over a connection.
async fn list(channel: &Channel, connection: &ConnectionFile) -> Result<(), Code> {
    let mut client = SweepsClient::with_interceptor(channel.clone(), Bearer::new(connection.token.as_ref()));
    client.list(v1::ListRequest {}).await.map(drop).map_err(|status| status.code())
}

/// The number of established connections to the coordinator, as the system counts them.
fn established(secured: &Secured) -> usize {
    let port: u16 = secured.url().rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let table = std::fs::read_to_string("/proc/net/tcp").expect("Linux has it");
    let local = format!(":{port:04X}");
    let is_one = |line: &&str| {
        let mut columns = line.split_whitespace().skip(1);
        columns.next().is_some_and(|address| address.ends_with(&local)) && columns.nth(1) == Some("01")
    };
    table.lines().filter(is_one).count()
}

/// A frame with a whole request, which is refused: no method has the path `/`.
fn whole(stream: u32) -> Vec<u8> {
    let mut frame = begin(stream);
    // The end of the headers, and of the stream.
    frame[4] = 5;
    frame
}

/// Asks the page for an address over a connection, and returns the first line of the answer.
async fn get(stream: &mut TlsStream<TcpStream>, path: &str, file: Option<&ConnectionFile>) -> Option<String> {
    let bearer = file.and_then(|file| file.token.as_ref()).map(|token| token.to_text());
    let bearer = bearer.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{bearer}\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut bytes = [0; 65_536];
    match stream.read(&mut bytes).await {
        Ok(len @ 1..) => String::from_utf8_lossy(&bytes[..len]).lines().next().map(str::to_owned),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_ends_the_connection_of_a_stranger_who_asks_again_and_again() {
    let secured = Secured::default();
    let mut stream = stranger(&secured, b"http/1.1").await;
    let clock = Clock::start();
    while get(&mut stream, "/assets/page.css", None).await.is_some() {
        assert!(clock.seconds() < STRANGER_S, "it stays open");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_who_reads_nothing_is_cut_off() {
    let secured = Secured::default();
    let mut stream = stranger(&secured, b"h2").await;
    stream.write_all(PREFACE).await.expect("it is taken");
    let flood = async {
        let mut numbers = (1..).step_by(2);
        // Each request is refused, and the answers fill the connection.
        while stream.write_all(&numbers.by_ref().take(1_000).flat_map(whole).collect::<Vec<u8>>()).await.is_ok() {}
    };
    tokio::time::timeout(Duration::from_secs_f64(STRANGER_S), flood).await.expect("it does not stay open");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_of_a_revoked_token_end_also_if_nothing_is_asked() {
    let secured = Secured::default();
    let (file, id) = secured.token("viewer", &[]);
    let viewer = token(&file);
    let mut held = Vec::new();
    for _ in 0..20 {
        let channel = channel(&secured, &viewer).await;
        list(&channel, &viewer).await.expect("it is valid");
        held.push(channel);
    }
    let mut browser = stranger(&secured, b"http/1.1").await;
    let answer = get(&mut browser, "/events", Some(&viewer)).await;
    assert_eq!(answer.as_deref(), Some("HTTP/1.1 200 OK"));
    assert_eq!(established(&secured), 21);
    let _revoked = secured.home().json(&["token", "revoke", &id]);
    let clock = Clock::start();
    while established(&secured) > 0 {
        assert!(clock.seconds() < REVOKED_S, "{} stay open", established(&secured));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(list(&held[0], &viewer).await, Err(Code::Unauthenticated), "the connection is made again");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_token_takes_a_part_of_the_connections_and_of_the_event_streams() {
    more_files();
    let secured = Secured::default();
    let (file, _) = secured.token("viewer", &[]);
    let (viewer, other) = (token(&file), token(&secured.token("viewer", &[]).0));
    let mut browsers = Vec::new();
    let refused = loop {
        let mut browser = stranger(&secured, b"http/1.1").await;
        let answer = get(&mut browser, "/events", Some(&viewer)).await.expect("an answer");
        if !answer.contains("200") {
            break answer;
        }
        browsers.push(browser);
        assert!(browsers.len() <= EVENTS_MAX, "one token takes all");
    };
    assert!(refused.contains("503"), "{refused}");
    let mut browser = stranger(&secured, b"http/1.1").await;
    let answer = get(&mut browser, "/events", Some(&other)).await;
    assert_eq!(answer.as_deref(), Some("HTTP/1.1 200 OK"), "others are served");
    drop((browsers, browser));
    let mut held = Vec::new();
    let refused = loop {
        let channel = channel(&secured, &viewer).await;
        match list(&channel, &viewer).await {
            Ok(()) => held.push(channel),
            Err(code) => break code,
        }
        assert!(held.len() <= CONNECTIONS_MAX, "one token takes all");
    };
    assert_eq!(refused, Code::ResourceExhausted);
    assert_eq!(list(&channel(&secured, &other).await, &other).await, Ok(()), "others are served");
}
