//! Custom data in a spec: found beside the spec file, its digest taken and written into the text.

use std::path::Path;

use biosweep_common::dataset::CustomData;
use biosweep_common::spec::{self, Format};
use biosweep_data::custom::digest;

use super::failure::Failure;

/// The text with the absolute directory and the digest of each custom dataset in it. Relative directories are relative to
/// `base`.
pub(super) fn pin(text: &str, format: Format, base: &Path) -> Result<String, Failure> {
    spec::pin(text, format, |own| resolve(own, base))
}

fn resolve(own: &CustomData, base: &Path) -> Result<CustomData, Failure> {
    let directory = std::path::absolute(base.join(&own.directory)).map_err(|error| {
        Failure::environment(format!("the data directory `{}` cannot be made absolute: {error}", own.directory))
    })?;
    let Some(directory) = directory.to_str().map(str::to_owned) else {
        return Err(Failure::bad_input(format!(
            "the path of the data directory `{}` is no Unicode; move it elsewhere",
            directory.display()
        )));
    };
    let found = CustomData { directory, digest: None, ..own.clone() };
    // What is missing, broken or not what the spec asks for is one kind of error: that of the data, wherever it is found.
    let digest = digest::digest(&found).map_err(Failure::from_environment)?;
    match own.digest {
        Some(expected) if expected != digest => Err(Failure::environment(format!(
            "the data in `{}` has digest {digest}, and the spec asks for {expected}; put those files back, or leave the \
             digest out of the spec",
            found.directory
        ))),
        _ => Ok(CustomData { digest: Some(digest), ..found }),
    }
}
