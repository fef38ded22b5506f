//! The loaded version of libtorch. Another version than the one at build time computes other numbers; the program
//! refuses it.
#![expect(unsafe_code, reason = "a foreign function without arguments, declared once")]

use std::fs;

/// The version of the headers at build time.
const BUILT_FOR: &str = env!("BIOSWEEP_LIBTORCH_VERSION");
/// The file name of the library.
const FILE: &str = "libtorch_cpu.so";

// The version in libtorch's stable C interface (torch/csrc/inductor/aoti_torch/c/shim.h): major, minor and patch, one
// byte each from the top.
unsafe extern "C" {
    safe fn aoti_torch_abi_version() -> u64;
}

/// The error of a libtorch version other than the one at build time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "libtorch {found} is loaded from {place}, and this program is built for {BUILT_FOR}: its results would be others; \
     unset LD_LIBRARY_PATH and LD_PRELOAD, or put libtorch {BUILT_FOR} there"
)]
pub struct OtherLibtorch {
    /// The loaded version.
    pub found: String,
    /// The loaded file.
    pub place: String,
}

/// The loaded version.
#[must_use]
pub fn version() -> String {
    let [major, minor, patch, ..] = aoti_torch_abi_version().to_be_bytes();
    format!("{major}.{minor}.{patch}")
}

/// Checks that the loaded version is the one at build time.
///
/// # Errors
/// The version is another one.
pub fn check() -> Result<(), OtherLibtorch> {
    let found = version();
    if found == BUILT_FOR { Ok(()) } else { Err(OtherLibtorch { found, place: place() }) }
}

/// The path of the loaded library, from /proc/self/maps.
fn place() -> String {
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let path =
        maps.lines().find_map(|line| line.find('/').map(|start| &line[start..]).filter(|path| path.ends_with(FILE)));
    path.unwrap_or(FILE).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loaded_version_is_the_one_built_for_and_known_by_its_file() {
        // libtorch is a part of this test process only if the test uses it.
        assert_eq!(tch::Tensor::from(1.0).size(), [0_i64; 0]);
        assert_eq!(version(), BUILT_FOR);
        assert_eq!(check(), Ok(()));
        assert!(place().ends_with(&format!("/lib/{FILE}")), "{}", place());
    }
}
