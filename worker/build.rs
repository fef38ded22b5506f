//! Tells the linker where libtorch is at run time, so that the worker starts without any settings.

use std::env;

fn main() {
    // The libtorch of the build; then beside an installed program; then in a checkout.
    let built =
        env::var("DEP_BIOSWEEP_ENGINE_LIB").unwrap_or_else(|_| panic!("the engine does not say where libtorch is"));
    for place in [&*built, "$ORIGIN/../lib", "$ORIGIN/../../libtorch/lib"] {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{place}");
    }
    // As DT_RPATH, which precedes LD_LIBRARY_PATH, such as that of an active conda environment.
    println!("cargo:rustc-link-arg=-Wl,--disable-new-dtags");
}
