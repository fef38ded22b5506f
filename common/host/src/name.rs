//! The name of the machine.

use std::fs;

/// This machine's name, as other machines may know it; `None` where it has none.
#[must_use]
pub fn host_name() -> Option<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}
