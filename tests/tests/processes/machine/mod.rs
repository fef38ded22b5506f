//! What surrounds the programs: limits of the machine, cores and memory, libtorch, an object store, Python wheels, logs, Prometheus, traces,
//! Kubernetes, services.

mod kubernetes;
mod libtorch;
mod limits;
mod logs;
mod metrics;
mod object_store;
mod resources;
mod services;
mod traces;
mod wheels;
