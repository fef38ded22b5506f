//! The limits of a process's control groups, version 1 and 2, or both at once.
//!
//! A group is limited by its parents as well. `/proc/self/cgroup` names the group, `/proc/self/mountinfo` the folder with its
//! files. In a container that folder may be a part of the tree only.

use std::fs;
use std::path::{Component, Path, PathBuf};

/// The memory limit of a group of version 1 without a limit is above this; the number depends on the page size.
const UNLIMITED: u64 = 1 << 62;

/// The CPUs that the quotas of the groups allow, rounded down, at least 1; `None` without a quota.
pub(super) fn cpus(root: &Path) -> Option<u64> {
    let second = folders(root, Version::Two).into_iter().filter_map(|folder| {
        let text = read(&folder, "cpu.max")?;
        // A group without a quota has `max`.
        let (quota, period) = text.split_once(' ')?;
        whole(quota, period)
    });
    let first = folders(root, Version::One { controller: "cpu" }).into_iter().filter_map(|folder| {
        // A group without a quota has -1.
        whole(&read(&folder, "cpu.cfs_quota_us")?, &read(&folder, "cpu.cfs_period_us")?)
    });
    second.chain(first).min()
}

/// The bytes of memory that the groups allow; `None` without a limit.
pub(super) fn memory_bytes(root: &Path) -> Option<u64> {
    let limit = |folder: PathBuf, name: &str| read(&folder, name)?.parse().ok();
    // A group without a limit has `max`.
    let second = folders(root, Version::Two).into_iter().filter_map(|folder| limit(folder, "memory.max"));
    let first = folders(root, Version::One { controller: "memory" });
    let first = first.into_iter().filter_map(|folder| limit(folder, "memory.limit_in_bytes"));
    second.chain(first.filter(|&bytes| bytes < UNLIMITED)).min()
}

fn whole(quota_us: &str, period_us: &str) -> Option<u64> {
    let (quota, period) = (quota_us.parse::<u64>().ok()?, period_us.parse::<u64>().ok()?);
    Some(quota.checked_div(period)?.max(1))
}

/// The text of a file; `None` if the group does not have it, because the controller is off or the group is the root.
fn read(folder: &Path, name: &str) -> Option<String> {
    Some(fs::read_to_string(folder.join(name)).ok()?.trim().to_owned())
}

/// A tree of control groups.
#[derive(Debug, Clone, Copy)]
enum Version {
    /// Version 1, with a tree for each controller.
    One { controller: &'static str },
    /// Version 2, with one tree.
    Two,
}

/// A mounted tree, or a part of one.
struct Mount<'a> {
    /// The group at the mount point.
    group: &'a Path,
    point: &'a Path,
}

/// The folders of the process's group in a tree and of its parents, as far as they are mounted.
fn folders(root: &Path, version: Version) -> Vec<PathBuf> {
    let text = |name: &str| fs::read_to_string(root.join("proc/self").join(name)).unwrap_or_default();
    let (groups, mounts) = (text("cgroup"), text("mountinfo"));
    let Some(group) = groups.lines().find_map(|line| version.group(line)) else { return Vec::new() };
    let mounts: Vec<Mount<'_>> = mounts.lines().filter_map(|line| version.mount(line)).collect();
    let within = |mount: &Mount<'_>| {
        let inside = group.strip_prefix(mount.group).ok()?;
        let is_inside = inside.components().all(|part| matches!(part, Component::Normal(_)));
        is_inside.then(|| (root.join(mount.point.strip_prefix("/").unwrap_or(mount.point)), inside.to_owned()))
    };
    let outside = |mount: &Mount<'_>| (root.join(mount.point.strip_prefix("/").unwrap_or(mount.point)), PathBuf::new());
    // A container may see its group only at the mount point, under another name.
    let found = mounts.iter().find_map(within).or_else(|| mounts.first().map(outside));
    let Some((point, inside)) = found else { return Vec::new() };
    inside.ancestors().map(|inside| point.join(inside)).collect()
}

impl Version {
    /// The group of a line of `/proc/self/cgroup` if it is of this tree: `ID:CONTROLLERS:GROUP`.
    fn group(self, line: &str) -> Option<&Path> {
        let (id, rest) = line.split_once(':')?;
        let (controllers, group) = rest.split_once(':')?;
        let is_this = match self {
            Self::One { controller } => controllers.split(',').any(|each| each == controller),
            Self::Two => id == "0" && controllers.is_empty(),
        };
        is_this.then(|| Path::new(group))
    }

    /// The mount of a line of `/proc/self/mountinfo` if it is of this tree.
    fn mount(self, line: &str) -> Option<Mount<'_>> {
        let (place, kind) = line.split_once(" - ")?;
        let mut place = place.split(' ').skip(3);
        let (group, point) = (Path::new(place.next()?), Path::new(place.next()?));
        let mut kind = kind.split(' ');
        let (kind, mut options) = (kind.next()?, kind.nth(1)?.split(','));
        let is_this = match self {
            Self::One { controller } => kind == "cgroup" && options.any(|option| option == controller),
            Self::Two => kind == "cgroup2",
        };
        is_this.then_some(Mount { group, point })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that imitates the files of a system.
    struct System(tempfile::TempDir);

    impl System {
        fn new(cgroup: &str, mountinfo: &str) -> Self {
            let system = Self(tempfile::tempdir().expect("a folder"));
            system.set("proc/self/cgroup", cgroup);
            system.set("proc/self/mountinfo", mountinfo);
            system
        }

        fn set(&self, path: &str, text: &str) {
            let path = self.0.path().join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
            fs::write(path, text).expect("a file");
        }

        fn limits(&self) -> (Option<u64>, Option<u64>) {
            (cpus(self.0.path()), memory_bytes(self.0.path()))
        }
    }

    const UNIFIED: &str = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
                           30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";

    #[test]
    fn the_least_limit_of_a_group_of_version_2_and_its_parents_counts() {
        let system = System::new("0::/slurm/job_7/step_0\n", UNIFIED);
        assert_eq!(system.limits(), (None, None));
        system.set("sys/fs/cgroup/slurm/job_7/step_0/cpu.max", "max 100000\n");
        system.set("sys/fs/cgroup/slurm/job_7/step_0/memory.max", "max\n");
        assert_eq!(system.limits(), (None, None));
        system.set("sys/fs/cgroup/slurm/job_7/cpu.max", "350000 100000\n");
        system.set("sys/fs/cgroup/slurm/job_7/memory.max", "2000\n");
        assert_eq!(system.limits(), (Some(3), Some(2_000)));
        system.set("sys/fs/cgroup/slurm/cpu.max", "800000 100000\n");
        system.set("sys/fs/cgroup/slurm/memory.max", "1000\n");
        assert_eq!(system.limits(), (Some(3), Some(1_000)));
        system.set("sys/fs/cgroup/slurm/job_7/step_0/cpu.max", "20000 100000\n");
        assert_eq!(system.limits(), (Some(1), Some(1_000)), "a part of a core is one core");
        system.set("sys/fs/cgroup/elsewhere/memory.max", "1\n");
        assert_eq!(system.limits().1, Some(1_000));
    }

    #[test]
    fn the_least_limit_of_groups_of_version_1_counts() {
        let system = System::new(
            "11:memory:/slurm/uid_1/job_7\n4:cpu,cpuacct:/slurm/uid_1\n3:cpuset:/\n1:name=systemd:/x\n",
            "24 1 0:20 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n\
             31 24 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct\n\
             33 24 0:29 / /sys/fs/cgroup/memory rw,nosuid shared:11 - cgroup cgroup rw,memory\n",
        );
        let unlimited = "9223372036854771712\n";
        system.set("sys/fs/cgroup/memory/memory.limit_in_bytes", unlimited);
        system.set("sys/fs/cgroup/memory/slurm/uid_1/job_7/memory.limit_in_bytes", unlimited);
        system.set("sys/fs/cgroup/cpu,cpuacct/slurm/uid_1/cpu.cfs_quota_us", "-1\n");
        system.set("sys/fs/cgroup/cpu,cpuacct/slurm/uid_1/cpu.cfs_period_us", "100000\n");
        assert_eq!(system.limits(), (None, None));
        system.set("sys/fs/cgroup/cpu,cpuacct/slurm/cpu.cfs_quota_us", "200000\n");
        system.set("sys/fs/cgroup/cpu,cpuacct/slurm/cpu.cfs_period_us", "50000\n");
        system.set("sys/fs/cgroup/memory/slurm/uid_1/memory.limit_in_bytes", "4096\n");
        assert_eq!(system.limits(), (Some(4), Some(4_096)));
    }

    #[test]
    fn a_container_finds_its_group_at_the_mount_point() {
        // Without a namespace of control groups, the names are those of the machine.
        let mounts = "30 23 0:26 /docker/ab /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
        // With a namespace of the parent's, the group may be outside of it.
        for group in ["0::/docker/ab\n", "0::/\n", "0::/../../pod\n"] {
            let system = System::new(group, mounts);
            system.set("sys/fs/cgroup/cpu.max", "200000 100000\n");
            system.set("sys/fs/cgroup/memory.max", "512\n");
            assert_eq!(system.limits(), (Some(2), Some(512)), "{group}");
        }
        let system = System::new("0::/docker/ab/init\n", mounts);
        system.set("sys/fs/cgroup/init/memory.max", "256\n");
        assert_eq!(system.limits(), (None, Some(256)));
    }

    #[test]
    fn both_versions_may_be_mounted_and_none_of_them_is_needed() {
        let system = System::new(
            "4:memory:/job\n1:cpu:/\n0::/\n",
            "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n\
             35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
             41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n",
        );
        system.set("sys/fs/cgroup/memory/job/memory.limit_in_bytes", "7\n");
        assert_eq!(system.limits(), (None, Some(7)));
        system.set("sys/fs/cgroup/unified/cpu.max", "500000 100000\n");
        assert_eq!(system.limits(), (Some(5), Some(7)));
        assert_eq!(System::new("", "").limits(), (None, None));
        assert_eq!((cpus(Path::new("/nowhere")), memory_bytes(Path::new("/nowhere"))), (None, None));
    }

    #[test]
    fn a_quota_that_is_not_one_is_no_limit() {
        for text in ["", "max", "100000", "-1 100000", "100000 0", "a b"] {
            let system = System::new("0::/\n", UNIFIED);
            system.set("sys/fs/cgroup/cpu.max", text);
            system.set("sys/fs/cgroup/memory.max", text);
            assert_eq!(system.limits().0, None, "{text}");
        }
    }
}
