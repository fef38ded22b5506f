//! Two network namespaces with a connection, which are removed at the end of the test. Creating them needs root.

use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// Number of pairs created in this process, so that each pair has different names.
static MADE: AtomicU32 = AtomicU32::new(0);

/// The two namespaces.
#[derive(Debug)]
pub struct Network {
    one: String,
    other: String,
}

impl Network {
    /// The address of the first namespace, as seen from the second.
    pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 213, 0, 1);
    /// The address of the second one, as seen from the first.
    pub const OTHER: Ipv4Addr = Ipv4Addr::new(10, 213, 0, 2);

    /// Two namespaces that reach each other and nothing else.
    ///
    /// # Panics
    /// If they cannot be created.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it changes the machine")]
    pub fn new() -> Self {
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = |end: &str| format!("biosweep-{}-{number}-{end}", std::process::id());
        let net = Self { one: name("a"), other: name("b") };
        for namespace in [&net.one, &net.other] {
            ip(&["netns", "add", namespace]);
            ip(&["-n", namespace, "link", "set", "lo", "up"]);
        }
        ip(&["-n", &net.one, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", &net.other]);
        let address = format!("{}/24", Self::ADDRESS);
        let other = format!("{}/24", Self::OTHER);
        for (namespace, address) in [(&net.one, &address), (&net.other, &other)] {
            ip(&["-n", namespace, "address", "add", address, "dev", "cable"]);
            ip(&["-n", namespace, "link", "set", "cable", "up"]);
        }
        net
    }

    /// The commands that start a program in the first and in the second namespace.
    #[must_use]
    pub fn through(&self) -> [Vec<OsString>; 2] {
        [&self.one, &self.other].map(|namespace| ["ip", "netns", "exec", namespace].map(Into::into).to_vec())
    }

    /// Disconnects the namespaces.
    pub fn cut(&self) {
        self.set("down");
    }

    /// Connects the namespaces again.
    pub fn heal(&self) {
        self.set("up");
    }

    fn set(&self, state: &str) {
        ip(&["-n", &self.one, "link", "set", "cable", state]);
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for namespace in [&self.one, &self.other] {
            // An error means that the namespace does not exist.
            drop(Command::new("ip").args(["netns", "delete", namespace]).status());
        }
    }
}

fn ip(arguments: &[&str]) {
    let done = Command::new("ip").args(arguments).status().expect("iproute2 is installed: apt-get install iproute2");
    assert!(done.success(), "ip {arguments:?}: {done}");
}
