//! Compiles the protocols without protoc: protox parses, tonic-prost-build generates.

use std::env;
use std::error::Error;
use std::fs;
use std::path::PathBuf;

use prost::Message as _;

fn main() -> Result<(), Box<dyn Error>> {
    generate(&["biosweep/v1/sweeps.proto", "biosweep/v1/workers.proto", "biosweep/v1/access.proto"], "biosweep")?;
    generate(&["keda/externalscaler.proto"], "externalscaler")?;
    println!("cargo:rerun-if-changed=biosweep");
    println!("cargo:rerun-if-changed=keda");
    Ok(())
}

/// Generates the code of these files, and writes their descriptors.
fn generate(protos: &[&str], name: &str) -> Result<(), Box<dyn Error>> {
    let descriptors = protox::compile(protos, ["."])?;
    let descriptor_file = PathBuf::from(env::var("OUT_DIR")?).join(format!("{name}_descriptor.bin"));
    fs::write(descriptor_file, descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        .client_mod_attribute(".", "#[cfg(feature = \"client\")]")
        .server_mod_attribute(".", "#[cfg(feature = \"server\")]")
        .compile_fds(descriptors)?;
    Ok(())
}
