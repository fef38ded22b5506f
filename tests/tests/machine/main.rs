//! What surrounds the programs: limits of the machine, cores and memory, libtorch, an object store, Python wheels, Kubernetes, services.

mod kubernetes;
mod libtorch;
mod limits;
mod object_store;
mod resources;
mod services;
mod wheels;
