//! The bucket of an S3-compatible object store.

use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path as ObjectPath;
use object_store::{ClientOptions, RetryConfig};

/// The connect timeout of an object store.
const CONNECT: Duration = Duration::from_secs(10);
/// The read timeout of an object store. Longer files are sent in parts, one request each. The timeout therefore limits
/// an idle store, and not the size of a checkpoint.
const IDLE: Duration = Duration::from_secs(15);
/// How long failed requests are repeated.
const RETRY: Duration = Duration::from_secs(15);

/// Opens the bucket of an address such as s3://BUCKET/PREFIX; returns it with the prefix. Its credentials come from the usual
/// variables, such as AWS_ACCESS_KEY_ID.
///
/// # Errors
/// The address is invalid, or a variable is.
pub(super) fn open(place: &str) -> Result<(AmazonS3, ObjectPath), String> {
    let Some((bucket, within)) = place.strip_prefix("s3://").map(|rest| rest.split_once('/').unwrap_or((rest, "")))
    else {
        return Err("it is neither a folder nor an address that begins with s3://".to_owned());
    };
    // Set once per process. A second call fails, which does not matter.
    drop(rustls::crypto::ring::default_provider().install_default());
    let retry = RetryConfig { max_retries: 3, retry_timeout: RETRY, ..RetryConfig::default() };
    let client = ClientOptions::new()
        .with_timeout_disabled()
        .with_connect_timeout(CONNECT)
        .with_read_timeout(IDLE)
        .with_allow_http(true);
    let builder = AmazonS3Builder::from_env().with_bucket_name(bucket).with_retry(retry).with_client_options(client);
    let store = builder.build().map_err(|error| error.to_string())?;
    Ok((store, ObjectPath::from(within)))
}
