//! The cores, the memory, the files and the threads that this process may use: the least of what the machine, the control groups and the Slurm job
//! allow.
//!
//! | module | contents |
//! |---|---|
//! | `cores` | the number of cores |
//! | `memory` | the amount of memory |
//! | `control_group` | the limits of the process's control groups, version 1 and 2 |
//! | [`limits`] | limits on open files and threads |
//! | [`slurm`] | the limits of the process's Slurm job |

mod control_group;
mod cores;
pub mod limits;
mod memory;
pub mod slurm;

use std::path::Path;

use self::slurm::{Allocation, AllocationError};

/// The folder under which the files of the system are.
const ROOT: &str = "/";

/// The number of cores that this process may use, at least 1.
///
/// # Errors
/// A variable of the Slurm job that is not a number.
pub fn cores() -> Result<u32, AllocationError> {
    let allocation = Allocation::of_environment()?;
    Ok(cores::least(cores::of_affinity(), control_group::cpus(Path::new(ROOT)), allocation.cpus))
}

/// The memory that this process may use, in bytes, rounded down to tenths of a gigabyte; 0 if the system does not report
/// it.
///
/// # Errors
/// A variable of the Slurm job that is not a number.
pub fn memory_bytes() -> Result<u64, AllocationError> {
    let allocation = Allocation::of_environment()?;
    let root = Path::new(ROOT);
    Ok(memory::least(memory::of_machine(root), control_group::memory_bytes(root), allocation.memory_bytes))
}
