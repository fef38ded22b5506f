//! Downloads from a local server.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::thread;

use super::*;
use crate::downloadable::Genuine;

const ONE: DownloadableFile =
    DownloadableFile { names: &["one.bin"], genuine: Genuine::Md5("900150983cd24fb0d6963f7d28e17f72") };
const TWO: DownloadableFile =
    DownloadableFile { names: &["two.bin"], genuine: Genuine::Md5("4911e516e5aa21d327512e0c8b197616") };
const GZIPPED: Downloadable = Downloadable { files: &[ONE, TWO], offer: Offer::Gzipped, mirrors: &[] };
const ARCHIVE: Downloadable = Downloadable { offer: Offer::Archive, ..GZIPPED };

/// Serves these paths until the test process ends, and returns the address.
fn serve(files: BTreeMap<String, Vec<u8>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut lines = BufReader::new(&stream).lines();
            let request = lines.next().expect("a request").expect("text");
            let _headers = lines.find(|line| line.as_ref().is_ok_and(String::is_empty));
            let answer = match files.get(request.split(' ').nth(1).expect("a path")) {
                Some(bytes) => {
                    let head =
                        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", bytes.len());
                    [head.as_bytes(), bytes].concat()
                }
                None => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec(),
            };
            stream.write_all(&answer).expect("sent");
        }
    });
    format!("http://{address}")
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("compressed");
    encoder.finish().expect("compressed")
}

fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, bytes) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, path, *bytes).expect("appended");
    }
    gzipped(&archive.into_inner().expect("an archive"))
}

fn files(entries: &[(&str, &[u8])]) -> BTreeMap<String, Vec<u8>> {
    entries.iter().map(|(path, bytes)| ((*path).to_owned(), gzipped(bytes))).collect()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<String> = entries.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn each_file_comes_from_the_first_mirror_with_the_right_digest() {
    let folder = tempfile::tempdir().expect("a folder");
    let astray = serve(files(&[("/d/one.bin.gz", b"<html>"), ("/d/two.bin.gz", b"abd")]));
    let sound = serve(files(&[("/one.bin.gz", b"abc")]));
    let mut lines = Vec::new();
    let mirrors = [format!("{astray}/d/"), sound.clone()];
    let paths = fetch(&GZIPPED, &mirrors, folder.path(), |line| lines.push(line)).expect("fetched");
    assert_eq!(paths, ["one.bin.gz", "two.bin.gz"].map(|name| folder.path().join(name)));
    assert_eq!(names(folder.path()), ["one.bin.gz", "two.bin.gz"]);
    let asked = [format!("{astray}/d/one.bin.gz"), format!("{sound}/one.bin.gz"), format!("{astray}/d/two.bin.gz")];
    assert_eq!(lines, asked.map(|url| format!("downloading {url}")));
}

#[test]
fn existing_files_are_not_downloaded_again() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("one.bin"), b"abc").expect("written");
    let mirror = serve(files(&[("/two.bin.gz", b"abd")]));
    fetch(&GZIPPED, &[mirror], folder.path(), |_| {}).expect("only the second is fetched");
    let again = fetch(&GZIPPED, &[], folder.path(), |line| panic!("{line}")).expect("all is there");
    assert_eq!(again, ["one.bin", "two.bin.gz"].map(|name| folder.path().join(name)));
}

#[test]
fn files_in_any_folder_of_an_archive_are_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let entries: [(&str, &[u8]); 3] = [("a/readme", b"?"), ("a/two.bin", b"abd"), ("a/one.bin", b"abc")];
    let url = serve(BTreeMap::from([("/all.tar.gz".to_owned(), archive(&entries))]));
    fetch(&ARCHIVE, &[format!("{url}/all.tar.gz")], folder.path(), |_| {}).expect("fetched");
    assert_eq!(names(folder.path()), ["one.bin", "two.bin"]);
    assert_eq!(fs::read(folder.path().join("two.bin")).expect("there"), b"abd");
}

#[test]
fn an_error_names_every_address_with_its_fault_and_no_file_is_left() {
    let folder = tempfile::tempdir().expect("a folder");
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let mirrors = [serve(BTreeMap::new()), serve(files(&[("/one.bin.gz", b"xyz")])), format!("http://{closed}")];
    let error = fetch(&GZIPPED, &mirrors, folder.path(), |_| {}).expect_err("none has it").to_string();
    for part in [mirrors[0].as_str(), &mirrors[1], &mirrors[2], "404", "900150983cd24fb0", "--mirror", "yourself"] {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
    let lacking = serve(BTreeMap::from([("/a".to_owned(), archive(&[("one.bin", b"abc")]))]));
    let error = fetch(&ARCHIVE, &[format!("{lacking}/a")], folder.path(), |_| {}).expect_err("one of two");
    assert!(error.to_string().contains("lacks `two.bin`"), "{error}");
    assert_eq!(names(folder.path()), Vec::<String>::new());
}
