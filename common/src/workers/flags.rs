//! Parsers for command-line values that both programs use.

use std::num::NonZeroU32;
use std::str::FromStr;

use crate::protocol::bounds::{LANES_MAX, NAME_BYTES_MAX as NAME_LEN};
use crate::vocabulary::text::is_disruptive;

/// Parses the address of a coordinator.
///
/// # Errors
/// How to write one, if the text is not a valid address.
pub fn coordinator_url(text: &str) -> Result<String, String> {
    let host = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"))
        .map(|host| host.strip_suffix('/').unwrap_or(host));
    let is_host = |host: &&str| !host.is_empty() && !host.contains(['/', '@', '?', '#', ' ']);
    // An IPv6 address is in brackets, and the port follows them.
    let port =
        |host: &str| host.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')).map(|(_, port)| port.to_owned());
    match host.filter(is_host) {
        Some(host) if port(host).is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0)) => {
            Ok(text.to_owned())
        }
        _ => Err("write it as http://HOST:PORT or https://HOST:PORT".to_owned()),
    }
}

/// Parses a count of at least 1.
///
/// # Errors
/// What the flag takes, if the text is not such a number.
pub fn count<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| match text.parse::<u128>() {
        Ok(1..) => "it is too large".to_owned(),
        _ => "it takes a whole number, at least 1".to_owned(),
    })
}

/// Parses the number of trajectories that a worker trains at once.
///
/// # Errors
/// What the flag takes, if the text is not such a number.
pub fn lanes(text: &str) -> Result<NonZeroU32, String> {
    let lanes: NonZeroU32 = count(text)?;
    if lanes.get() > LANES_MAX {
        return Err(format!("a worker has at most {LANES_MAX} lanes; start several workers"));
    }
    Ok(lanes)
}

/// Parses a name of a worker or a label.
///
/// # Errors
/// What the flag takes, if the text is not a valid name.
pub fn name(text: &str) -> Result<String, String> {
    let is_sound = !text.trim().is_empty() && text.len() <= NAME_LEN && !text.contains(is_disruptive);
    let takes = || format!("it takes 1 to {NAME_LEN} bytes, none of them a line break or another control character");
    is_sound.then(|| text.to_owned()).ok_or_else(takes)
}

/// Parses the checkpoint store: a folder, an S3 address or `none`.
///
/// # Errors
/// How to write it, if the text is none of these.
pub fn checkpoints_place(text: &str) -> Result<String, String> {
    let is_bucket = |address: &str| address.split('/').next().is_some_and(|bucket| !bucket.is_empty());
    let is_known = !text.contains("://") || text.strip_prefix("s3://").is_some_and(is_bucket);
    if is_known && !text.is_empty() {
        return Ok(text.to_owned());
    }
    Err("write it as a folder, as s3://BUCKET/PREFIX, or as none".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_scheme_and_a_host() {
        for good in
            ["http://127.0.0.1:7465", "http://sweeps.example", "http://[::1]:7465/", "http://[::1]", "https://host"]
        {
            assert_eq!(coordinator_url(good).as_deref(), Ok(good));
        }
        for bad in
            ["", "foo", "localhost:7465", "http://", "ftp://host", "http://host:99999", "http://a@b", "http://a/b"]
        {
            assert!(coordinator_url(bad).is_err_and(|how| how.contains("http://HOST:PORT")), "{bad}");
        }
    }

    #[test]
    fn an_error_in_a_count_says_what_it_takes() {
        assert_eq!(count("3"), Ok(NonZeroU32::MIN.saturating_add(2)));
        for bad in ["0", "-1", "two", ""] {
            assert_eq!(count::<NonZeroU32>(bad), Err("it takes a whole number, at least 1".to_owned()), "{bad}");
        }
        assert_eq!(count::<NonZeroU32>("5000000000"), Err("it is too large".to_owned()));
    }

    #[test]
    fn a_worker_with_more_lanes_than_the_maximum_is_refused() {
        assert_eq!(lanes("1024"), Ok(NonZeroU32::MIN.saturating_add(1_023)));
        for bad in ["1025", "1000000", "4294967295"] {
            assert!(lanes(bad).is_err_and(|why| why.contains("at most 1024 lanes")), "{bad}");
        }
        assert_eq!(lanes("0"), Err("it takes a whole number, at least 1".to_owned()));
    }

    #[test]
    fn a_checkpoint_store_is_a_folder_or_a_bucket() {
        for good in ["none", "kept", "/var/kept", "s3://bucket", "s3://bucket/a/b"] {
            assert_eq!(checkpoints_place(good).as_deref(), Ok(good));
        }
        for bad in ["", "s3://", "s3:///a", "gs://bucket"] {
            assert!(checkpoints_place(bad).is_err_and(|how| how.contains("s3://BUCKET/PREFIX")), "{bad}");
        }
    }

    #[test]
    fn a_name_is_one_line_and_not_empty() {
        assert_eq!(name("site=x").as_deref(), Ok("site=x"));
        for bad in ["", " \t", "two\nlines", "\u{1b}[31m", &"x".repeat(129)] {
            assert!(name(bad).is_err_and(|why| why.contains("1 to 128 bytes")), "{bad:?}");
        }
    }
}
