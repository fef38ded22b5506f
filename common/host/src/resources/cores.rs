//! The number of cores that a process may use.

use std::thread;

/// The cores on which the system lets this process run: its affinity (`sched_getaffinity`), which includes its cpuset.
pub(super) fn of_affinity() -> u32 {
    thread::available_parallelism().map_or(1, |cores| narrow(cores.get() as u64)).max(1)
}

/// The least of these numbers, at least 1: the cores of the affinity, of the control groups and of the Slurm job.
pub(super) fn least(affinity: u32, group: Option<u64>, job: Option<u64>) -> u32 {
    group.into_iter().chain(job).map(narrow).chain([affinity]).min().unwrap_or(affinity).max(1)
}

fn narrow(cores: u64) -> u32 {
    u32::try_from(cores).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_number_of_cores_counts_and_it_is_at_least_one() {
        assert_eq!(least(64, None, None), 64);
        assert_eq!(least(64, Some(8), None), 8);
        assert_eq!(least(64, Some(8), Some(4)), 4);
        assert_eq!(least(2, Some(8), Some(4)), 2);
        assert_eq!(least(0, Some(0), None), 1);
        assert_eq!(least(3, Some(u64::MAX), Some(u64::MAX)), 3);
    }

    #[test]
    fn the_affinity_of_this_process_has_a_core() {
        assert!(of_affinity() >= 1);
    }
}
