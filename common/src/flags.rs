//! Values that more than one command line takes, as parsers for its options.

use std::str::FromStr;

/// The address of a coordinator.
///
/// # Errors
/// How to write one, where it is none.
pub fn coordinator_url(text: &str) -> Result<String, String> {
    let host = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    match host {
        Some(host) if !host.is_empty() => Ok(text.to_owned()),
        _ => Err("write it as http://HOST:PORT".to_owned()),
    }
}

/// How many of something there are to be.
///
/// # Errors
/// What it takes, where it is no such number.
pub fn count<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| match text.parse::<u128>() {
        Ok(1..) => "it is more than is possible".to_owned(),
        _ => "it takes a whole number, at least 1".to_owned(),
    })
}

/// What a worker's owner says of it, and sweeps may require.
///
/// # Errors
/// What it lacks, where it is no label.
pub fn label(text: &str) -> Result<String, String> {
    if text.trim().is_empty() { Err("a label is not empty".to_owned()) } else { Ok(text.to_owned()) }
}

/// Where checkpoints are kept.
///
/// # Errors
/// How to write it, where it is an address of nothing that is known.
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
    use std::num::NonZeroU32;

    use super::*;

    #[test]
    fn an_address_has_a_scheme_and_a_host() {
        for good in ["http://127.0.0.1:7465", "https://sweeps.example"] {
            assert_eq!(coordinator_url(good).as_deref(), Ok(good));
        }
        for bad in ["", "foo", "localhost:7465", "http://", "ftp://host"] {
            assert!(coordinator_url(bad).is_err_and(|how| how.contains("http://HOST:PORT")), "{bad}");
        }
    }

    #[test]
    fn a_count_says_what_it_takes() {
        assert_eq!(count("3"), Ok(NonZeroU32::MIN.saturating_add(2)));
        for bad in ["0", "-1", "two", ""] {
            assert_eq!(count::<NonZeroU32>(bad), Err("it takes a whole number, at least 1".to_owned()), "{bad}");
        }
        assert_eq!(count::<NonZeroU32>("5000000000"), Err("it is more than is possible".to_owned()));
    }

    #[test]
    fn a_place_for_checkpoints_is_a_folder_or_a_bucket() {
        for good in ["none", "kept", "/var/kept", "s3://bucket", "s3://bucket/a/b"] {
            assert_eq!(checkpoints_place(good).as_deref(), Ok(good));
        }
        for bad in ["", "s3://", "s3:///a", "gs://bucket"] {
            assert!(checkpoints_place(bad).is_err_and(|how| how.contains("s3://BUCKET/PREFIX")), "{bad}");
        }
    }

    #[test]
    fn a_label_says_something() {
        assert_eq!(label("site=x").as_deref(), Ok("site=x"));
        assert!(label("").is_err() && label(" \t").is_err());
    }
}
