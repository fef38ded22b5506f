//! Which user of this machine is at the other end of a connection. The system knows it. So a coordinator that listens on this machine
//! only serves its own user and nobody else, and a command takes no other user's program for its coordinator, without a token.

use std::fs;
use std::io::{self, Read as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::LazyLock;
use std::time::Duration;

use nix::unistd::geteuid;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpStream;

/// `AF_NETLINK` and `NETLINK_SOCK_DIAG`: the system's answers about sockets (`man 7 sock_diag`).
const NETLINK: i32 = 16;
const SOCK_DIAG: i32 = 4;
/// The kind of a request about one socket, and of its answer.
const BY_FAMILY: u16 = 20;
const IS_REQUEST: u16 = 1;
const TCP: u8 = 6;
/// `AF_INET` and `AF_INET6`.
const FAMILIES: [u8; 2] = [2, 10];
/// Bytes of a header, of a request with its header, and of an answer with its header.
const HEADER: usize = 16;
const REQUEST: usize = HEADER + 56;
const ANSWER: usize = HEADER + 72;
/// The place of the user and of the file's number in an answer. A socket that was closed has no file.
const USER: usize = 80;
const FILE: usize = 84;
/// The time limit of an answer, which is there at once.
const WAIT: Duration = Duration::from_secs(1);
/// The user that stands for all users of another user namespace.
static FOREIGN: LazyLock<Option<u32>> =
    LazyLock::new(|| fs::read_to_string("/proc/sys/kernel/overflowuid").ok()?.trim().parse().ok());

/// Whether the program that opened a connection within this machine runs as the user of this process.
#[must_use]
pub fn is_own_caller(stream: &TcpStream) -> bool {
    is_own(stream.peer_addr().and_then(|peer| user_of((peer, stream.local_addr()?))))
}

/// Whether the program that a connection within this machine leads to runs as the user of this process.
#[must_use]
pub fn is_own_server(stream: &TcpStream) -> bool {
    let server = || {
        let (peer, local) = (stream.peer_addr()?, stream.local_addr()?);
        match user_of((peer, local))? {
            Some(user) => Ok(Some(user)),
            // Its program has not accepted the connection yet, so the connection belongs to the listening socket.
            None => listener_of(peer),
        }
    };
    is_own(server())
}

fn is_own(user: io::Result<Option<u32>>) -> bool {
    match user {
        Ok(user) => user.is_some_and(|user| user == geteuid().as_raw() && Some(user) != *FOREIGN),
        Err(error) => {
            tracing::warn!(%error, "the system does not say which user has a connection; a token is needed");
            false
        }
    }
}

/// The user of the socket that listens at an address, or at its port on all addresses.
fn listener_of(address: SocketAddr) -> io::Result<Option<u32>> {
    let any = |port| -> Vec<SocketAddr> {
        let all: [IpAddr; 2] = [Ipv6Addr::UNSPECIFIED.into(), Ipv4Addr::UNSPECIFIED.into()];
        all.into_iter().filter(|ip| ip.is_ipv6() || address.is_ipv4()).map(|ip| SocketAddr::new(ip, port)).collect()
    };
    let mut found = Err(io::Error::from(io::ErrorKind::NotFound));
    for of in std::iter::once(address).chain(any(address.port())) {
        let to = if of.is_ipv6() { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        found = user_of((of, SocketAddr::new(to, 0)));
        if let Ok(Some(_)) = found {
            break;
        }
    }
    found
}

/// The user that holds the socket with these two ends; `None` if nobody holds it. Some systems, such as sandboxes, have no service
/// for this question, and then give the same error as for an unknown socket.
fn user_of(ends: (SocketAddr, SocketAddr)) -> io::Result<Option<u32>> {
    ask(ends).or_else(|_| look_up(ends))
}

/// Asks the system for the socket.
fn ask((of, to): (SocketAddr, SocketAddr)) -> io::Result<Option<u32>> {
    let mut request = [0; REQUEST];
    request[..4].copy_from_slice(&(REQUEST as u32).to_ne_bytes());
    request[4..6].copy_from_slice(&BY_FAMILY.to_ne_bytes());
    request[6..8].copy_from_slice(&IS_REQUEST.to_ne_bytes());
    request[HEADER] = FAMILIES[usize::from(of.is_ipv6())];
    request[HEADER + 1] = TCP;
    // All states.
    request[HEADER + 4..HEADER + 8].fill(0xff);
    let socket = &mut request[HEADER + 8..];
    socket[..2].copy_from_slice(&of.port().to_be_bytes());
    socket[2..4].copy_from_slice(&to.port().to_be_bytes());
    for (place, ip) in [(4, of.ip()), (20, to.ip())] {
        match ip {
            IpAddr::V4(ip) => socket[place..place + 4].copy_from_slice(&ip.octets()),
            IpAddr::V6(ip) => socket[place..place + 16].copy_from_slice(&ip.octets()),
        }
    }
    // Any socket, whatever its cookie.
    socket[40..48].fill(0xff);

    let mut netlink = Socket::new(Domain::from(NETLINK), Type::DGRAM, Some(Protocol::from(SOCK_DIAG)))?;
    netlink.set_read_timeout(Some(WAIT))?;
    netlink.send(&request)?;
    let mut answer = [0; 512];
    let length = netlink.read(&mut answer)?;
    let word = |at: usize| u32::from_ne_bytes([answer[at], answer[at + 1], answer[at + 2], answer[at + 3]]);
    match u16::from_ne_bytes([answer[4], answer[5]]) {
        BY_FAMILY if length >= ANSWER => Ok((word(FILE) != 0).then(|| word(USER))),
        // An error, as a negative number.
        _ => Err(io::Error::from_raw_os_error(word(HEADER).cast_signed().saturating_neg())),
    }
}

/// Looks for the socket in the system's table.
fn look_up((of, to): (SocketAddr, SocketAddr)) -> io::Result<Option<u32>> {
    let table = fs::read_to_string(if of.is_ipv6() { "/proc/net/tcp6" } else { "/proc/net/tcp" })?;
    let (of, to) = (in_table(of), in_table(to));
    let of_line = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_it = words.get(1) == Some(&of.as_str()) && words.get(2) == Some(&to.as_str());
        let has_file = words.get(9).is_some_and(|file| *file != "0");
        (is_it && has_file).then(|| words[7].parse().ok()).flatten()
    };
    Ok(table.lines().find_map(of_line))
}

/// An address as the table writes it: words of four bytes in the order of this machine, in hexadecimal.
fn in_table(address: SocketAddr) -> String {
    let bytes = match address.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let words = bytes.chunks_exact(4).map(|word| u32::from_ne_bytes([word[0], word[1], word[2], word[3]]));
    let ip: String = words.map(|word| format!("{word:08X}")).collect();
    format!("{ip}:{:04X}", address.port())
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn the_system_names_the_user_of_an_open_connection_and_of_no_other() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(address).await.expect("a free port");
            let caller = TcpStream::connect(listener.local_addr().expect("it has one")).await.expect("it listens");
            let (accepted, _) = listener.accept().await.expect("it connects");
            let ends = (caller.local_addr().expect("it has one"), caller.peer_addr().expect("it has one"));
            let own = Some(geteuid().as_raw());
            assert_eq!(ask(ends).expect("the system answers"), own, "{address}");
            assert_eq!(look_up(ends).expect("there is a table"), own, "{address}");
            assert!(is_own_caller(&accepted) && is_own_server(&caller));

            let other = SocketAddr::new(ends.0.ip(), 1);
            assert_eq!(user_of((other, ends.1)).expect("an answer"), None, "nobody has this port");
            // The socket lives on until its last bytes are read, but nobody holds it. It must not seem to be root's.
            drop(caller);
            assert_eq!(look_up(ends).expect("there is a table"), None, "{address}");
            assert!(!is_own_caller(&accepted), "{address}");
        }
    }

    #[tokio::test]
    async fn the_user_of_a_server_is_known_before_it_accepts() {
        for (listen, ip) in
            [("127.0.0.1:0", "127.0.0.1"), ("[::1]:0", "::1"), ("0.0.0.0:0", "127.0.0.1"), ("[::]:0", "127.0.0.1")]
        {
            let listener = TcpListener::bind(listen).await.expect("a free port");
            let port = listener.local_addr().expect("it has one").port();
            let caller = TcpStream::connect((ip, port)).await.expect("it listens");
            assert!(is_own_server(&caller), "{listen}");
            let address = caller.peer_addr().expect("it has one");
            let own = Some(geteuid().as_raw());
            assert_eq!(listener_of(address).expect("an answer"), own, "{listen}");
            drop(listener);
            assert!(!is_own_server(&caller), "{listen}: nobody is there");
        }
    }
}
