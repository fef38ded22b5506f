//! Tells the linker where the worker finds libtorch at run time, so that nothing has to be set to start it.

use std::env;

fn main() {
    // What the engine was built against; after it, beside an installed program, and in a checkout.
    let built =
        env::var("DEP_BIOSWEEP_ENGINE_LIB").unwrap_or_else(|_| panic!("the engine does not say where libtorch is"));
    for place in [&*built, "$ORIGIN/../lib", "$ORIGIN/../../libtorch/lib"] {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{place}");
    }
    // As DT_RPATH: what LD_LIBRARY_PATH names, such as the libtorch of an active conda environment, comes after it.
    println!("cargo:rustc-link-arg=-Wl,--disable-new-dtags");
}
