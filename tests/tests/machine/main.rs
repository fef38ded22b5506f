//! What surrounds the programs: limits of the machine, cores and memory, libtorch, an object store, Python wheels.

mod libtorch;
mod limits;
mod object_store;
mod resources;
mod wheels;
