//! `biosweep data` with a local mirror.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::thread;

use biosweep_tests::Home;

/// Serves the files of a folder as a mirror, and returns its address.
fn serve(folder: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut lines = BufReader::new(&stream).lines();
            let request = lines.next().expect("a request").expect("text");
            let _headers = lines.find(|line| line.as_ref().is_ok_and(String::is_empty));
            let name = request.split(' ').nth(1).expect("a path").trim_start_matches('/').to_owned();
            let (status, bytes) = match std::fs::read(folder.join(name)) {
                Ok(bytes) => ("200 OK", bytes),
                Err(_) => ("404 Not Found", Vec::new()),
            };
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", bytes.len());
            stream.write_all(&[head.as_bytes(), &bytes].concat()).expect("sent");
        }
    });
    format!("http://{address}")
}

#[test]
fn a_mirror_with_wrong_files_is_an_error_and_no_file_is_kept() {
    let (home, files) = (Home::default(), tempfile::tempdir().expect("a folder"));
    std::fs::write(files.path().join("train-images-idx3-ubyte.gz"), b"<html>").expect("written");
    let mirror = serve(files.path().to_owned());
    let output = home.run(&["data", "fetch", "mnist", "--mirror", &mirror]);
    let printed = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{printed}");
    for part in [mirror.as_str(), "not the genuine file", "--mirror URL"] {
        assert!(printed.contains(part), "{part} is not in: {printed}");
    }
    let list = home.json(&["data", "list"]);
    let state = |name: &str| list.as_array().and_then(|rows| rows.iter().find(|row| row["dataset"] == name)).cloned();
    assert_eq!(state("mnist").expect("listed")["state"], "absent");
    assert_eq!(state("synthetic-digits").expect("listed")["state"], "embedded");
    assert_eq!(home.run(&["data", "fetch", "synthetic-digits"]).status.code(), Some(2));
}

#[test]
fn the_right_files_are_downloaded_once_and_listed() {
    let genuine = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/mnist");
    if !genuine.join("train-images-idx3-ubyte.gz").is_file() {
        let reason = "skipped: there are no gzipped MNIST files on this machine\n";
        std::io::stderr().write_all(reason.as_bytes()).expect("written");
        return;
    }
    let home = Home::default();
    let mirror = serve(genuine);
    let answer = home.json(&["data", "fetch", "mnist", "--mirror", &mirror]);
    assert_eq!(answer["files"].as_array().map(Vec::len), Some(4));
    assert!(home.answer(&["data", "list"]).contains("datasets/mnist; verified when used"));
    let again = home.run(&["data", "fetch", "mnist", "--mirror", "http://127.0.0.1:1"]);
    assert!(again.status.success() && !String::from_utf8_lossy(&again.stderr).contains("downloading"));
}
