//! The messages and services biosweep's programs speak, generated from `biosweep/v1`.
//!
//! Nothing here is written by hand: the meaning of every message stands in the `.proto` files, and only
//! `biosweep_common::protocol` turns messages into domain types and back.

/// Version 1 of the protocol.
pub mod v1 {
    tonic::include_proto!("biosweep.v1");

    /// The protocol described in its own words, for gRPC reflection.
    pub const DESCRIPTORS: &[u8] = tonic::include_file_descriptor_set!("biosweep_descriptor");
}
