//! Limits of the machine: few open files, few threads, logs that cannot be written, addresses of every kind. Programs
//! continue, or report what is missing.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use biosweep_tests::{Home, program, unless_root, until, until_ended, without_variables};

/// A sweep that is trained in a moment.
const SHORT: &str = "name = \"short\"\n[data]\ndataset = \"synthetic-digits\"\n[train]\nhidden = 16\nmax_updates = 20\n\
                     eval_every = 20\n[grid]\nrule = \"bp\"\nnetwork = \"nn\"\ndepth = 1\n";

/// A coordinator that ends with the test.
struct Coordinator {
    child: Child,
    port: u16,
}

impl Drop for Coordinator {
    fn drop(&mut self) {
        // An error means that it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port()
}

/// Starts a coordinator with the command `through`, which may be empty.
fn serve(home: &Home, through: &[&str], listen: &str, stderr: Stdio) -> Coordinator {
    let port = free_port();
    let biosweep = program("biosweep");
    let mut words = through.iter().map(|word| (*word).into()).chain([biosweep.into_os_string()]);
    let mut command = Command::new(words.next().expect("a program"));
    command.args(words).args(["serve", "--listen", &listen.replace("PORT", &port.to_string()), "--home"]);
    command.arg(home.path());
    without_variables(&mut command);
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).spawn().expect("it starts");
    until("the coordinator is there", || home.is_announced().then_some(()));
    Coordinator { child, port }
}

fn log_of(home: &Home) -> (Stdio, impl Fn() -> String) {
    let path = home.path().join("serve.log");
    let log = File::create(&path).expect("a log").into();
    (log, move || fs::read_to_string(&path).expect("a log"))
}

#[test]
fn silent_connections_are_closed_and_do_not_block_others() {
    let home = Home::default();
    let coordinator = serve(&home, &["prlimit", "--nofile=64:64"], "PORT", Stdio::null());
    let connect = || TcpStream::connect(("127.0.0.1", coordinator.port)).expect("it listens");
    let silent: Vec<TcpStream> = (0..100).map(|_| connect()).collect();
    assert_eq!(home.json(&["list"]).as_array().map(Vec::len), Some(0), "a real request is answered");
    for mut connection in silent {
        connection.set_read_timeout(Some(Duration::from_secs(60))).expect("it can be set");
        // The connection is closed or reset within the minute.
        let end = connection.read(&mut [0; 1]);
        assert!(!matches!(&end, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock), "{end:?}");
    }
}

#[test]
fn connections_without_requests_are_closed_and_do_not_block_others() {
    // The start of an HTTP/2 connection: the preface, and an empty settings frame.
    const BEGINNING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let home = Home::default();
    let coordinator = serve(&home, &["prlimit", "--nofile=64:64"], "PORT", Stdio::null());
    let connect = || {
        let mut connection = TcpStream::connect(("127.0.0.1", coordinator.port)).expect("it listens");
        connection.write_all(BEGINNING).expect("it is taken");
        connection
    };
    let idle: Vec<TcpStream> = (0..30).map(|_| connect()).collect();
    until("there is room for who asks something", || {
        home.run(&["list", "--output", "json"]).status.success().then_some(())
    });
    for mut connection in idle {
        connection.set_read_timeout(Some(Duration::from_secs(60))).expect("it can be set");
        // It receives settings first and then, within the minute, the end.
        let end = connection.read_to_end(&mut Vec::new());
        assert!(!matches!(&end, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock), "{end:?}");
    }
}

#[test]
fn a_log_that_cannot_be_written_loses_only_its_lines() {
    let full = || File::options().write(true).open("/dev/full").expect("it is always full");
    let home = Home::default();
    let logs = home.path().join("logs");
    fs::create_dir(&logs).expect("a folder");
    for log in ["biosweep.log", "worker-1.log"] {
        symlink("/dev/full", logs.join(log)).expect("a link");
    }
    let spec = home.spec(SHORT).to_string_lossy().into_owned();
    let mut run = home.biosweep(&["run", &spec, "--workers", "1"]);
    let status = run.stderr(full()).status().expect("it starts");
    assert!(status.success(), "{status}");

    let home = Home::default();
    let coordinator = serve(&home, &[], "PORT", full().into());
    let spec = home.spec(SHORT).to_string_lossy().into_owned();
    let _submitted = home.json(&["submit", &spec]);
    let url = format!("http://127.0.0.1:{}", coordinator.port);
    let mut worker = home.worker(&["--coordinator", &url]).stderr(full()).spawn().expect("it starts");
    until("the sweep is done", || (home.json(&["list"])[0]["state"] == "finished").then_some(()));
    worker.kill().expect("it lives on");
    worker.wait().expect("it has ended");
}

#[test]
fn commands_that_only_answer_need_no_threads_and_others_name_the_limit() {
    if unless_root("a user with few processes") {
        return;
    }
    let home = Home::default();
    let coordinator = serve(&home, &[], "PORT", Stdio::null());
    // A user without other processes, who can start the program wherever it was built.
    let place = tempfile::tempdir().expect("a folder");
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o777)).expect("a folder for everybody");
    let biosweep = place.path().join("biosweep");
    fs::copy(program("biosweep"), &biosweep).expect("a copy");
    let spec = place.path().join("spec.toml");
    fs::write(&spec, SHORT).expect("a spec");
    let as_user = |user: &str, arguments: &[&str]| {
        let mut command = Command::new("setpriv");
        command.arg(format!("--reuid={user}")).arg(format!("--regid={user}")).arg("--clear-groups");
        command.args(["prlimit", "--nproc=1"]).arg(&biosweep).args(arguments);
        command.arg("--home").arg(place.path().join(user)).current_dir(place.path());
        without_variables(&mut command);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        until_ended(&mut child);
        let Output { status, stderr, .. } = child.wait_with_output().expect("it has ended");
        (status.code(), String::from_utf8_lossy(&stderr).into_owned())
    };
    let url = format!("http://127.0.0.1:{}", coordinator.port);
    // Another user needs a token.
    let connection = place.path().join("viewer.json").to_string_lossy().into_owned();
    let _token = home.json(&["token", "create", "--role", "viewer", "--address", &url, "--to", &connection]);
    let given = Command::new("chown").args(["61231:61231", &connection]).status();
    assert!(given.expect("it starts").success());
    let (code, printed) = as_user("61231", &["list", "--connection", &connection]);
    assert_eq!(code, Some(0), "{printed}");
    let by_name = url.replace("127.0.0.1", "localhost");
    let spec = spec.to_string_lossy();
    // A user with sweeps and without a coordinator.
    let of_user = place.path().join("61232");
    let mut submit = Command::new(program("biosweep"));
    submit.args(["submit", &spec, "--home"]).arg(&of_user);
    without_variables(&mut submit);
    assert!(submit.output().expect("it starts").status.success());
    let given = Command::new("chown").args(["-R", "61232:61232"]).arg(&of_user).status();
    assert!(given.expect("it starts").success());
    let elsewhere = "postgres://somebody@nowhere.example/sweeps";
    let threaded: [&[&str]; 7] = [
        &["run", &spec],
        &["serve", "--listen", "0"],
        &["submit", &spec],
        &["list"],
        &["list", "--coordinator", &by_name],
        &["list", "--store", elsewhere],
        &["submit", &spec, "--store", elsewhere],
    ];
    for arguments in threaded {
        let (code, printed) = as_user("61232", arguments);
        assert_eq!(code, Some(3), "{arguments:?}: {printed}");
        assert!(printed.contains("`ulimit -u`") && !printed.contains("panicked"), "{arguments:?}: {printed}");
    }
}

#[test]
fn a_coordinator_listens_on_names_and_prints_this_machines_name_for_workers() {
    let home = Home::default();
    let (log, printed) = log_of(&home);
    let coordinator = serve(&home, &[], "localhost:PORT", log);
    until("it says where", || printed().contains(&format!("http://localhost:{}`", coordinator.port)).then_some(()));
    assert_eq!(home.json(&["list"]).as_array().map(Vec::len), Some(0));
}

#[test]
fn all_addresses_include_ipv4_and_ipv6_whatever_the_systems_default() {
    if unless_root("another default") {
        return;
    }
    let home = Home::default();
    let only_v6 = "ip link set lo up && echo 1 > /proc/sys/net/ipv6/bindv6only && \"$1\" serve --listen [::]:7465 --insecure \
                   --home \"$2\" & while ! [ -e \"$2/coordinator.json\" ]; do kill -0 $! || exit 9; sleep 0.05; done; \
                   \"$1\" list --home \"$2/other\" --output json --coordinator http://127.0.0.1:7465; code=$?; kill $!; wait; exit $code";
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c", only_v6, "sh"]).arg(program("biosweep")).arg(home.path());
    without_variables(&mut command);
    let output = command.output().expect("it starts");
    let printed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}");
    let name = fs::read_to_string(Path::new("/proc/sys/kernel/hostname")).expect("a name");
    assert!(printed.contains(&format!("--coordinator http://{}:7465`", name.trim())), "{printed}");
}

#[test]
fn an_empty_variable_counts_as_unset() {
    let home = Home::default();
    for (name, arguments) in
        [("biosweep", &["list"][..]), ("biosweep-worker", &["check", "--dataset", "synthetic-digits"])]
    {
        let mut command = Command::new(program(name));
        command.args(arguments).env("XDG_DATA_HOME", home.path()).env("HOME", home.path());
        for variable in ["BIOSWEEP_HOME", "BIOSWEEP_COORDINATOR", "BIOSWEEP_STORE", "BIOSWEEP_CHECKPOINTS"] {
            command.env(variable, "");
        }
        let output = command.output().expect("it starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let home = Home::default();
    let mut run = home.biosweep(&["run", &home.spec(SHORT).to_string_lossy(), "--workers", "1"]);
    for variable in ["BIOSWEEP_WORKER", "BIOSWEEP_DATA", "BIOSWEEP_LOG", "BIOSWEEP_LOG_FORMAT", "SLURM_JOB_ID"] {
        run.env(variable, "");
    }
    let output = run.output().expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let log = fs::read_to_string(home.path().join("logs/worker-1.log")).expect("a log");
    assert!(log.contains(" INFO "), "{log}");
}

#[test]
fn the_version_of_each_program_has_its_name() {
    for name in ["biosweep", "biosweep-worker"] {
        let output = Command::new(program(name)).arg("--version").output().expect("it starts");
        let version = format!("{name} {}\n", env!("CARGO_PKG_VERSION"));
        assert_eq!(String::from_utf8_lossy(&output.stdout), version);
    }
}
