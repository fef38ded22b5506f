//! The store.

use std::path::Path;
use std::time::Duration;

use biosweep_store::{StoreError, examine};

use super::finding::{Finding, Severity};

/// Maximum wait for the database.
const WAIT: Duration = Duration::from_secs(20);

pub(super) async fn check(home: &Path, url: Option<&str>) -> Finding {
    let check = "database";
    if url.is_none() && !biosweep_store::is_in(home) {
        return Finding::ok(check, "there is no store in the home yet; the first sweep makes it");
    }
    match tokio::time::timeout(WAIT, examine(home, url)).await {
        Ok(Ok(found)) => Finding::ok(check, format!("{} can be read ({})", found.place, found.engine)),
        Ok(Err(StoreError::Outdated { place, .. })) => Finding::ok(
            check,
            format!("{place} was written by an earlier version; it is migrated when a coordinator opens it"),
        ),
        Ok(Err(error)) => {
            Finding::of(check, Severity::Error, &error, "check that the store can be read, then try again")
        }
        Err(_) => Finding::error(
            check,
            format!("the store has not answered for {} s", WAIT.as_secs()),
            "check the address given with --store, and that the database is running",
        ),
    }
}
