//! Which libtorch is loaded. Another version than this program is built for computes other numbers: it is refused.
#![expect(unsafe_code, reason = "a foreign function without arguments, declared once")]

use std::fs;

/// The version whose headers this program was built with.
const BUILT_FOR: &str = env!("BIOSWEEP_LIBTORCH_VERSION");
/// The file that it is loaded from.
const FILE: &str = "libtorch_cpu.so";

// Of libtorch's stable C interface (torch/csrc/inductor/aoti_torch/c/shim.h): the version, major, minor and patch in a byte
// each from the top.
unsafe extern "C" {
    safe fn aoti_torch_abi_version() -> u64;
}

/// Another libtorch than this program is built for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "libtorch {found} is loaded from {place}, and this program is built for {BUILT_FOR}: its results would be others; \
     unset LD_LIBRARY_PATH and LD_PRELOAD, or put libtorch {BUILT_FOR} there"
)]
pub struct OtherLibtorch {
    /// The version that is loaded.
    pub found: String,
    /// Its file.
    pub place: String,
}

/// The version that is loaded.
#[must_use]
pub fn version() -> String {
    let [major, minor, patch, ..] = aoti_torch_abi_version().to_be_bytes();
    format!("{major}.{minor}.{patch}")
}

/// Checks that it is the version that this program is built for.
///
/// # Errors
/// Another one.
pub fn check() -> Result<(), OtherLibtorch> {
    let found = version();
    if found == BUILT_FOR { Ok(()) } else { Err(OtherLibtorch { found, place: place() }) }
}

/// The file that is loaded, as the system has it.
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
        // Of this process, libtorch is a part only where something of it is used.
        assert_eq!(tch::Tensor::from(1.0).size(), [0_i64; 0]);
        assert_eq!(version(), BUILT_FOR);
        assert_eq!(check(), Ok(()));
        assert!(place().ends_with(&format!("/lib/{FILE}")), "{}", place());
    }
}
