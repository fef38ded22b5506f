//! Tells the linker where the worker finds libtorch at run time, so that nothing has to be set to start it.

use std::env;
use std::path::{Path, PathBuf};

fn main() {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    let libtorch = env::var_os("LIBTORCH").map_or_else(|| PathBuf::from("../libtorch"), PathBuf::from);
    let lib = libtorch.join("lib");
    assert!(
        lib.join("libtorch_cpu.so").is_file(),
        "no libtorch in {}; `make setup` installs it, or set LIBTORCH to where it is",
        libtorch.display(),
    );
    let lib = std::path::absolute(&lib).unwrap_or(lib);
    // As built; beside an installed program; in a checkout.
    for place in [lib.as_path(), Path::new("$ORIGIN/../lib"), Path::new("$ORIGIN/../../libtorch/lib")] {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{}", place.display());
    }
}
