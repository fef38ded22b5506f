//! The port of a coordinator, the coordinator, and its clock.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use biosweep_connection::dial::PORT;
use biosweep_connection::file::ConnectionFile;
use biosweep_host::clock::Clock;
use biosweep_server::host::Announcement;

use super::finding::{Finding, Severity};
use crate::client::{Client, ClientError, Greeting};

/// Maximum wait for a coordinator.
const WAIT: Duration = Duration::from_secs(15);
/// Seconds by which clocks may differ: what nothing notices, and from which on certificates and deadlines fail.
const SKEW_SMALL_S: f64 = 5.0;
const SKEW_LARGE_S: f64 = 300.0;

pub(super) async fn check(home: &Path, elsewhere: Option<&ConnectionFile>) -> Vec<Finding> {
    if let Some(connection) = elsewhere {
        return reach(connection, "check the address, and that the coordinator is running").await;
    }
    let Some(announced) = Announcement::read(home) else {
        return vec![port(), Finding::ok("coordinator", "none serves the home now").and("`biosweep serve` starts one")];
    };
    if announced.is_true().await {
        return reach(&announced.connection, "read the log of the coordinator").await;
    }
    let found = format!("{} does not answer, but {} names it", announced.url(), Announcement::path(home).display());
    let next_step = "start it with `biosweep serve`; the file is left over if it was killed";
    vec![port(), Finding::warning("coordinator", found, next_step)]
}

/// Whether the default port is free.
fn port() -> Finding {
    let found = |state: &str| format!("127.0.0.1:{PORT} {state}");
    match TcpListener::bind((Ipv4Addr::LOCALHOST, PORT)) {
        Ok(_) => Finding::ok("port", found("is free for a coordinator")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => Finding::warning(
            "port",
            found("is used by another program, or by the coordinator of another home"),
            "choose another port with `biosweep serve --listen PORT`",
        ),
        Err(error) => Finding::error(
            "port",
            found(&format!("cannot be listened on: {error}")),
            "choose another address with `biosweep serve --listen ADDRESS`",
        ),
    }
}

/// Whether a coordinator can be reached, takes the token, and has the same time.
async fn reach(connection: &ConnectionFile, next_step: &str) -> Vec<Finding> {
    let check = "coordinator";
    let url = connection.first_address().to_owned();
    let asked = async {
        let mut client = Client::reach(connection).await?;
        let clock = Clock::start();
        let at = clock.wall();
        let greeting = client.greet().await?;
        Ok::<_, ClientError>((greeting, at.0 as f64 / 1e3 + clock.seconds() / 2.0))
    };
    let (Greeting { date, refused }, now_s) = match tokio::time::timeout(WAIT, asked).await {
        Err(_) => {
            let found = format!("{url} has not answered for {} s", WAIT.as_secs());
            return vec![Finding::error(check, found, next_step)];
        }
        Ok(Err(error)) => {
            return vec![Finding::of(check, Severity::Error, &error, next_step)];
        }
        Ok(Ok(answered)) => answered,
    };
    let reached = match refused {
        None => Finding::ok(check, format!("{url} answers, and this machine may read")),
        Some(why) => Finding::warning(
            check,
            format!("{url} answers, but {why}"),
            "a token with the role worker is for workers only; make another with `biosweep token create --role viewer`",
        ),
    };
    let ahead_s = date.map(|date| date.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64() - now_s);
    [reached].into_iter().chain(ahead_s.map(skew)).collect()
}

/// The finding for a clock of the coordinator that is ahead by this many seconds. Its answer has whole seconds.
fn skew(ahead_s: f64) -> Finding {
    // The fraction of the second was cut off.
    let apart_s = (ahead_s + 0.5).abs();
    let direction = if ahead_s + 0.5 > 0.0 { "ahead of" } else { "behind" };
    let found = format!("the clock of the coordinator is {apart_s:.0} s {direction} that of this machine");
    let next_step = "set both clocks, best with NTP; otherwise certificates and deadlines fail";
    if apart_s < SKEW_SMALL_S {
        Finding::ok("clock", "this machine and the coordinator have the same time")
    } else if apart_s < SKEW_LARGE_S {
        Finding::warning("clock", found, next_step)
    } else {
        Finding::error("clock", found, next_step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_may_differ_by_seconds_but_not_by_minutes() {
        for (ahead_s, severity) in [
            (0.0, Severity::Ok),
            (-0.9, Severity::Ok),
            (3.0, Severity::Ok),
            (-4.0, Severity::Ok),
            (60.0, Severity::Warning),
            (-60.0, Severity::Warning),
            (3_600.0, Severity::Error),
            (-3_600.0, Severity::Error),
        ] {
            assert_eq!(skew(ahead_s).severity, severity, "{ahead_s} s");
        }
        assert!(skew(-3_600.0).found.contains("3600 s behind"), "{:?}", skew(-3_600.0));
    }
}
