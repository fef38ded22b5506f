//! The messages and services biosweep's programs speak, generated from `biosweep/v1`, and those of KEDA, from `keda`.
//!
//! Nothing here is written by hand: the meaning of every message stands in the `.proto` files. Only
//! `biosweep_common::protocol` turns the messages of biosweep into domain types and back.

/// Version 1 of the protocol.
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/biosweep.v1.rs"));

    /// The protocol described in its own words, for gRPC reflection.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/biosweep_descriptor.bin"));
}

/// The protocol of KEDA's external scalers.
pub mod externalscaler {
    include!(concat!(env!("OUT_DIR"), "/externalscaler.rs"));

    /// The protocol described in its own words, for gRPC reflection.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/externalscaler_descriptor.bin"));
}
