//! Tells the linker where tests and examples find libtorch at run time, and the engine which version that is.

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
    // For the build scripts of programs with this engine in them: DEP_BIOSWEEP_ENGINE_LIB.
    println!("cargo:LIB={}", lib.display());
    // As DT_RPATH: what LD_LIBRARY_PATH names, such as the libtorch of an active conda environment, comes after it.
    println!("cargo:rustc-link-arg=-Wl,--disable-new-dtags");
    println!("cargo:rustc-env=BIOSWEEP_LIBTORCH_VERSION={}", version(&libtorch.join("include/torch")));
}

/// The version of the headers in a folder.
fn version(folder: &Path) -> String {
    // Where they have been up to version 2.8, too.
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
