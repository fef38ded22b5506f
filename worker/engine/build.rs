//! Tells the linker where libtorch is for tests and examples at run time, and tells the engine the version of libtorch.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

fn main() {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    let libtorch = env::var_os("LIBTORCH").map_or_else(|| PathBuf::from("../../libtorch"), PathBuf::from);
    let lib = libtorch.join("lib");
    assert!(
        lib.join("libtorch_cpu.so").is_file(),
        "no libtorch in {}; `make setup` installs it, or set LIBTORCH to where it is",
        libtorch.display(),
    );
    let lib = std::path::absolute(&lib).unwrap_or(lib);
    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", lib.display());
    // For the build scripts of programs that link this engine: DEP_BIOSWEEP_ENGINE_LIB.
    println!("cargo:LIB={}", lib.display());
    // As DT_RPATH, which precedes LD_LIBRARY_PATH, such as that of an active conda environment.
    println!("cargo:rustc-link-arg=-Wl,--disable-new-dtags");
    println!("cargo:rustc-env=BIOSWEEP_LIBTORCH_VERSION={}", version(&libtorch.join("include/torch")));
}

/// The version of the headers in a folder.
fn version(folder: &Path) -> String {
    // The second path is that of libtorch up to version 2.8.
    let places = ["headeronly/version.h", "csrc/api/include/torch/version.h"].map(|place| folder.join(place));
    let header = places.iter().find_map(|place| fs::read_to_string(place).ok()).unwrap_or_default();
    let number = |name: &str| {
        let line = header.lines().find_map(|line| line.strip_prefix(&format!("#define TORCH_VERSION_{name} ")));
        line.unwrap_or_else(|| panic!("{} has no version.h with TORCH_VERSION_{name}", folder.display()))
            .trim()
            .to_owned()
    };
    ["MAJOR", "MINOR", "PATCH"].map(number).join(".")
}
