//! The amount of memory: of the machine, or the limit of this process's control group if that is less.

use std::fs;
use std::path::Path;

/// The amount is rounded to tenths of a gigabyte, so that machines of one model report the same.
const UNIT: u64 = 100_000_000;

/// The memory in bytes, rounded down to tenths of a gigabyte; 0 if the system does not report it.
#[must_use]
pub fn bytes() -> u64 {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| total(&text));
    let group = fs::read_to_string("/proc/self/cgroup").ok().and_then(|text| limit(&text, Path::new("/sys/fs/cgroup")));
    machine.into_iter().chain(group).min().map_or(0, |bytes| bytes / UNIT * UNIT)
}

/// `MemTotal` of /proc/meminfo, in bytes. The file has KiB.
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The least limit of the control groups of /proc/self/cgroup and their parents (cgroup version 2).
fn limit(groups: &str, root: &Path) -> Option<u64> {
    let group = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let around = Path::new(group).ancestors().map(|group| root.join(group).join("memory.max"));
    // A group without a limit has `max`.
    around.filter_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok()).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_the_machine_is_read() {
        assert_eq!(total("MemTotal:       24596352 kB\nMemFree: 1 kB\n"), Some(24_596_352 * 1024));
        assert_eq!(total("MemFree: 1 kB\n"), None);
    }

    #[test]
    fn the_least_limit_of_all_parent_groups_applies() {
        let root = tempfile::tempdir().expect("a folder");
        let job = root.path().join("slurm/job_7");
        fs::create_dir_all(&job).expect("folders");
        let set = |folder: &Path, limit: &str| fs::write(folder.join("memory.max"), limit).expect("a file");
        set(&job, "max\n");
        assert_eq!(limit("0::/slurm/job_7\n", root.path()), None);
        set(&root.path().join("slurm"), "1000\n");
        set(&job, "2000\n");
        assert_eq!(limit("1:name=systemd:/x\n0::/slurm/job_7\n", root.path()), Some(1_000));
        assert_eq!(limit("0::/elsewhere\n", root.path()), None);
    }
}
