//! Checkpoints in a bucket of a real S3 server.

use std::path::Path;

use biosweep_tests::cluster::Cluster;
use biosweep_tests::until;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

const KEY: &str = "somebody";
const SECRET: &str = "something secret";
const BUCKET: &str = "checkpoints";

/// Serves the folders under `root` as buckets for as long as the runtime lives; the address.
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

#[test]
fn a_trajectory_goes_on_from_its_checkpoint_in_a_bucket() {
    let runtime = Runtime::new().expect("a runtime");
    let root = tempfile::tempdir().expect("a folder");
    let bucket = root.path().join(BUCKET);
    std::fs::create_dir(&bucket).expect("a bucket");
    let endpoint = serve(&runtime, root.path());
    let access = [
        ("AWS_ACCESS_KEY_ID", KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL", endpoint.as_str()),
    ];
    let place = format!("s3://{BUCKET}/of/ours");
    let in_bucket = || files(&bucket).into_iter().filter(|name| name.ends_with(".safetensors")).count();

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
    let said = cluster.said("worker-1.log");
    assert!(said.contains("goes on"), "{said}");
    until("the bucket is empty again", || (in_bucket() == 0).then_some(()));
}

fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
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
