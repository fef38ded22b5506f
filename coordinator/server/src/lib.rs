//! A coordinator: what stands between the scheduler, its store, its workers and the people who ask it.
//!
//! | module | contents |
//! |---|---|
//! | [`driver`] | the loop around the scheduler: event → apply → commit → release |
//! | [`commands`] | what people change: submit, extend, retry, delete |
//! | [`queries`] | what people ask: sweeps, results, curves, workers, events as they happen |
//! | [`grpc`] | the gRPC services |
//! | [`host`] | all of these as one coordinator in this process |
//! | [`local`] | worker processes beside a coordinator |

pub mod commands;
pub mod driver;
pub mod grpc;
pub mod host;
pub mod local;
pub mod queries;
