//! The page over plain HTTP: slow requests, foreign requests, and the event stream.

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use biosweep_host::clock::Clock;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::page::site::Site;

/// Maximum wait for an answer.
const WAIT: Duration = Duration::from_secs(20);

fn connect(site: &Site) -> TcpStream {
    let url = site.cluster.url();
    let stream = TcpStream::connect(url.strip_prefix("http://").expect("an address")).expect("a coordinator");
    stream.set_read_timeout(Some(WAIT)).expect("a timeout");
    stream
}

/// Sends a request, and returns the status and the reader of the rest of the answer.
fn send(site: &Site, method: &str, path: &str, headers: &[(&str, &str)]) -> (u16, BufReader<TcpStream>) {
    let mut stream = connect(site);
    let headers: Vec<String> = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let request = format!("{method} {path} HTTP/1.1\r\n{}Connection: close\r\n\r\n", headers.concat());
    stream.write_all(request.as_bytes()).expect("the coordinator reads");
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).expect("an answer");
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("{method} {path}: {line:?}")), reader)
}

/// The status and the first line of the answer to a request.
pub(crate) fn ask(site: &Site, method: &str, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let (status, mut reader) = send(site, method, path, headers);
    let mut lines = String::new();
    while reader.read_line(&mut lines).expect("an answer") > 2 {}
    (status, lines)
}

/// An open event stream.
pub(crate) struct Stream(BufReader<TcpStream>);

impl Stream {
    /// Opens a stream, from a known event on.
    pub(crate) fn open(site: &Site, last: Option<&str>) -> Self {
        let mut headers = vec![("Host", "localhost"), ("Accept", "text/event-stream")];
        headers.extend(last.map(|last| ("Last-Event-ID", last)));
        let (status, reader) = send(site, "GET", "/events", &headers);
        assert_eq!(status, 200);
        Self(reader)
    }

    /// The id and the content of the next event.
    fn next(&mut self) -> (String, Value) {
        let (mut id, mut data) = (None, None);
        loop {
            let mut line = String::new();
            assert_ne!(self.0.read_line(&mut line).expect("an event"), 0, "the stream has ended");
            let line = line.trim_end();
            id = id.or_else(|| line.strip_prefix("id: ").map(str::to_owned));
            data = data.or_else(|| line.strip_prefix("data: ").map(|data| serde_json::from_str(data).expect("JSON")));
            if let (Some(id), Some(data)) = (&id, &data) {
                return (id.clone(), Value::clone(data));
            }
        }
    }

    /// The next event that names a sweep.
    fn next_of(&mut self, sweep: &str) -> String {
        loop {
            let (id, data) = self.next();
            if names(&data, sweep) {
                return id;
            }
        }
    }
}

fn names(change: &Value, sweep: &str) -> bool {
    change["sweeps"].as_array().expect("a list").iter().any(|one| one == sweep)
}

#[test]
fn a_connection_that_sends_its_headers_slowly_is_closed() {
    let (site, clock) = (Site::start(), Clock::start());
    let mut stream = connect(&site);
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").expect("the coordinator reads");
    stream.set_read_timeout(Some(Duration::from_millis(500))).expect("a timeout");
    let mut byte = [0];
    while clock.seconds() < WAIT.as_secs_f64() {
        match stream.read(&mut byte) {
            Err(error) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => {
                // A byte now and then does not help. The connection may be closed already, which the next read shows.
                let _sent = stream.write_all(b"x");
            }
            Ok(0) | Err(_) => return,
            // An answer such as 408 may come first.
            Ok(_) => {}
        }
    }
    panic!("the connection is still open after {WAIT:?}");
}

#[test]
fn foreign_hosts_and_origins_are_refused_on_every_verb() {
    let site = Site::start();
    let sweep = format!("/sweeps/{}", site.sweep);
    let pause = format!("{sweep}/pause");
    let own = site.cluster.url();
    let host = own.strip_prefix("http://").expect("an address");
    for verb in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        for path in ["/", &sweep, &pause] {
            let foreign_host = [("Host", "evil.example"), ("Content-Length", "0")];
            assert_eq!(ask(&site, verb, path, &foreign_host).0, 403, "{verb} {path} from another host");
            for origin in ["http://evil.example", "null"] {
                let foreign = [("Host", host), ("Origin", origin), ("Content-Length", "0")];
                assert_eq!(ask(&site, verb, path, &foreign).0, 403, "{verb} {path} from {origin}");
            }
        }
    }
    assert_eq!(ask(&site, "POST", &pause, &[("Host", host), ("Content-Length", "0")]).0, 403, "from nowhere");
    assert_eq!(site.cluster.json(&["show", "small"])["state"], "running");
    let (status, headers) = ask(&site, "POST", &pause, &[("Host", host), ("Origin", &own), ("Content-Length", "0")]);
    assert_eq!(status, 303, "{headers}");
    assert_eq!(site.cluster.json(&["show", "small"])["state"], "paused");
}

#[test]
fn an_event_stream_goes_on_after_the_last_event() {
    let site = Site::start();
    let sweep = site.sweep.to_string();
    let mut stream = Stream::open(&site, None);
    let (first, start) = stream.next();
    assert!(!names(&start, &sweep), "{start}");
    let _paused = site.cluster.json(&["pause", "small"]);
    let second = stream.next_of(&sweep);
    drop(stream);
    let _resumed = site.cluster.json(&["resume", "small"]);
    // What was missed comes first, as one event.
    let missed = Stream::open(&site, Some(&second)).next_of(&sweep);
    assert!(![&first, &second].contains(&&missed));
    let (_, nothing) = Stream::open(&site, Some(&missed)).next();
    assert!(!names(&nothing, &sweep), "{nothing}");
    let (_, all) = Stream::open(&site, Some("another-process.3")).next();
    assert_eq!(all["reload"], true);
}

#[test]
fn a_coordinator_ends_while_event_streams_are_open() {
    let mut site = Site::start();
    let mut stream = Stream::open(&site, None);
    let _first = stream.next();
    let clock = Clock::start();
    let status = site.cluster.end_coordinator(Signal::SIGTERM);
    let seconds = clock.seconds();
    assert!(status.success() && seconds < 2.0, "{status} after {seconds} s");
    let mut rest = Vec::new();
    stream.0.read_to_end(&mut rest).expect("the stream ends as it should");
    assert!(rest.ends_with(b"0\r\n\r\n"), "{}", String::from_utf8_lossy(&rest));
}
