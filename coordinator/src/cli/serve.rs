//! `biosweep serve`: runs a coordinator for workers and users on other machines, until it is stopped.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use biosweep_connection::dial::PORT;
use biosweep_host::name;
use biosweep_host::stop::Stop;
use biosweep_host::traces::Traces;
use biosweep_scheduler::scheduler::Timeouts;
use biosweep_server::access::authority::{Authority, folder_of};
use biosweep_server::grpc::health::HealthPort;
use biosweep_server::host::{Host, HostError, HostOptions, Lifetime, Protection, Scope};
use biosweep_store::StoreError;
use clap::Args;

use super::StoreArgs;
use super::failure::{Exit, Failure};
use super::run::stop_host;
use crate::terminal::say;

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Address to listen on: HOST:PORT, a HOST, or a PORT on this machine only
    #[arg(long, default_value = "127.0.0.1:7465", value_name = "ADDRESS", value_parser = listen)]
    listen: Listen,
    /// Another address for health checks without TLS, such as those of Kubernetes: it serves grpc.health.v1 only. The service
    /// `readiness` serves while the coordinator takes requests, `liveness` as long as it runs
    #[arg(long, value_name = "ADDRESS", value_parser = listen)]
    health_listen: Option<Listen>,
    /// Folder with the certificates, as `biosweep certs init` makes it [default: HOME/certs, if it exists]
    #[arg(long, value_name = "DIR", conflicts_with = "insecure")]
    certs: Option<PathBuf>,
    /// Serve everybody who reaches the address, without TLS and tokens
    #[arg(long)]
    insecure: bool,
    /// Another host name under which browsers open the page, such as that of a proxy; may be given several times
    #[arg(long, value_name = "NAME", value_parser = host_of_page)]
    page_host: Vec<String>,
    /// Seconds of silence after which a worker is lost and its trials run elsewhere
    #[arg(long, default_value = "20", value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400), allow_negative_numbers = true)]
    lease: u64,
    /// Wait while another coordinator serves the store, and take over when it is gone
    #[arg(long)]
    standby: bool,
    #[command(flatten)]
    store: StoreArgs,
}

/// The address to listen on, as given.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Listen {
    /// A name, or an address without brackets.
    host: String,
    port: u16,
}

/// Whether a text has the form of a host's name.
fn is_host_name(host: &str) -> bool {
    let letters = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
    host.chars().all(letters) && host.contains(|character: char| character.is_ascii_alphabetic())
}

fn host_of_page(text: &str) -> Result<String, String> {
    match is_host_name(text) {
        true => Ok(text.to_owned()),
        false => {
            Err("write the name of the host alone, such as sweeps.example.org, without http:// and port".to_owned())
        }
    }
}

fn listen(text: &str) -> Result<Listen, String> {
    let at = |host: &str, port| Listen { host: host.to_owned(), port };
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(at(&address.ip().to_string(), address.port()));
    }
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if bare.parse::<IpAddr>().is_ok() {
        return Ok(at(bare, PORT));
    }
    if let Ok(port) = text.parse() {
        return Ok(at("127.0.0.1", port));
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, port.parse().ok()),
        None => (text, Some(PORT)),
    };
    match port {
        Some(port) if is_host_name(host) => Ok(at(host, port)),
        _ => Err(format!("write it as 127.0.0.1:{PORT}, as NAME:{PORT}, or as a port up to 65535")),
    }
}

impl Listen {
    /// The address. Of a name with several addresses, an IPv4 address is preferred. `flag` is the flag that gave it.
    async fn address(&self, flag: &str) -> Result<SocketAddr, Failure> {
        let unknown = |why: String| {
            Failure::bad_input(format!(
                "the address of `{}` is unknown: {why}; give another one to {flag}, such as 127.0.0.1:{}",
                self.host, self.port
            ))
        };
        let addresses = tokio::net::lookup_host((self.host.as_str(), self.port)).await;
        let addresses = addresses.map_err(|error| unknown(error.to_string()))?;
        let addresses: Vec<SocketAddr> = addresses.collect();
        let first = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first());
        first.copied().ok_or_else(|| unknown("it has no address".to_owned()))
    }

    /// The URL under which workers reach a coordinator that listens on `address`.
    fn url(&self, address: SocketAddr, scheme: &str) -> String {
        let is_name = self.host.parse::<IpAddr>().is_err();
        if address.ip().is_unspecified() {
            return format!("{scheme}://{}:{}", host_name(), address.port());
        }
        if is_name { format!("{scheme}://{}:{}", self.host, address.port()) } else { format!("{scheme}://{address}") }
    }
}

/// This machine's name, or a placeholder.
fn host_name() -> String {
    name::host_name().unwrap_or_else(|| "HOST".to_owned())
}

pub(super) async fn run(args: &ServeArgs, home: &Path, stop: &Stop) -> Result<Exit, Failure> {
    let traces = Traces::start(env!("CARGO_PKG_NAME")).map_err(Failure::bad_input)?;
    let health = health_port(args).await?;
    let ended = serve(args, home, stop, health.as_ref(), &traces).await;
    traces.stop().await;
    if let Some(health) = health {
        health.close().await;
    }
    ended
}

/// Serves until it is stopped. With `--standby` it may lead the store several times.
async fn serve(
    args: &ServeArgs,
    home: &Path,
    stop: &Stop,
    health: Option<&HealthPort>,
    traces: &Traces,
) -> Result<Exit, Failure> {
    loop {
        let started = tokio::select! {
            started = start(args, home, traces.clone()) => started,
            signal = stop.requested() => {
                say(format_args!("{} before the coordinator was ready", signal.reason()));
                return Ok(Exit::Done);
            }
        };
        let mut host = started?;
        set_ready(health, true).await;
        say(format_args!("serving {} on {}", home.display(), host.url()));
        introduce(args, &host);
        tokio::select! {
            signal = stop.requested() => {
                say(format_args!("{}; workers continue training and wait for the coordinator", signal.reason()));
                set_ready(health, false).await;
                stop_host(host, stop).await?;
                return Ok(Exit::Done);
            }
            error = host.failed() => match error {
                HostError::Store(StoreError::Locked { holder, .. }) if args.standby => {
                    say(format_args!("{holder} has taken over the store"));
                    set_ready(health, false).await;
                    host.abandon().await;
                }
                error => return Err(error.into()),
            },
        }
    }
}

/// Says how workers and browsers reach the coordinator, here and to other coordinators of its store.
fn introduce(args: &ServeArgs, host: &Host) {
    let scheme = if host.connection.authority().is_some() { "https" } else { "http" };
    let url = args.listen.url(host.address, scheme);
    host.announce(&url);
    say(format_args!("page     {url}/"));
    if host.connection.authority().is_some() {
        say(format_args!(
            "workers  make a connection file with `biosweep token create --role worker --address {url} --to FILE`, copy it, and start \
             `biosweep-worker --connection FILE`"
        ));
    } else {
        say(format_args!("workers connect with `biosweep-worker --coordinator {url}`"));
    }
}

/// Opens the port for health checks, if there is one. It listens before the state is loaded, which may take long.
async fn health_port(args: &ServeArgs) -> Result<Option<HealthPort>, Failure> {
    let Some(listen) = &args.health_listen else { return Ok(None) };
    let address = listen.address("--health-listen").await?;
    let port = HealthPort::open(address).await.map_err(|error| {
        Failure::environment(format!("cannot listen on {address}: {error}; choose another with --health-listen"))
    })?;
    say(format_args!("health   {}", port.address));
    Ok(Some(port))
}

async fn set_ready(health: Option<&HealthPort>, is_ready: bool) {
    if let Some(health) = health {
        health.set_ready(is_ready).await;
    }
}

/// Resolves the address and starts the coordinator.
async fn start(args: &ServeArgs, home: &Path, traces: Traces) -> Result<Host, Failure> {
    let own = folder_of(home);
    let protection = match &args.certs {
        Some(folder) => Protection::Certificates(folder),
        None if args.insecure => Protection::None,
        None if Authority::is_in(&own) => Protection::Certificates(&own),
        None => Protection::Loopback,
    };
    let page_hosts: Vec<String> = args.page_host.iter().cloned().chain([args.listen.host.clone()]).collect();
    let options = HostOptions {
        home,
        store: args.store.url(),
        listen: args.listen.address("--listen").await?,
        protection,
        page_hosts: &page_hosts,
        scope: Scope::All,
        timeouts: Timeouts::of_lease_ms(1_000 * args.lease),
        lifetime: Lifetime::Announced,
        stands_by: args.standby,
        traces,
    };
    Ok(Host::start_alone(options).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listen_takes_addresses_names_and_ports() {
        let cases = [
            ("127.0.0.1:7465", Some(("127.0.0.1", 7465))),
            ("0.0.0.0:0", Some(("0.0.0.0", 0))),
            ("[::]:80", Some(("::", 80))),
            ("[::1]", Some(("::1", PORT))),
            ("::1", Some(("::1", PORT))),
            ("10.0.0.1", Some(("10.0.0.1", PORT))),
            ("8000", Some(("127.0.0.1", 8000))),
            ("localhost:8000", Some(("localhost", 8000))),
            ("node-17.cluster", Some(("node-17.cluster", PORT))),
            ("", None),
            (":8000", None),
            ("65536", None),
            ("localhost:65536", None),
            ("localhost:", None),
            ("256.0.0.1:80", None),
            ("http://localhost:80", None),
        ];
        for (text, expected) in cases {
            let expected = expected.map(|(host, port): (&str, u16)| Listen { host: host.to_owned(), port });
            assert_eq!(listen(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn a_host_of_the_page_is_a_name_alone() {
        assert_eq!(host_of_page("sweeps.example.org").as_deref(), Ok("sweeps.example.org"));
        for text in ["http://x:80/", "proxy.example:8443", "10.0.0.1", "", "a b"] {
            host_of_page(text).expect_err(text);
        }
    }

    #[tokio::test]
    async fn the_printed_url_is_reachable_for_workers() {
        let url = async |text: &str| {
            let listen = listen(text).expect("an address");
            listen.url(listen.address("--listen").await.expect("it resolves"), "http")
        };
        assert_eq!(url("127.0.0.1:80").await, "http://127.0.0.1:80");
        assert_eq!(url("[::1]:80").await, "http://[::1]:80");
        assert_eq!(url("localhost:80").await, "http://localhost:80");
        for everywhere in ["0.0.0.0:80", "[::]:80"] {
            assert_eq!(url(everywhere).await, format!("http://{}:80", host_name()));
        }
    }
}
