//! A PostgreSQL server for tests on the loopback interface, which ends with them.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid, User, chown};

use crate::{POLL, POLLS_MAX};

/// Accounts to run the server if the test runs as root, which PostgreSQL refuses. The first existing one is used.
const ACCOUNTS: [&str; 2] = ["postgres", "nobody"];

/// A running server.
#[derive(Debug)]
pub struct Server {
    folder: tempfile::TempDir,
    programs: PathBuf,
    port: u16,
    process: Option<Child>,
    /// Number of databases created with automatic names.
    made: AtomicU32,
}

impl Server {
    /// A new server without databases.
    ///
    /// # Panics
    /// If PostgreSQL is not installed or does not start.
    #[must_use]
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        if Uid::effective().is_root() {
            let account = account();
            chown(folder.path(), Some(account.uid), Some(account.gid)).expect("root can give a folder away");
        }
        let port = TcpListener::bind(("127.0.0.1", 0)).expect("a free port").local_addr().expect("its number").port();
        let mut server = Self { folder, programs: programs(), port, process: None, made: AtomicU32::new(0) };
        let mut initdb = server.command("initdb");
        let data = server.data();
        initdb.args(["--auth=trust", "--username=biosweep", "--encoding=UTF8", "--no-sync", "--pgdata"]).arg(data);
        let made = initdb.stdout(Stdio::null()).status().expect("initdb runs");
        assert!(made.success(), "initdb: {made}");
        server.resume();
        server
    }

    /// The address of a database on the server.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://biosweep@127.0.0.1:{}/{database}", self.port)
    }

    /// Creates a database and returns its address.
    ///
    /// # Panics
    /// If a database with this name exists.
    #[must_use]
    pub fn database(&self, name: &str) -> String {
        let mut createdb = self.command("createdb");
        createdb.args(["-h", "127.0.0.1", "-U", "biosweep", "-p"]).arg(self.port.to_string()).arg(name);
        let made = createdb.status().expect("createdb runs");
        assert!(made.success(), "createdb: {made}");
        self.url(name)
    }

    /// Creates a database with a new name and returns its address. It is a socket, so it can be reached from every
    /// network namespace.
    #[must_use]
    pub fn fresh_database(&self) -> String {
        let name = format!("fresh{}", self.made.fetch_add(1, Ordering::Relaxed));
        format!("{}?host={}", self.database(&name), self.folder.path().display())
    }

    /// The name of a database and the path of its socket, from the address that [`Self::fresh_database`] returned.
    ///
    /// # Panics
    /// If the address is another one.
    #[must_use]
    pub fn socket_of(&self, url: &str) -> (String, String) {
        let name = url.split('?').next().and_then(|url| url.rsplit('/').next()).expect("a name");
        (name.to_owned(), self.folder.path().join(format!(".s.PGSQL.{}", self.port)).to_string_lossy().into_owned())
    }

    /// Executes a statement in a database.
    ///
    /// # Panics
    /// If it fails.
    pub fn statement(&self, database: &str, statement: &str) {
        let mut psql = self.command("psql");
        psql.args(["-q", "-h", "127.0.0.1", "-U", "biosweep", "-p"]).arg(self.port.to_string());
        let done = psql.args(["-d", database, "-c", statement]).stdout(Stdio::null()).status().expect("psql runs");
        assert!(done.success(), "{statement}: {done}");
    }

    /// Kills the server, like a crash.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            // The child processes of the server end with it.
            process.kill().expect("the server runs");
            process.wait().expect("the server has ended");
        }
    }

    /// Starts the server again with its data.
    ///
    /// # Panics
    /// If it does not answer within two minutes.
    pub fn resume(&mut self) {
        let mut postgres = self.command("postgres");
        postgres.arg("-D").arg(self.data()).arg("-k").arg(self.folder.path()).arg("-p").arg(self.port.to_string());
        postgres.args(["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "max_connections=100"]);
        let log = fs::File::options().create(true).append(true).open(self.folder.path().join("log")).expect("a log");
        self.process = Some(postgres.stderr(log).spawn().expect("postgres starts"));
        for _ in 0..POLLS_MAX {
            let ready =
                self.command("pg_isready").args(["-q", "-h", "127.0.0.1", "-p"]).arg(self.port.to_string()).status();
            if ready.expect("pg_isready runs").success() {
                return;
            }
            thread::sleep(POLL);
        }
        panic!(
            "the server does not answer: {}",
            fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
        );
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A command of PostgreSQL, run by an account that it accepts.
    fn command(&self, name: &str) -> Command {
        let program = self.programs.join(name);
        let mut command = if Uid::effective().is_root() {
            let mut command = Command::new("setpriv");
            let User { uid, gid, .. } = account();
            command.args(["--reuid", &uid.to_string(), "--regid", &gid.to_string(), "--clear-groups"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // SIGQUIT makes the server end at once.
            let pid = Pid::from_raw(i32::try_from(process.id()).expect("a process id"));
            let _ended_already = kill(pid, Signal::SIGQUIT);
            drop(process.wait());
        }
    }
}

fn account() -> User {
    let known = |name: &str| User::from_name(name).expect("the accounts can be read");
    ACCOUNTS.into_iter().find_map(known).expect("an account that is not root's")
}

/// The folder of PostgreSQL's programs: on the PATH, in Debian's place, or where `make test` installed them.
fn programs() -> PathBuf {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&on_path).collect();
    if let Ok(versions) = fs::read_dir("/usr/lib/postgresql") {
        places.extend(versions.flatten().map(|version| version.path().join("bin")));
    }
    places.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("../postgresql/bin"));
    let all = |place: &PathBuf| {
        ["initdb", "postgres", "createdb", "pg_isready"].iter().all(|name| place.join(name).is_file())
    };
    let found = places.into_iter().find(all);
    found.expect("a PostgreSQL server: `deploy/setup/postgresql.sh` fetches one")
}
