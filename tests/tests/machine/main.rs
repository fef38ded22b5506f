//! What surrounds the programs: limits of the machine, cores and memory, libtorch, an object store, Python wheels,
//! logs, Prometheus.

mod libtorch;
mod limits;
mod logs;
mod metrics;
mod object_store;
mod resources;
mod wheels;
