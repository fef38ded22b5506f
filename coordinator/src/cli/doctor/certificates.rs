//! The certificates of a coordinator: present, expiry, permissions.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use biosweep_common::vocabulary::time::WallTime;
use biosweep_host::clock::Clock;
use biosweep_server::access::authority::{Authority, folder_of};
use biosweep_server::access::inspection::{Inspected, inspect};

use super::finding::{Finding, Severity};

const CHECK: &str = "certificates";
/// The files that only their owner may read.
const PRIVATE: [&str; 3] = ["ca.key", "server.key", "operator.json"];
const DAY_MS: u64 = 86_400_000;
/// A certificate that expires earlier than this should be renewed. A running coordinator renews its own 30 days before.
const SOON_MS: u64 = 14 * DAY_MS;

pub(super) fn check(home: &Path, given: Option<&Path>) -> Vec<Finding> {
    let own = folder_of(home);
    let folder = given.unwrap_or(&own);
    if given.is_none() && !Authority::is_in(folder) {
        let found = "there are none, so a coordinator of this home listens on this machine only";
        return vec![Finding::ok(CHECK, found).and("`biosweep certs init` makes them, for workers on other machines")];
    }
    let mut findings = vec![match inspect(folder) {
        Ok(found) => validity(folder, &found, Clock::start().wall()),
        Err(error) => Finding::of(
            CHECK,
            Severity::Error,
            &error,
            "restore the file, or make a new authority in another folder with `biosweep certs init`",
        ),
    }];
    findings.extend(PRIVATE.iter().filter_map(|file| open_to_others(&folder.join(file))));
    findings
}

/// The finding for the dates of the certificates.
fn validity(folder: &Path, found: &Inspected, now: WallTime) -> Finding {
    let shown = folder.display();
    let days = |until: WallTime| until.0.saturating_sub(now.0) / DAY_MS;
    let renew = "run `biosweep certs renew`; a running coordinator takes the new one over within ten seconds";
    let clock = "set the clock of this machine";
    match (found.authority, found.server) {
        (authority, _) if authority.from > now => {
            Finding::error(CHECK, format!("the authority in {shown} is not valid yet"), clock)
        }
        (authority, _) if authority.until <= now => Finding::error(
            CHECK,
            format!("the authority in {shown} has expired"),
            "make a new one in another folder with `biosweep certs init`, and new tokens",
        ),
        (authority, None) => Finding::ok(
            CHECK,
            format!(
                "the authority in {shown} is valid for {} days; a coordinator makes its own certificate",
                days(authority.until)
            ),
        ),
        (_, Some(server)) if server.from > now => {
            Finding::error(CHECK, format!("the certificate of the server in {shown} is not valid yet"), clock)
        }
        (_, Some(server)) if server.until <= now => {
            Finding::error(CHECK, format!("the certificate of the server in {shown} has expired"), renew)
        }
        (_, Some(server)) if server.until.0 - now.0 < SOON_MS => Finding::warning(
            CHECK,
            format!("the certificate of the server in {shown} expires in {} days", days(server.until)),
            renew,
        ),
        (authority, Some(server)) => Finding::ok(
            CHECK,
            format!(
                "the authority in {shown} is valid for {} days, and the certificate of the server for {}",
                days(authority.until),
                days(server.until)
            ),
        ),
    }
}

/// The finding for a file that others than its owner may read.
fn open_to_others(path: &Path) -> Option<Finding> {
    let mode = path.metadata().ok()?.permissions().mode() & 0o777;
    let found = format!("others may read {} (mode {mode:04o}), and with it act as its owner", path.display());
    (mode & 0o077 != 0).then(|| Finding::error(CHECK, found, format!("run `chmod 600 {}`", path.display())))
}

#[cfg(test)]
mod tests {
    use biosweep_server::access::inspection::Validity;

    use super::*;

    fn valid(from_days: u64, until_days: u64) -> Validity {
        Validity { from: WallTime(from_days * DAY_MS), until: WallTime(until_days * DAY_MS) }
    }

    #[test]
    fn the_dates_of_certificates_decide() {
        let now = WallTime(100 * DAY_MS);
        let level = |authority, server| validity(Path::new("certs"), &Inspected { authority, server }, now).severity;
        assert_eq!(level(valid(0, 4_000), Some(valid(0, 190))), Severity::Ok);
        assert_eq!(level(valid(0, 4_000), None), Severity::Ok);
        assert_eq!(level(valid(0, 4_000), Some(valid(0, 110))), Severity::Warning);
        assert_eq!(level(valid(0, 4_000), Some(valid(0, 100))), Severity::Error);
        assert_eq!(level(valid(0, 4_000), Some(valid(101, 190))), Severity::Error, "the clock is behind");
        assert_eq!(level(valid(0, 99), Some(valid(0, 190))), Severity::Error);
        assert_eq!(level(valid(101, 4_000), None), Severity::Error);
    }
}
