//! Custom data in a spec: finds it relative to the spec file, computes its digest and writes both into the text.

use std::path::Path;

use biosweep_common::spec::{self, Format};
use biosweep_common::vocabulary::dataset::CustomData;
use biosweep_data::custom::digest;

use super::failure::Failure;

/// The text of a spec with the absolute directory and the digest of each custom dataset. Relative directories are
/// relative to `base`.
pub(super) fn pin(text: &str, format: Format, base: &Path) -> Result<String, Failure> {
    spec::pin(text, format, |own| resolve(own, base))
}

fn resolve(own: &CustomData, base: &Path) -> Result<CustomData, Failure> {
    let directory = std::path::absolute(base.join(&own.directory)).map_err(|error| {
        Failure::environment(format!("the data directory `{}` cannot be made absolute: {error}", own.directory))
    })?;
    let Some(directory) = directory.to_str().map(str::to_owned) else {
        return Err(Failure::bad_input(format!(
            "the path of the data directory `{}` is not valid Unicode; move it to another directory",
            directory.display()
        )));
    };
    let found = CustomData { directory, digest: None, ..own.clone() };
    // Data that is missing, invalid or changed is an environment error, here as for workers.
    let digest = digest::digest(&found).map_err(Failure::from_environment)?;
    match own.digest {
        Some(expected) if expected != digest => Err(Failure::environment(format!(
            "the data in `{}` has digest {digest}, but the spec has {expected}; put the original files back, or remove the \
             digest from the spec",
            found.directory
        ))),
        _ => Ok(CustomData { digest: Some(digest), ..found }),
    }
}
