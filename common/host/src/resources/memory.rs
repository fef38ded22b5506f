//! The amount of memory that a process may use.

use std::fs;
use std::path::Path;

/// The amount is rounded to tenths of a gigabyte, so that machines of one model report the same.
const UNIT: u64 = 100_000_000;

/// The memory of the machine in bytes; `None` if the system does not report it.
pub(super) fn of_machine(root: &Path) -> Option<u64> {
    total(&fs::read_to_string(root.join("proc/meminfo")).ok()?)
}

/// The least of these amounts, rounded down to tenths of a gigabyte: the memory of the machine, of the control groups and
/// of the Slurm job. 0 if none is known.
pub(super) fn least(machine: Option<u64>, group: Option<u64>, job: Option<u64>) -> u64 {
    machine.into_iter().chain(group).chain(job).min().map_or(0, |bytes| bytes / UNIT * UNIT)
}

/// `MemTotal` of /proc/meminfo, in bytes. The file has KiB.
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_the_machine_is_read() {
        assert_eq!(total("MemTotal:       24596352 kB\nMemFree: 1 kB\n"), Some(24_596_352 * 1024));
        assert_eq!(total("MemFree: 1 kB\n"), None);
        assert!(of_machine(Path::new("/")).is_some_and(|bytes| bytes > UNIT));
        assert_eq!(of_machine(Path::new("/nowhere")), None);
    }

    #[test]
    fn the_least_amount_counts_in_tenths_of_a_gigabyte() {
        assert_eq!(least(Some(64_000_000_000), None, None), 64_000_000_000);
        assert_eq!(least(Some(64_000_000_000), Some(8_590_000_000), None), 8_500_000_000);
        assert_eq!(least(Some(64_000_000_000), Some(8_590_000_000), Some(4 << 30)), 4_200_000_000);
        assert_eq!(least(None, None, None), 0);
    }
}
