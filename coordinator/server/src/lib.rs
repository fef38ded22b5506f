//! A coordinator: the code around the scheduler, for its store, its workers and its users.
//!
//! | module | contents |
//! |---|---|
//! | [`driver`] | the loop around the scheduler: event, decision, commit, release |
//! | `connections` | accepting connections, of gRPC and of browsers |
//! | [`commands`] | requests that change something: submit, extend, retry, delete |
//! | [`queries`] | requests that only read: sweeps, results, curves, workers, events |
//! | [`grpc`] | the gRPC services |
//! | [`host`] | a complete coordinator in this process |
//! | `page` | the live page |
//! | [`local`] | worker processes on this machine |
//! | [`metrics`] | what is counted and measured, for Prometheus |

pub mod access;
pub mod commands;
mod connections;
pub mod driver;
pub mod grpc;
pub mod host;
pub mod local;
pub mod metrics;
mod page;
pub mod queries;
