//! Other users of the same machine: a coordinator without certificates serves the user who started it, and nobody else.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Output};

use biosweep_tests::cluster::QUICK_SPEC;
use biosweep_tests::{Home, program, unless_root, until, without_variables};

/// `nobody` may be the user that stands for all unknown ones, so this is another.
const OTHER: &str = "64123";

struct Coordinator {
    home: Home,
    child: Child,
    port: u16,
}

impl Coordinator {
    fn start() -> Self {
        let home = Home::default();
        let child = home.biosweep(&["serve", "--listen", "127.0.0.1:0"]).spawn().expect("biosweep starts");
        until("the coordinator listens", || home.is_announced().then_some(()));
        let file = fs::read_to_string(home.path().join("coordinator.json")).expect("it was written");
        let port = file.split("127.0.0.1:").nth(1).and_then(|rest| rest.split('"').next()).expect("a port");
        let port = port.parse().expect("a number");
        Self { home, child, port }
    }

    fn state(&self) -> String {
        self.home.json(&["show", "small"])["state"].as_str().expect("a state").to_owned()
    }
}

impl Drop for Coordinator {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Runs a program as another user, in a folder of that user.
fn as_other(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new("setpriv");
    command.args(["--reuid", OTHER, "--regid", OTHER, "--clear-groups"]).args(arguments);
    without_variables(&mut command);
    command.env("HOME", folder).env("BIOSWEEP_HOME", folder).env("NO_COLOR", "1").current_dir(folder);
    command.output().expect("setpriv starts")
}

#[test]
fn another_user_of_the_machine_can_do_nothing_without_a_token() {
    if unless_root("a second user") {
        return;
    }
    let coordinator = Coordinator::start();
    let spec = coordinator.home.spec(QUICK_SPEC).to_string_lossy().into_owned();
    let sweep = coordinator.home.json(&["submit", &spec])["id"].as_str().expect("an id").to_owned();

    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let number = OTHER.parse().expect("a number");
    std::os::unix::fs::chown(folder, Some(number), Some(number)).expect("root may");
    let biosweep = folder.join("biosweep");
    fs::copy(program("biosweep"), &biosweep).expect("there is room");
    fs::set_permissions(&biosweep, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let biosweep: &str = &biosweep.to_string_lossy();

    let url = format!("http://127.0.0.1:{}", coordinator.port);
    for command in [&["list"][..], &["cancel", "small"], &["workers"], &["token", "list"]] {
        let refused = as_other(folder, &[&[biosweep][..], command, &["--coordinator", &url]].concat());
        let error = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(
            !refused.status.success() && error.contains("another user of this machine, and there is no token for it"),
            "{command:?}: {error}"
        );
    }

    // The page, and requests whose sender is gone before they are read: such a socket seems to be root's.
    let talk = |then: &str, request: &str| {
        let (port, request) = (coordinator.port, request.replace('\n', "\\r\\n"));
        let script = format!("exec 3<>/dev/tcp/127.0.0.1/{port}; printf '{request}' >&3; {then}");
        String::from_utf8_lossy(&as_other(folder, &["bash", "-c", &script]).stdout).into_owned()
    };
    let port = coordinator.port;
    let page = format!("GET / HTTP/1.1\nhost: localhost:{port}\nconnection: close\n\n");
    let answer = talk("cat <&3", &page);
    assert!(answer.starts_with("HTTP/1.1 303") && answer.contains("location: /login"), "{answer}");
    let cancel = format!(
        "POST /sweeps/{sweep}/cancel HTTP/1.1\nhost: localhost:{port}\norigin: http://localhost:{port}\n\
         content-type: application/x-www-form-urlencoded\ncontent-length: 0\n\n"
    );
    for _ in 0..50 {
        let _nothing = talk("exit", &cancel);
    }
    assert!(talk("read -t 1 -u 3 line; echo \"$line\"", &cancel).starts_with("HTTP/1.1 401"));
    assert_eq!(coordinator.state(), "running");

    // With a token of the owner, another user may do what the token says.
    let connection = folder.join("viewer.json");
    let to = connection.to_string_lossy().into_owned();
    let _made = coordinator.home.json(&["token", "create", "--role", "viewer", "--address", &url, "--to", &to]);
    std::os::unix::fs::chown(&connection, Some(number), Some(number)).expect("root may");
    let listed = as_other(folder, &[biosweep, "list", "--connection", &to]);
    assert!(String::from_utf8_lossy(&listed.stdout).contains("small"), "{listed:?}");
    let refused = as_other(folder, &[biosweep, "cancel", "small", "--connection", &to]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("submitter"), "{refused:?}");
    // A token counts before the user: its holder wants to see what it allows.
    let mut own = coordinator.home.biosweep(&["cancel", "small"]);
    let own = own.env("BIOSWEEP_CONNECTION", &connection).output().expect("biosweep starts");
    assert!(String::from_utf8_lossy(&own.stderr).contains("submitter"), "{own:?}");
    assert_eq!(coordinator.state(), "running");
}
