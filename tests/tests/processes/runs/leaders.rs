//! Two coordinators of one database. Whatever happens to the one that leads, the other takes over, and every trial has one result,
//! which is equal to that of a run without faults.

use std::ffi::OsString;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use biosweep_host::clock::Clock;
use biosweep_tests::cluster::SPEC;
use biosweep_tests::cluster::pair::{Member, Pair};
use biosweep_tests::network::Network;
use biosweep_tests::postgres::Server;
use biosweep_tests::{Home, unless_root, until};
use nix::sys::signal::Signal;

use super::faults::expected;

/// A takeover that takes longer has failed. The aim is ten seconds; the rest is for a busy machine.
const TAKEOVER_S: f64 = 30.0;

/// A pair whose first coordinator leads a sweep in training.
fn started(store: &str) -> Pair {
    let mut pair = Pair::of(store);
    pair.serve(0);
    pair.until_serves(0);
    pair.serve(1);
    pair.work();
    pair.submit();
    pair
}

/// Waits until a coordinator has taken over.
#[expect(clippy::print_stderr, reason = "a measurement")]
fn taken_over(pair: &Pair, which: usize, what: &str) {
    let clock = Clock::start();
    pair.until_serves(which);
    eprintln!("{what}: the other coordinator served after {:.1} s", clock.seconds());
    assert!(clock.seconds() < TAKEOVER_S, "{what}: {} s", clock.seconds());
}

#[test]
fn a_standby_says_who_serves_and_takes_over_from_a_coordinator_that_was_killed() {
    let server = Server::start();
    let mut pair = started(&server.database("one"));
    until("the second one stands by", || pair.printed("serve-1.log").contains("standing by").then_some(()));
    assert!(!pair.serves(1));
    pair.kill(0);
    // Its process is on this machine and gone, so nobody waits for the end of its term.
    taken_over(&pair, 1, "killed");
    pair.serve(0);
    assert_eq!(pair.findings(), expected());
    assert!(!pair.serves(0));
    pair.signal(1, Signal::SIGTERM);
    taken_over(&pair, 0, "stopped");
}

#[test]
fn a_coordinator_that_sleeps_is_followed_and_stands_by_when_it_wakes() {
    let server = Server::start();
    let pair = started(&server.database("one"));
    pair.signal(0, Signal::SIGSTOP);
    taken_over(&pair, 1, "asleep");
    pair.signal(0, Signal::SIGCONT);
    until("it has noticed", || pair.printed("serve-0.log").contains("has taken over the store").then_some(()));
    assert_eq!(pair.findings(), expected());
    assert!(!pair.serves(0) && pair.serves(1));
}

#[test]
fn a_database_that_starts_again_or_closes_connections_has_one_leader_afterwards() {
    let mut server = Server::start();
    let store = server.database("one");
    let pair = started(&store);
    for _ in 0..3 {
        server.statement(
            "one",
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'biosweep%'",
        );
        thread::sleep(Duration::from_millis(500));
    }
    server.kill();
    thread::sleep(Duration::from_secs(7));
    server.resume();
    assert_eq!(pair.findings(), expected());
    until("one leads", || (pair.serves(0) != pair.serves(1)).then_some(()));
}

/// Connects an address in a namespace with the socket of a server: packets to the address can be dropped.
fn relay(through: &[OsString], address: Ipv4Addr, socket: &str) -> Child {
    const RELAY: &str = "
import asyncio, sys
async def copy(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()
async def relay(reader, writer):
    up_reader, up_writer = await asyncio.open_unix_connection(sys.argv[2])
    await asyncio.gather(copy(reader, up_writer), copy(up_reader, writer), return_exceptions=True)
async def main():
    server = await asyncio.start_server(relay, sys.argv[1], 5432)
    print('ready', flush=True)
    await server.serve_forever()
asyncio.run(main())
";
    let mut command = Command::new(&through[0]);
    command.args(&through[1..]).args(["python3", "-", &address.to_string(), socket]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python3 is installed");
    child.stdin.take().expect("it was asked for").write_all(RELAY.as_bytes()).expect("it reads");
    let mut line = String::new();
    let out = child.stdout.as_mut().expect("it was asked for");
    std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line).expect("it starts");
    child
}

#[test]
fn a_coordinator_that_is_cut_off_from_its_database_is_followed() {
    if unless_root("cutting a network") {
        return;
    }
    let server = Server::start();
    let store = server.fresh_database();
    let (database, socket) = server.socket_of(&store);
    let net = Network::new();
    let [one, other] = net.through();
    let mut relay = relay(&one, Network::ADDRESS, &socket);
    let far = format!("postgres://biosweep@{}:5432/{database}", Network::ADDRESS);
    let members = [
        Member { address: Network::OTHER, store: far, through: other },
        Member { address: Network::ADDRESS, store, through: one.clone() },
    ];
    let mut pair = Pair::new(members, one);
    pair.serve(0);
    pair.until_serves(0);
    pair.serve(1);
    pair.work();
    pair.submit();
    net.cut();
    taken_over(&pair, 1, "cut off");
    thread::sleep(Duration::from_secs(3));
    net.heal();
    until("it has noticed", || pair.printed("serve-0.log").contains("has taken over the store").then_some(()));
    assert_eq!(pair.findings(), expected());
    assert!(!pair.serves(0) && pair.serves(1));
    relay.kill().expect("it runs");
    relay.wait().expect("it was killed");
}

#[test]
fn chaos_with_two_coordinators_gives_the_same_results() {
    let server = Server::start();
    let home = Home::default();
    let spec = home.spec(SPEC).to_string_lossy().into_owned();
    let store = server.database("one");
    let faults = std::env::var("BIOSWEEP_LEADER_FAULTS").unwrap_or_else(|_| "10".to_owned());
    let chaos = ["chaos", &spec, "--coordinators", "2", "--seed", "5", "--faults", &faults, "--store", &store];
    let verdict = home.json(&chaos);
    assert_eq!(verdict["equal"].as_bool(), Some(true), "{verdict}");
    assert_eq!(verdict["faults"].to_string(), faults, "{verdict}");
    assert!(verdict["coordinators_stopped"].as_u64() > Some(0), "{verdict}");
}
