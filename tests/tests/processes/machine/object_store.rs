//! Checkpoints in a bucket of a real S3 server.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener as StdListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use biosweep_tests::cluster::Cluster;
use biosweep_tests::{until, until_ended};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use nix::sys::signal::{Signal, kill};
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

const KEY: &str = "somebody";
const SECRET: &str = "something secret";
const BUCKET: &str = "checkpoints";

/// An empty bucket on a server that ends with this value.
struct Bucket {
    endpoint: String,
    root: tempfile::TempDir,
    _runtime: Runtime,
}

impl Bucket {
    fn new() -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let root = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(root.path().join(BUCKET)).expect("a bucket");
        Self { endpoint: serve(&runtime, root.path()), root, _runtime: runtime }
    }

    /// The files in the bucket.
    fn files(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut open = vec![self.root.path().join(BUCKET)];
        while let Some(folder) = open.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                if entry.path().is_dir() {
                    open.push(entry.path());
                } else {
                    found.push(entry.path().to_string_lossy().into_owned());
                }
            }
        }
        found
    }
}

/// Serves the folders under `root` as buckets while the runtime exists, and returns the address.
fn serve(runtime: &Runtime, root: &Path) -> String {
    let mut service = S3ServiceBuilder::new(FileSystem::new(root).expect("a folder"));
    service.set_auth(SimpleAuth::from_single(KEY, SECRET));
    let service = service.build();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
    let address = listener.local_addr().expect("its number");
    runtime.spawn(async move {
        let server = auto::Builder::new(TokioExecutor::new());
        while let Ok((socket, _)) = listener.accept().await {
            let connection = server.serve_connection(TokioIo::new(socket), service.clone()).into_owned();
            tokio::spawn(connection);
        }
    });
    format!("http://{address}")
}

/// The environment variables for a worker's access to the bucket.
fn access(endpoint: &str) -> [(&'static str, &str); 4] {
    [
        ("AWS_ACCESS_KEY_ID", KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL", endpoint),
    ]
}

#[test]
fn a_trajectory_continues_from_its_checkpoint_in_a_bucket() {
    let bucket = Bucket::new();
    let access = access(&bucket.endpoint);
    let place = format!("s3://{BUCKET}/of/ours");
    let in_bucket = || bucket.files().into_iter().filter(|name| name.ends_with(".safetensors")).count();

    let mut calm = Cluster::new(None);
    calm.serve();
    calm.submit();
    calm.work(&[], &[]);
    let expected = calm.findings();

    let mut cluster = Cluster::new(None);
    cluster.serve();
    cluster.submit();
    cluster.work(&["--checkpoints", &place], &access);
    until("there are checkpoints in the bucket", || (in_bucket() >= 2).then_some(()));
    cluster.kill_worker();
    cluster.work(&["--checkpoints", &place], &access);
    assert_eq!(cluster.findings(), expected);
    let printed = cluster.printed("worker-1.log");
    assert!(printed.contains("resumes from a checkpoint"), "{printed}");
    until("the bucket is empty again", || (in_bucket() == 0).then_some(()));
}

#[test]
fn a_large_checkpoint_is_sent_in_parts_and_training_continues_from_it() {
    let bucket = Bucket::new();
    let access = access(&bucket.endpoint);
    let mut cluster = Cluster::new(None);
    cluster.serve();
    // Five million parameters are twenty megabytes.
    let spec = "name = \"small\"\ncheckpoint_every_s = 0.1\n[data]\ndataset = \"synthetic-digits\"\n[train]\n\
                max_updates = 100_000\n[grid]\nrule = \"bp\"\nnetwork = \"nn\"\ndepth = 2\nhidden = 900\n";
    let spec = cluster.home().spec(spec);
    let _sweep = cluster.json(&["submit", &spec.to_string_lossy()]);
    let place = format!("s3://{BUCKET}");
    cluster.work(&["--checkpoints", &place], &access);
    let is_large = |name: &String| {
        name.ends_with(".safetensors") && std::fs::metadata(name).is_ok_and(|file| file.len() > 10 << 20)
    };
    until("a large checkpoint is in the bucket", || bucket.files().iter().any(is_large).then_some(()));
    cluster.kill_worker();
    cluster.work(&["--checkpoints", &place], &access);
    until("it is resumed from", || cluster.printed("worker-1.log").contains("resumes from a checkpoint").then_some(()));
}

#[test]
fn a_worker_does_not_start_without_access_to_its_bucket() {
    let bucket = Bucket::new();
    let mut access = access(&bucket.endpoint);
    access[1].1 = "another secret";
    let mut cluster = Cluster::new(None);
    cluster.serve();
    cluster.submit();
    cluster.work(&["--checkpoints", &format!("s3://{BUCKET}")], &access);
    assert_eq!(until_ended(cluster.last_worker()).code(), Some(3));
    let printed = cluster.printed("worker-1.log");
    assert!(printed.contains("error: checkpoints cannot be kept in s3://"), "{printed}");
    assert!(printed.contains("AWS_ACCESS_KEY_ID"), "{printed}");
}

#[test]
fn a_worker_that_waits_for_its_bucket_stops_on_a_signal() {
    let listener = StdListener::bind("127.0.0.1:0").expect("a free port");
    let endpoint = format!("http://{}", listener.local_addr().expect("its number"));
    let mut cluster = Cluster::new(None);
    let worker = cluster.work(&["--checkpoints", &format!("s3://{BUCKET}")], &access(&endpoint));
    let (_silent, _) = listener.accept().expect("the worker connects");
    kill(worker, Signal::SIGTERM).expect("it runs");
    assert_eq!(until_ended(cluster.last_worker()).code(), Some(75), "{}", cluster.printed("worker-1.log"));
}

/// Serves an empty bucket that answers reads and deletions, and writes no checkpoint: such a write is never answered. Returns the
/// number of these writes that have started.
fn serve_without_writing(listener: StdListener) -> Arc<AtomicUsize> {
    const EMPTY: &str = "<ListBucketResult><IsTruncated>false</IsTruncated><KeyCount>0</KeyCount></ListBucketResult>";
    const DELETED: &str = "<DeleteResult><Deleted><Key>a file</Key></Deleted></DeleteResult>";
    let writers = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&writers);
    thread::spawn(move || {
        let mut held: Vec<TcpStream> = Vec::new();
        for socket in listener.incoming().flatten() {
            let mut reader = BufReader::new(socket.try_clone().expect("a socket"));
            let head: Vec<String> =
                reader.by_ref().lines().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
            let first = head.first().map(String::as_str).unwrap_or_default();
            if first.starts_with("PUT") && first.contains(".safetensors") {
                counted.fetch_add(1, Ordering::Relaxed);
                held.push(socket);
                continue;
            }
            let length = |line: &String| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok();
            let mut body = vec![0; head.iter().find_map(length).unwrap_or(0)];
            // An error means that the client is gone, here and below.
            drop(reader.read_exact(&mut body));
            let answer = if first.starts_with("POST") { DELETED } else { EMPTY };
            let length = answer.len();
            drop(write!(
                &socket,
                "HTTP/1.1 200 OK\r\nETag: \"1\"\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{answer}"
            ));
        }
    });
    writers
}

#[test]
fn training_continues_while_a_checkpoint_store_does_not_answer() {
    let listener = StdListener::bind("127.0.0.1:0").expect("a free port");
    let endpoint = format!("http://{}", listener.local_addr().expect("its number"));
    let writers = serve_without_writing(listener);
    let begun = || writers.load(Ordering::Relaxed);
    let mut cluster = Cluster::new(None);
    cluster.serve();
    cluster.submit();
    cluster.work(&["--checkpoints", &format!("s3://{BUCKET}"), "--lanes", "6"], &access(&endpoint));
    until("a checkpoint is being written", || (begun() > 0).then_some(()));
    let updates = |status: &serde_json::Value| {
        let workers = status["workers"].as_array().cloned().unwrap_or_default();
        let lanes = workers.iter().flat_map(|worker| worker["training"].as_array().cloned().unwrap_or_default());
        lanes.filter_map(|lane| lane["updates"].as_u64()).sum::<u64>()
    };
    // Far more updates than before the first checkpoint.
    cluster.until("training goes on", |status| updates(status) >= 1_000);
    // A write times out after fifteen seconds. If training waited for it, there would be a write every tenth of a
    // second.
    assert!(begun() <= 4, "{} writes were given up meanwhile", begun());
}
