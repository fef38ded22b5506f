//! A Slurm cluster for a test: a controller and four nodes, all on this machine.
//!
//! The test runs in namespaces of its own: no other process sees its network, its processes end with it, and its second user
//! exists only there.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::{Read as _, Seek as _};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Gid, Pid, Uid, User};

use crate::readers::{in_path, skipped};
use crate::{name_of, unless_root, until, without_variables};

/// The variable with the folder of the cluster, inside the namespaces of a test.
const FOLDER: &str = "BIOSWEEP_TEST_SLURM";
/// The programs that must be installed.
const PROGRAMS: [&str; 5] = ["munged", "slurmctld", "slurmd", "sbatch", "unshare"];
/// Number of nodes.
const NODES: usize = 4;
/// The second user, whose workers run in jobs, and a third one.
const USERS: [(&str, u32); 2] = [ALICE, BOB];
const ALICE: (&str, u32) = ("alice", 61_001);
const BOB: (&str, u32) = ("bob", 61_002);

/// The configuration, with `$D` for the folder.
const CONFIGURATION: &str = include_str!("slurm.conf");

/// The address besides 127.0.0.1 is for Slurm, which resolves no address if there is only a loopback address. The shell stays
/// the first process of the namespace, because it collects the processes whose parents have ended.
const INSIDE: &str = "ip link set lo up && ip address add 10.213.0.1/32 dev lo && \"$0\" \"$@\"; exit $?";

/// Starts this test again inside namespaces, on two cores, and waits for it. `test` is its function. Returns the cluster inside
/// them, and `None` outside, where the test has nothing more to do.
///
/// Without Slurm or without root, the test is skipped with a message; with `CI=true` it fails without Slurm.
///
/// # Panics
/// If the test inside fails, or the cluster does not start.
#[must_use]
pub fn isolated<T: Fn()>(test: &T) -> Option<Slurm> {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return Some(Slurm::start(folder.into()));
    }
    if let Some(missing) = PROGRAMS.into_iter().find(|program| in_path(program).is_none()) {
        skipped(&format!("{missing} is not installed; `deploy/setup/tests/slurm.sh` installs Slurm"));
        return None;
    }
    if unless_root("a Slurm cluster") {
        return None;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    // The other users and munge enter it.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--kill-child", "--mount-proc", "--net", "sh", "-c", INSIDE]);
    // The faults take as long on many cores, so the sweep must not be faster there.
    command.args(["taskset", "--cpu-list", &cores()]).arg(std::env::current_exe().expect("a test is a file"));
    command.args(["--exact", name_of(test), "--nocapture"]);
    without_variables(&mut command);
    command.env(FOLDER, folder.path()).env("TMPDIR", folder.path()).env("SLURM_CONF", folder.path().join("slurm.conf"));
    let output = command.stdin(Stdio::null()).output().expect("unshare starts");
    let printed = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(output.status.success(), "the test inside namespaces ended with {}:\n{}", output.status, printed.concat());
    None
}

/// The first two cores that this process may use.
fn cores() -> String {
    let status = fs::read_to_string("/proc/self/status").expect("Linux has it");
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).expect("it names the cores");
    let each = list.trim().split(',').flat_map(|range| {
        let (from, to) = range.split_once('-').unwrap_or((range, range));
        let [from, to] = [from, to].map(|core| core.parse::<u32>().expect("a core is a number"));
        from..=to
    });
    each.take(2).map(|core| core.to_string()).collect::<Vec<_>>().join(",")
}

/// A task of an array, as `squeue` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Its state, such as `RUNNING`.
    pub state: String,
    /// Its node; empty while it waits.
    pub node: String,
}

/// The cluster. Its processes end with the namespaces.
#[derive(Debug)]
pub struct Slurm {
    folder: PathBuf,
}

impl Slurm {
    fn start(folder: PathBuf) -> Self {
        let cluster = Self { folder };
        for name in ["munge", "run", "state", "spool", "log"] {
            fs::create_dir(cluster.folder.join(name)).expect("a folder");
        }
        cluster.add_users();
        cluster.start_munge();
        let text = CONFIGURATION.replace("$D", &cluster.folder.to_string_lossy());
        fs::write(cluster.folder.join("slurm.conf"), text).expect("a file");
        cluster.start_controller();
        for number in 1..=NODES {
            cluster.start_node(&format!("n{number}"));
        }
        until("all nodes are idle", || {
            let idle = Command::new("sinfo").args(["-h", "-t", "idle", "-o", "%D", "-p", "low"]).output();
            let idle = idle.expect("sinfo starts");
            (String::from_utf8_lossy(&idle.stdout).trim() == NODES.to_string()).then_some(())
        });
        cluster
    }

    /// Adds the other users to the files that only the processes of these namespaces see.
    fn add_users(&self) {
        let (mut passwd, mut group) = (String::new(), String::new());
        for (name, id) in USERS {
            let home = self.folder.join(name);
            fs::create_dir(&home).expect("a folder");
            chown(&home, Some(id), Some(id)).expect("root can give a folder away");
            passwd.push_str(&format!("{name}:x:{id}:{id}::{}:/bin/sh\n", home.display()));
            group.push_str(&format!("{name}:x:{id}:\n"));
        }
        for (file, lines) in [("passwd", passwd), ("group", group)] {
            let (theirs, ours) = (Path::new("/etc").join(file), self.folder.join(file));
            let text = fs::read_to_string(&theirs).expect("a file of every machine");
            fs::write(&ours, text + &lines).expect("a file");
            ran(Command::new("mount").arg("--bind").args([ours, theirs]));
        }
    }

    fn start_munge(&self) {
        let munge = User::from_name("munge").expect("the users can be read").expect("the package munge has a user");
        let own = |path: &Path| {
            chown(path, Some(munge.uid.as_raw()), Some(munge.gid.as_raw())).expect("root can give a file away");
        };
        let (place, run) = (self.folder.join("munge"), self.folder.join("run"));
        let key = place.join("key");
        let mut bytes = [0; 128];
        fs::File::open("/dev/urandom").and_then(|mut random| random.read_exact(&mut bytes)).expect("Linux has it");
        fs::write(&key, bytes).expect("a file");
        fs::set_permissions(&key, fs::Permissions::from_mode(0o400)).expect("it is ours");
        for path in [&place, &run, &key] {
            own(path);
        }
        let mut munged = as_user(munge.uid, munge.gid, "munged");
        let paths = [
            ("key-file", &place, "key"),
            ("log-file", &place, "log"),
            ("seed-file", &place, "seed"),
            ("pid-file", &run, "pid"),
        ];
        for (flag, folder, name) in paths {
            munged.arg(format!("--{flag}={}", folder.join(name).display()));
        }
        ran(munged.arg(format!("--socket={}", run.join("munge.socket").display())));
    }

    /// The command that starts a program as the second user.
    #[must_use]
    pub fn through_alice(&self) -> Vec<OsString> {
        self.through(ALICE)
    }

    fn through(&self, (name, id): (&str, u32)) -> Vec<OsString> {
        let mut words = vec!["env".into(), format!("HOME={}", self.folder.join(name).display()).into()];
        words.extend(setpriv(Uid::from_raw(id), Gid::from_raw(id)).map(Into::into));
        words
    }

    /// A command of the second user, in her home.
    #[must_use]
    pub fn alice(&self, program: &str) -> Command {
        self.command_of(ALICE, program)
    }

    /// A command of the third user, in his home.
    #[must_use]
    pub fn bob(&self, program: &str) -> Command {
        self.command_of(BOB, program)
    }

    /// The home of the second user.
    #[must_use]
    pub fn home_of_alice(&self) -> PathBuf {
        self.folder.join(ALICE.0)
    }

    fn command_of(&self, user: (&str, u32), program: &str) -> Command {
        let through = self.through(user);
        let mut command = Command::new(&through[0]);
        command.args(&through[1..]).arg(program).current_dir(self.folder.join(user.0));
        command
    }

    /// Gives a file or a folder to the second user.
    ///
    /// # Panics
    /// If it is not there.
    pub fn give_to_alice(&self, path: &Path) {
        chown(path, Some(ALICE.1), Some(ALICE.1)).expect("root can give it away");
    }

    /// Starts the controller, with the state that an earlier one left.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start_controller(&self) {
        ran(&mut Command::new("slurmctld"));
    }

    /// Kills the controller, like a crash, once it has saved the state of its jobs.
    ///
    /// # Panics
    /// If there is none.
    pub fn kill_controller(&self) {
        let state = self.folder.join("state/job_state");
        let saved = || fs::metadata(&state).and_then(|state| state.modified()).ok();
        let before = saved();
        // A change makes the controller save its jobs within seconds.
        let _held = answer(Command::new("sbatch").args(["--parsable", "--hold", "--wrap=true"]));
        until("the controller saves its jobs", || (saved() != before).then_some(()));
        let pid = fs::read_to_string(self.folder.join("slurmctld.pid")).expect("it runs");
        let pid = Pid::from_raw(pid.trim().parse().expect("a process id"));
        kill(pid, Signal::SIGKILL).expect("it runs");
        until("the controller is gone", || is_gone(pid).then_some(()));
    }

    fn start_node(&self, node: &str) {
        ran(Command::new("slurmd").args(["-N", node]));
    }

    /// Kills every process of a node, as if its power failed, and tells the controller.
    ///
    /// # Panics
    /// If the node does not run.
    pub fn fail_node(&self, node: &str) {
        let pid = fs::read_to_string(self.folder.join(format!("slurmd-{node}.pid"))).expect("the node runs");
        kill(Pid::from_raw(pid.trim().parse().expect("a process id")), Signal::SIGKILL).expect("the node runs");
        let of_jobs = processes_with("SLURMD_NODENAME", node);
        // Each job has a process of Slurm as its parent, which does not end with the node's daemon.
        let parents = of_jobs.iter().filter_map(|&pid| parent(pid)).filter(|&pid| comm(pid) == "slurmstepd");
        for pid in parents.collect::<Vec<_>>().into_iter().chain(of_jobs) {
            // An error means that it has ended.
            let _ended = kill(pid, Signal::SIGKILL);
        }
        ran(Command::new("scontrol").args(["update", &format!("NodeName={node}"), "State=DOWN", "Reason=test"]));
    }

    /// The worker processes of a task.
    #[must_use]
    pub fn workers(&self, job: &str, task: u32) -> Vec<Pid> {
        let of_array = processes_with("SLURM_ARRAY_JOB_ID", job);
        let of_task = processes_with("SLURM_ARRAY_TASK_ID", &task.to_string());
        of_array.into_iter().filter(|&pid| of_task.contains(&pid) && comm(pid) == "biosweep-worker").collect()
    }

    /// The tasks that wait or run, by `JOB_TASK`.
    ///
    /// # Panics
    /// If the controller does not answer.
    #[must_use]
    pub fn queue(&self) -> BTreeMap<String, Task> {
        let lines = answer(Command::new("squeue").args(["--noheader", "--array", "--format=%i %T %N"]));
        let task = |line: &str| {
            let mut words = line.split(' ').map(str::to_owned);
            let mut next = || words.next().unwrap_or_default();
            (next(), Task { state: next(), node: next() })
        };
        lines.lines().map(task).collect()
    }

    /// The value of a field of `scontrol show job`, such as `JobState`.
    ///
    /// # Panics
    /// If the controller does not know the task.
    #[must_use]
    pub fn field(&self, task: &str, name: &str) -> String {
        let shown = answer(Command::new("scontrol").args(["show", "job", task]));
        let value = shown.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        value.unwrap_or_else(|| panic!("no {name} in {shown}")).to_owned()
    }

    /// Runs `scontrol` as the administrator.
    ///
    /// # Panics
    /// If it fails.
    pub fn administer(&self, arguments: &[&str]) {
        ran(Command::new("scontrol").args(arguments));
    }
}

/// The command that starts a program as another user.
fn as_user(uid: Uid, gid: Gid, program: &str) -> Command {
    let [setpriv, arguments @ ..] = setpriv(uid, gid);
    let mut command = Command::new(setpriv);
    command.args(arguments).arg(program);
    command
}

fn setpriv(uid: Uid, gid: Gid) -> [String; 6] {
    let [uid, gid] = [uid.to_string(), gid.to_string()];
    ["setpriv".to_owned(), "--reuid".to_owned(), uid, "--regid".to_owned(), gid, "--clear-groups".to_owned()]
}

/// The processes with this value of an environment variable.
fn processes_with(variable: &str, value: &str) -> Vec<Pid> {
    let wanted = format!("{variable}={value}");
    let entries = fs::read_dir("/proc").expect("processes can be listed").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let has = |pid: &i32| {
        let variables = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        variables.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
    };
    pids.filter(has).map(Pid::from_raw).collect()
}

/// The name of a process's program.
fn comm(pid: Pid) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
}

fn parent(pid: Pid) -> Option<Pid> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    parent.trim().parse().ok().map(Pid::from_raw)
}

/// Whether a process has ended; its parent may not know it yet.
fn is_gone(pid: Pid) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    status.rsplit_once(") ").is_none_or(|(_, state)| state.starts_with('Z'))
}

/// Runs a command, which must succeed.
fn ran(command: &mut Command) {
    let _printed = answer(command);
}

/// What a command prints. It must succeed.
///
/// # Panics
/// If it fails.
pub fn answer(command: &mut Command) -> String {
    // A daemon keeps what it inherits, so it gets files and no pipes, which would never end.
    let file = || tempfile::tempfile().expect("a file");
    let (stdout, stderr) = (file(), file());
    let streams = [&stdout, &stderr].map(|file| file.try_clone().expect("a file"));
    let [out, err] = streams;
    let status = command.stdin(Stdio::null()).stdout(out).stderr(err).status();
    let status = status.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let [printed, errors] = [stdout, stderr].map(text);
    assert!(status.success(), "{command:?}: {status}\n{printed}{errors}");
    printed
}

fn text(mut file: fs::File) -> String {
    let mut text = String::new();
    file.rewind().expect("a file");
    file.read_to_string(&mut text).expect("text");
    text
}
