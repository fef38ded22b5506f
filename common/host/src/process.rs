//! The identity of a process on one machine, which outlives it: process ids are used again.

use std::fs;

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

/// The place of the start time among the fields of `/proc/PID/stat` that follow the program's name.
const START: usize = 19;

/// The identity of this process; `None` on a system without `/proc`.
#[must_use]
pub fn own() -> Option<String> {
    let id = std::process::id();
    Some(format!("{}/{id}/{}", machine()?, start_of(id)?))
}

/// Whether the process with this identity ran on this machine and has ended. If that is not known, the answer is no.
#[must_use]
pub fn has_ended(identity: &str) -> bool {
    let parts = identity.rsplit_once('/').and_then(|(rest, start)| {
        let (machine, id) = rest.rsplit_once('/')?;
        Some((machine, id.parse::<i32>().ok().filter(|&id| id > 0)?, start))
    });
    let Some((machine_of_it, id, start)) = parts else { return false };
    if machine().as_deref() != Some(machine_of_it) {
        return false;
    }
    match kill(Pid::from_raw(id), None) {
        Err(Errno::ESRCH) => true,
        // Another process may have the id by now. The files of other users may be hidden.
        _ => start_of(id.unsigned_abs()).is_some_and(|now| now != start),
    }
}

/// This machine since its start, and the space of its process ids: containers have their own.
fn machine() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let space = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{}/{}", boot.trim(), space.display()))
}

/// When a process started; `-` if it has ended and its parent does not know it yet.
fn start_of(id: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name of the program may have spaces and brackets.
    let mut fields = stat.rsplit_once(") ")?.1.split_whitespace();
    match fields.next()? {
        "Z" => Some("-".to_owned()),
        _ => fields.nth(START - 1).map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_has_ended_when_it_was_killed_and_when_another_has_its_id() {
        let own = own().expect("there is /proc");
        assert!(!has_ended(&own));
        let mut child = Command::new("sleep").arg("60").spawn().expect("it starts");
        let start = start_of(child.id()).expect("it runs");
        let of_child = format!("{}/{}/{start}", machine().expect("there is /proc"), child.id());
        assert!(!has_ended(&of_child));
        let later = format!("{}/{}/1", machine().expect("there is /proc"), child.id());
        assert!(has_ended(&later), "an earlier process with the same id");
        child.kill().expect("it runs");
        while !has_ended(&of_child) {
            std::thread::yield_now();
        }
        child.wait().expect("it was killed");
        assert!(has_ended(&of_child));
        for unknown in ["", "elsewhere/pid:[1]/1/1", &of_child.replace('-', "0"), &own.replace("pid:[", "pid:[1")] {
            assert!(!has_ended(unknown), "{unknown}");
        }
    }
}
