//! What surrounds the programs: limits of the machine, libtorch, an object store.

mod libtorch;
mod limits;
mod object_store;
